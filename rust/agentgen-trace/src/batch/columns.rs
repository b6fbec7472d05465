//! Column builders for times, which some rows lack, and for names, which many rows share.

use arrow_array::builder::{ArrayBuilder as _, NullBufferBuilder, StringViewBuilder};
use arrow_array::{ArrayRef, Float64Array, UInt32Array};
use arrow_buffer::ScalarBuffer;

use super::take;
use crate::error::{Result, TraceError};

/// Builds a column of times in ms from tenths of a millisecond.
#[derive(Debug)]
pub(super) struct Times {
    values: Vec<f64>,
    valid: NullBufferBuilder,
}

impl Default for Times {
    fn default() -> Self {
        Self { values: Vec::new(), valid: NullBufferBuilder::new(0) }
    }
}

impl Times {
    pub(super) fn extend(&mut self, tenths: impl ExactSizeIterator<Item = u64>) {
        self.valid.append_n_non_nulls(tenths.len());
        self.values.extend(tenths.map(|t| t as f64 / 10.0));
    }

    pub(super) fn nulls(&mut self, rows: usize) {
        self.valid.append_n_nulls(rows);
        self.values.resize(self.values.len() + rows, 0.0);
    }

    pub(super) fn finish(&mut self) -> Float64Array {
        Float64Array::new(ScalarBuffer::from(take(&mut self.values)), self.valid.finish())
    }
}

/// Builds a column of session names. Each name is stored, and checked for UTF-8, once.
#[derive(Debug)]
pub(super) struct Names {
    distinct: StringViewBuilder,
    /// Index of each row's name.
    rows: Vec<u32>,
    valid: NullBufferBuilder,
}

impl Default for Names {
    fn default() -> Self {
        Self { distinct: StringViewBuilder::new(), rows: Vec::new(), valid: NullBufferBuilder::new(0) }
    }
}

impl Names {
    pub(super) fn repeat(&mut self, name: &str, rows: usize) {
        self.rows.resize(self.rows.len() + rows, self.distinct.len() as u32);
        self.distinct.append_value(name);
        self.valid.append_n_non_nulls(rows);
    }

    pub(super) fn repeat_option(&mut self, name: Option<&str>, rows: usize) {
        match name {
            Some(name) => self.repeat(name, rows),
            None => self.nulls(rows),
        }
    }

    pub(super) fn nulls(&mut self, rows: usize) {
        self.rows.resize(self.rows.len() + rows, 0);
        self.valid.append_n_nulls(rows);
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let rows = UInt32Array::new(ScalarBuffer::from(take(&mut self.rows)), self.valid.finish());
        // The indices are valid, so `take` need not check bounds.
        arrow_select::take::take(&self.distinct.finish(), &rows, None).map_err(TraceError::internal)
    }
}

/// Builds the column of groups, which sub-agents lack.
#[derive(Debug)]
pub(super) struct Groups {
    values: Vec<u32>,
    valid: NullBufferBuilder,
}

impl Default for Groups {
    fn default() -> Self {
        Self { values: Vec::new(), valid: NullBufferBuilder::new(0) }
    }
}

impl Groups {
    pub(super) fn repeat(&mut self, group: Option<u32>, rows: usize) {
        self.values.resize(self.values.len() + rows, group.unwrap_or(0));
        match group {
            Some(_) => self.valid.append_n_non_nulls(rows),
            None => self.valid.append_n_nulls(rows),
        }
    }

    pub(super) fn finish(&mut self) -> UInt32Array {
        UInt32Array::new(ScalarBuffer::from(take(&mut self.values)), self.valid.finish())
    }
}
