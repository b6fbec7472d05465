//! JSON Schemas of results, generated from their types.

use schemars::schema_for;

use crate::analyze::{Analysis, Plan, Simulation};
use crate::distance::Fidelity;
use crate::fit::Fit;
use crate::validate::ValidationReport;

/// The schema of `analysis`, `fidelity`, `fit`, `plan`, `simulation`, `validation`, or of a row of `messages`, as JSON text.
#[must_use]
pub fn schema(name: &str) -> Option<String> {
    let schema = match name {
        "analysis" => schema_for!(Analysis),
        "fidelity" => schema_for!(Fidelity),
        "fit" => schema_for!(Fit),
        "plan" => schema_for!(Plan),
        "simulation" => schema_for!(Simulation),
        "validation" => schema_for!(ValidationReport),
        "messages" => agentgen_trace::transcript::flat::schema(),
        _ => return None,
    };
    serde_json::to_string_pretty(&schema).ok()
}
