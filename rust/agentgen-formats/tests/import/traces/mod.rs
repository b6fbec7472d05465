//! Readers of traces and recorded requests: one small file of each format, and what each value becomes.

mod damage;
mod lengths;
mod oracles;
mod record;
mod requests;
mod weka;
mod with_ids;

use std::fmt::Write as _;

use agentgen_formats::import::formats::{detect, named};
use agentgen_formats::import::{Agent, Call, Prompt, RecordedSession, Recording, Trigger};

use crate::support::Folder;

/// Reads a file with the format that recognises it.
fn import(text: &str) -> (&'static str, Recording) {
    let folder = Folder::new(&[("f", text.as_bytes())]);
    let format = detect(&folder.path("f")).unwrap().expect("a known format");
    (format.name, without_folder((format.read)(&folder.path("f")).unwrap(), &folder))
}

/// Reads a file with a format of a name.
fn import_as(name: &str, text: &str) -> Recording {
    let folder = Folder::new(&[("f", text.as_bytes())]);
    without_folder((named(name).unwrap().read)(&folder.path("f")).unwrap(), &folder)
}

/// Keys and scopes without the path of the temporary folder.
fn without_folder(mut recording: Recording, folder: &Folder) -> Recording {
    let path = format!("{}", folder.path("f").display());
    let strip = |text: &mut String| *text = text.replace(&format!("{path}:"), "").replace(&path, "file");
    for session in &mut recording.sessions {
        strip(&mut session.key);
        session.continues.iter_mut().for_each(strip);
        session.project.iter_mut().for_each(strip);
        if let Agent::Sub { parent, .. } = &mut session.agent {
            strip(parent);
        }
        for call in &mut session.calls {
            if let Prompt::Blocks { scope: Some(scope), .. } = &mut call.prompt {
                strip(scope);
            }
        }
    }
    recording
}

/// Everything that a session says, a call a line.
fn told(recording: &Recording) -> String {
    let mut text = String::new();
    for session in &recording.sessions {
        write!(text, "{}", session.key).unwrap();
        if let Some(version) = &session.client.version {
            write!(text, " version {version}").unwrap();
        }
        if let Some(project) = &session.project {
            write!(text, " in {project}").unwrap();
        }
        if let Some(before) = &session.continues {
            write!(text, " continues {before}").unwrap();
        }
        if let Some(window) = session.context_window {
            write!(text, " window {window}").unwrap();
        }
        if let Agent::Sub { kind, parent, spawned_by, joined_by } = &session.agent {
            let kind = kind.as_deref().unwrap_or("?");
            write!(text, " {kind} of {parent} after {spawned_by:?} until {joined_by:?}").unwrap();
        }
        text.push('\n');
        for call in &session.calls {
            writeln!(text, "  {}", told_call(call)).unwrap();
        }
    }
    text.replace("Some(", "").replace("None", "-").replace([')'], "")
}

fn told_call(call: &Call) -> String {
    let mut text = call.model.as_deref().unwrap_or("-").to_owned();
    let trigger = match call.trigger {
        Some(Trigger::Human) => "human",
        Some(Trigger::Tool) => "tool",
        Some(_) => "other",
        None => "-",
    };
    let usage = call.usage;
    write!(text, " {trigger} {} {:?}+{:?}", call.human_turn_index, usage.prompt_tokens, usage.output_tokens).unwrap();
    for (name, count) in [
        ("cached", usage.cached_tokens),
        ("written", usage.cache_written_tokens),
        ("reasoning", usage.reasoning_tokens),
        ("bytes", call.output_bytes),
    ] {
        if let Some(count) = count {
            write!(text, " {name} {count}").unwrap();
        }
    }
    for (name, time) in [
        (if call.sent_is_recorded { "sent" } else { "ready" }, call.sent_ms),
        ("first", call.first_output_ms),
        ("end", call.end_ms),
        ("delay", call.delay_ms),
    ] {
        if let Some(time) = time {
            write!(text, " {name} {time}").unwrap();
        }
    }
    match &call.prompt {
        Prompt::Counted => {}
        Prompt::Blocks { scope, block_tokens, ids } => {
            write!(text, " {}*{block_tokens} {ids:?}", scope.as_deref().unwrap_or("-")).unwrap();
        }
        Prompt::Parts(parts) => write!(text, " whole {:?}", parts.iter().map(|p| p.bytes).collect::<Vec<_>>()).unwrap(),
        Prompt::Appended(parts) => write!(text, " {:?}", parts.iter().map(|p| p.bytes).collect::<Vec<_>>()).unwrap(),
    }
    for tool in &call.tools {
        write!(text, " {}", tool.name).unwrap();
        for ms in [tool.wall_ms, tool.internal_ms].into_iter().flatten() {
            write!(text, " {ms}").unwrap();
        }
        if tool.is_error == Some(true) {
            text.push_str(" failed");
        }
    }
    text
}

/// What could not be used.
fn problems(recording: &Recording) -> Vec<(Option<u64>, &str)> {
    recording.problems.iter().map(|p| (p.line, p.reason.as_str())).collect()
}

fn left_out(recording: &Recording) -> Vec<(&'static str, u64)> {
    recording.left_out.iter().map(|(reason, count)| (*reason, *count)).collect()
}

/// The hashes of a prompt's parts.
fn hashes(session: &RecordedSession, call: usize) -> Vec<u128> {
    match &session.calls[call].prompt {
        Prompt::Parts(parts) | Prompt::Appended(parts) => parts.iter().map(|p| p.hash).collect(),
        _ => panic!("no parts"),
    }
}
