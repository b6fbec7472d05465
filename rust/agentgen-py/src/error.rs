//! Rust errors as the exceptions of `agentgen.errors`.

use agentgen_core::ConfigError;
use agentgen_trace::TraceError;
use agentgen_trace::diagnostic::Diagnostic;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// An error to be raised in Python. (The orphan rule forbids a direct conversion.)
pub(crate) struct Failure(TraceError);

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        Self(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self(error.into())
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure.0 {
            TraceError::Config(ConfigError { path, rule }) => named("ConfigError", [path, rule]),
            TraceError::Io { path, source } => {
                let path = path.display().to_string();
                match source.raw_os_error() {
                    // Python selects the subclass (PermissionError, ...) by the number.
                    Some(errno) => PyOSError::new_err((errno, reason(&source), path)),
                    None => PyOSError::new_err(format!("{path}: {source}")),
                }
            }
            TraceError::Diagnostic(diagnostic) => diagnosed("TraceError", &diagnostic.to_string(), &diagnostic),
            TraceError::Usage(diagnostic) => diagnosed("UsageError", &diagnostic.reason(), &diagnostic),
            TraceError::Interrupted => PyKeyboardInterrupt::new_err(()),
            error @ TraceError::Internal(_) => named("AgentgenError", [error.to_string()]),
        }
    }
}

/// The message of the operating system without the number that Rust appends.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// An exception of `agentgen.errors`; defined in Python, where it can have two bases.
pub(crate) fn named<const N: usize>(name: &'static str, args: [String; N]) -> PyErr {
    Python::attach(|py| {
        let made = (|| py.import("agentgen.errors")?.getattr(name)?.call1(PyTuple::new(py, args)?))();
        made.map_or_else(|error: PyErr| error, PyErr::from_value)
    })
}

/// An exception of `agentgen.errors` that carries the parts of a diagnostic.
fn diagnosed(name: &'static str, text: &str, diagnostic: &Diagnostic) -> PyErr {
    Python::attach(|py| {
        let made = (|| {
            let parts = PyDict::new(py);
            parts.set_item("file", diagnostic.file_name())?;
            parts.set_item("line", Some(diagnostic.line).filter(|line| *line > 0))?;
            parts.set_item("field", diagnostic.field.as_deref())?;
            parts.set_item("rule", Some(diagnostic.rule).filter(|rule| !rule.is_empty()))?;
            parts.set_item("found", &diagnostic.found)?;
            parts.set_item("expected", &diagnostic.expected)?;
            parts.set_item("help", diagnostic.help.as_deref())?;
            py.import("agentgen.errors")?.getattr(name)?.call((text,), Some(&parts))
        })();
        made.map_or_else(|error: PyErr| error, PyErr::from_value)
    })
}

/// An invalid argument that the Python package does not pass.
pub(crate) fn bad_argument(message: impl Into<String>) -> PyErr {
    PyValueError::new_err(message.into())
}
