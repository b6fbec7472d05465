//! `comparison.txt`: the same figures for a person, in 80 columns.

use std::fmt::Write as _;

use agentgen_core::Plan;

use super::report::{Metric, Quality};

/// Metrics in reading order: key, title, unit.
const ROWS: [(&str, &str, &str); 6] = [
    ("initial_context", "Initial context", "tokens"),
    ("initial_context_continuations", "  of continuations", "tokens"),
    ("new_tokens_per_turn", "New tokens per turn", "tokens"),
    ("generation_length", "Generation length", "tokens"),
    ("inter_turn_delay_ms", "Inter-turn delay", "ms"),
    ("turns_per_session", "Turns per session", "turns"),
];

/// The table.
pub(super) fn table(quality: &Quality, plan: &Plan) -> String {
    let mut out = String::new();
    write(&mut out, quality, plan);
    out
}

/// A line without blanks at its end; writing to a string cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{
        let _ = write!($out, $($arg)*);
        $out.truncate($out.trim_end_matches(' ').len());
        $out.push('\n');
    }};
}

fn write(out: &mut String, quality: &Quality, plan: &Plan) {
    let (written, config) = (quality.written, plan.config());
    let count = |n: u64| grouped(n as f64);
    line!(
        out,
        "{} sessions ({} continuations), {} turns",
        count(written.sessions),
        count(written.continuations),
        count(written.turns)
    );
    line!(
        out,
        "{} new prompt tokens, {} with what came before, {} output",
        count(written.input_tokens),
        count(written.context_tokens),
        count(written.output_tokens)
    );
    line!(
        out,
        "{} layout, block size {}, prompts below {} tokens\n",
        plan.layout().name(),
        config.block_size,
        grouped(f64::from(config.max_prompt_tokens))
    );
    line!(out, "{:<28}{:<8}{:>14}{:>14}{:>12}", "", "", "target", "written", "error");
    for (key, title, unit) in ROWS {
        if let Some(metric) = quality.metrics.get(key) {
            write_metric(out, metric, &format!("{title}, {unit}"));
        }
    }
    line!(out, "\n{:<28}{:>22}{:>26}", "Session ends", "sessions", "share");
    for (reason, ended) in &quality.end_reasons {
        line!(out, "  {reason:<26}{:>22}{:>24.2} %", grouped(ended.count as f64), ended.fraction * 100.0);
    }
    if let Some(last) = &quality.final_context_utilization {
        line!(
            out,
            "\nLast context, share of the limit: mean {:.1} %, median {:.1} %, p95 {:.1} %",
            last.mean * 100.0,
            last.median * 100.0,
            last.p95 * 100.0
        );
    }
    if quality.groups.configured > 1 {
        let (seen, all) = (grouped(quality.groups.seen as f64), grouped(f64::from(quality.groups.configured)));
        line!(out, "L1.5 groups: {seen} of {all} in use");
    }
    for warning in plan.warnings() {
        line!(out, "\nwarning: {warning}");
    }
}

fn write_metric(out: &mut String, metric: &Metric, title: &str) {
    let Some(observed) = &metric.observed else { return };
    let rows = [
        ("mean", metric.target.mean, observed.mean, metric.error_percent.mean),
        ("median", metric.target.median, observed.median, metric.error_percent.median),
        ("p05", None, observed.p05, None),
        ("p95", None, observed.p95, None),
        ("p99", None, observed.p99, None),
    ];
    for (index, (name, target, value, error)) in rows.into_iter().enumerate() {
        let target = target.map_or_else(|| "-".to_owned(), grouped);
        let error = match error {
            Some(error) if metric.overridden => format!("{error:+.2} % *"),
            Some(error) => format!("{error:+.2} %"),
            None => String::new(),
        };
        let title = if index == 0 { title } else { "" };
        line!(out, "{title:<28}{name:<8}{target:>14}{:>14}{error:>12}", grouped(value));
    }
    if metric.overridden {
        line!(out, "{:<28}* overridden: the stated target cannot be met", "");
    }
}

/// A number with thousands separated, one decimal below 1,000.
fn grouped(value: f64) -> String {
    if value.fract() != 0.0 && value.abs() < 1_000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0.0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0.0), "0");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(15.66), "15.7");
        assert_eq!(grouped(1_000.4), "1,000");
        assert_eq!(grouped(1_234_567.0), "1,234,567");
    }
}
