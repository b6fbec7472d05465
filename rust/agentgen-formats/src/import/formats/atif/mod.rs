//! Trajectories in ATIF (Harbor), versions 1.0 to 1.8: steps with the tokens of each model call.

mod document;
mod session;

use std::path::Path;

use agentgen_trace::error::Result;

use super::json::Maybe;
use super::support::read_values;
use super::{Format, Head, no_folders};
use crate::import::lines::BadLine;
use crate::import::model::Recording;

/// Trajectories in ATIF.
pub const FORMAT: Format = Format {
    name: "atif",
    title: "trajectories in ATIF",
    extensions: &["json", "jsonl"],
    recognises,
    read,
    default_folders: no_folders,
};

fn recognises(head: &Head) -> bool {
    head.any(|trajectory| {
        let is_named = trajectory.text("schema_version").is_some_and(|version| version.starts_with("ATIF"));
        is_named || trajectory.has_all(&["agent", "steps"]) && trajectory.has_array("steps")
    })
}

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, mut found) = (Recording::default(), Recording::default());
    let stem = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    read_values(path, &mut recording, |text, _| {
        let Maybe(Some(trajectory)) = serde_json::from_str::<Maybe<document::Trajectory>>(text)? else {
            return Err(BadLine::new("not a JSON object"));
        };
        session::add(&trajectory, stem, &mut found);
        Ok(())
    })?;
    recording.append(found);
    Ok(recording)
}
