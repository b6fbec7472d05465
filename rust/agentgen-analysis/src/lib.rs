//! Validation and statistics over traces.
