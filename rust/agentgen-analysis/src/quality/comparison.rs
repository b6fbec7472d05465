//! `comparison.txt`: the figures of `quality.json` as a table of 80 columns.

use std::fmt::Write as _;

use agentgen_core::DatasetSpec;
use agentgen_engine::text::plural;

use super::report::{Metric, Quality};

/// Rows of the table: metric and title.
const ROWS: [(&str, &str); 6] = [
    ("initial_context", "initial context"),
    ("initial_context_continuations", "  of continuations"),
    ("new_tokens_per_turn", "new tokens per turn"),
    ("generation_length", "generation length"),
    ("inter_turn_delay_ms", "delay between turns, ms"),
    ("turns_per_session", "turns per session"),
];

/// The text of the file.
pub(super) fn table(quality: &Quality, spec: &DatasetSpec) -> String {
    let mut out = String::new();
    write(&mut out, quality, spec);
    out
}

/// Writes a line without trailing blanks. Writing to a string cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{
        let _ = write!($out, $($arg)*);
        $out.truncate($out.trim_end_matches(' ').len());
        $out.push('\n');
    }};
}

fn write(out: &mut String, quality: &Quality, spec: &DatasetSpec) {
    let (written, config) = (quality.written, spec.config());
    for (count, what) in [
        (written.sessions, plural(written.sessions, "session")),
        (written.continuations, "of them continue another after a restart".to_owned()),
        (written.turns, plural(written.turns, "turn")),
        (written.input_tokens, plural(written.input_tokens, "new prompt token")),
        (written.context_tokens, plural(written.context_tokens, "prompt token") + ", history included"),
        (written.output_tokens, plural(written.output_tokens, "output token")),
    ] {
        if count > 0 {
            line!(out, "{:>24} {what}", grouped(count as f64));
        }
    }
    line!(
        out,
        "\n{} layout, block size {}, prompts below {} tokens\n",
        spec.layout().name(),
        config.block_size,
        grouped(f64::from(config.max_prompt_tokens))
    );
    let titles = ["target", "mean", "error", "median", "p05", "p95"];
    line!(
        out,
        "{:<24}{:>9}{:>10}{:>10}{:>9}{:>9}{:>9}",
        "",
        titles[0],
        titles[1],
        titles[2],
        titles[3],
        titles[4],
        titles[5]
    );
    for (key, title) in ROWS {
        if let Some(metric) = quality.metrics.get(key) {
            write_metric(out, metric, title);
        }
    }
    line!(out, "");
    for (reason, ended) in quality.end_reasons.iter().filter(|(_, ended)| ended.count > 0) {
        let (count, percent) = (grouped(ended.count as f64), ended.fraction * 100.0);
        let sessions = plural(ended.count, "session");
        line!(out, "{count:>24} {sessions} ended by {reason} ({percent:.2} %)");
    }
    if let Some(last) = &quality.final_context_utilization {
        line!(
            out,
            "{:>22.1} % of the limit filled at the end (median {:.1} %)",
            last.mean * 100.0,
            last.median * 100.0
        );
    }
    if quality.groups.configured > 1 {
        let (seen, all) = (grouped(quality.groups.seen as f64), grouped(f64::from(quality.groups.configured)));
        line!(out, "{seen:>24} of {all} L1.5 groups in use");
    }
    for warning in spec.warnings() {
        line!(out, "\nwarning: {warning}");
    }
}

fn write_metric(out: &mut String, metric: &Metric, title: &str) {
    let Some(observed) = &metric.observed else { return };
    let target = |target: Option<f64>| target.map_or_else(|| "-".to_owned(), grouped);
    let mark = if metric.overridden { "*" } else { "" };
    let error =
        |error: Option<f64>| error.map_or_else(String::new, |error| format!("{:+.2} %{mark}", two_decimals(error)));
    line!(
        out,
        "{title:<24}{:>9}{:>10}{:>10}{:>9}{:>9}{:>9}",
        target(metric.target.mean),
        grouped(observed.mean),
        error(metric.error_percent.mean),
        grouped(observed.median),
        grouped(observed.p05),
        grouped(observed.p95)
    );
    if metric.target.median.is_some() {
        let (target, error) = (target(metric.target.median), error(metric.error_percent.median));
        line!(out, "{:<24}{target:>9}{:>10}{error:>10}", "  its median", grouped(observed.median));
    }
    if metric.overridden {
        line!(out, "{:<24}* overridden: the stated target cannot be met", "");
    }
}

/// Rounded to two decimals, with -0 as 0.
fn two_decimals(value: f64) -> f64 {
    (value * 100.0).round() / 100.0 + 0.0
}

/// A number with thousands separators, and one decimal below 1,000.
fn grouped(value: f64) -> String {
    if value.fract() != 0.0 && value.abs() < 999.95 {
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
    use super::{grouped, two_decimals};

    #[test]
    fn minus_zero_is_shown_as_zero() {
        assert_eq!(format!("{:+.2}", two_decimals(-0.004)), "+0.00");
        assert_eq!(format!("{:+.2}", two_decimals(-0.006)), "-0.01");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0.0), "0");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(15.66), "15.7");
        assert_eq!(grouped(999.97), "1,000");
        assert_eq!(grouped(1_000.4), "1,000");
        assert_eq!(grouped(1_234_567.0), "1,234,567");
    }
}
