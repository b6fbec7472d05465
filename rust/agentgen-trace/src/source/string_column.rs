//! Builds string columns.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::StringViewArray;
use arrow_array::builder::make_view;
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

/// Builds a string column; equal strings share their bytes.
#[derive(Default)]
pub(crate) struct StringColumn {
    bytes: Vec<u8>,
    views: Vec<u128>,
    valid: Vec<bool>,
    last: Range<usize>,
    /// Where the strings that are too long for a view begin.
    stored: HashMap<Box<str>, usize>,
}

/// Strings up to this many bytes are in their views.
const VIEW_BYTES: usize = 12;

impl StringColumn {
    pub(crate) fn push(&mut self, name: Option<&str>) {
        self.valid.push(name.is_some());
        let Some(name) = name else { return self.views.push(0) };
        if name.len() > VIEW_BYTES && self.bytes[self.last.clone()] != *name.as_bytes() {
            let start = self.stored.get(name).copied().unwrap_or_else(|| {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(name.as_bytes());
                self.stored.insert(name.into(), start);
                start
            });
            self.last = start..start + name.len();
        }
        // An offset that does not fit is found at the end.
        self.views.push(make_view(name.as_bytes(), 0, self.last.start as u32));
    }

    pub(crate) fn finish(self) -> Result<StringViewArray, ArrowError> {
        if self.bytes.len() > i32::MAX as usize {
            return Err(ArrowError::InvalidArgumentError(format!("{} bytes of names in a batch", self.bytes.len())));
        }
        let nulls = Some(NullBuffer::from(self.valid)).filter(|nulls| nulls.null_count() > 0);
        let buffers: Arc<[Buffer]> = Arc::new([Buffer::from_vec(self.bytes)]);
        StringViewArray::try_new(ScalarBuffer::from(self.views), buffers, nulls)
    }
}
