//! Arrow batches as Python sees them: `PyCapsules` of the Arrow C data interface, without a copy.

use std::sync::{Arc, Mutex, PoisonError};

use agentgen_trace::batch::wide;
use agentgen_trace::{Cancel, Result, TraceError};
use arrow_array::ffi::to_ffi;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array as _, RecordBatch, RecordBatchIterator, StructArray};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::error::{Failure, bad_argument};

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Rows of the canonical table.
#[pyclass(frozen, module = "agentgen._native")]
pub(crate) struct Batch(RecordBatch);

/// Batches in order, made while they are taken.
#[pyclass(frozen, module = "agentgen._native")]
pub(crate) struct BatchStream {
    schema: SchemaRef,
    cancel: Cancel,
    batches: Mutex<Option<Batches>>,
}

impl BatchStream {
    /// The batches with lengths of 64 bits.
    pub(crate) fn new(schema: &Schema, cancel: Cancel, batches: Batches) -> Self {
        let schema = wide::schema(schema);
        let target = Arc::clone(&schema);
        let batches = Box::new(batches.map(move |batch| wide::batch(&batch?, &target)));
        Self { schema, cancel, batches: Mutex::new(Some(batches)) }
    }

    fn take(&self) -> Option<Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn schema_capsule<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema).map_err(arrow_error)?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

fn arrow_error(error: impl std::fmt::Display) -> PyErr {
    bad_argument(error.to_string())
}

#[pymethods]
impl Batch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.0.num_rows()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.0.schema().fields().iter().map(|f| f.name().clone()).collect()
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    fn __repr__(&self) -> String {
        format!("<agentgen.Batch of {} rows: {}>", self.0.num_rows(), self.column_names().join(", "))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.0.schema())
    }

    /// The requested schema is a wish that a producer may leave unfulfilled; we have one form.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        drop(requested_schema);
        let rows = StructArray::from(self.0.clone());
        let (array, _) = to_ffi(&rows.to_data()).map_err(arrow_error)?;
        Ok((schema_capsule(py, &self.0.schema())?, PyCapsule::new_with_value(py, array, c"arrow_array")?))
    }
}

#[pymethods]
impl BatchStream {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let next = py.detach(|| {
            let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
            let next = batches.as_mut().and_then(Iterator::next);
            if !matches!(next, Some(Ok(_))) {
                *batches = None;
            }
            next
        });
        match next.transpose() {
            // Only `close` cancels, and here it was called while this thread waited for the batch.
            Err(TraceError::Interrupted) => Err(PyRuntimeError::new_err("this stream was closed by another thread")),
            next => Ok(next.map_err(Failure::from)?.map(Batch)),
        }
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.schema)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let batches = self.take().ok_or_else(|| PyRuntimeError::new_err("this stream has been consumed"))?;
        let batches = batches.map(|batch| batch.map_err(|e| ArrowError::ExternalError(Box::new(e))));
        let reader = RecordBatchIterator::new(batches, self.schema.clone());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), c"arrow_array_stream")
    }

    /// Stops the work behind the stream.
    fn close(&self, py: Python<'_>) {
        self.cancel.cancel();
        // Dropping waits for the workers, who never need the GIL.
        py.detach(|| drop(self.take()));
    }
}
