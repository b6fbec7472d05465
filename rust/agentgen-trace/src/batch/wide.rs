//! Rows as they leave the program in memory: lengths have 64 bits, since libraries sum 32-bit columns in 32 bits, and wrap.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Fields, Schema, SchemaRef};

use crate::error::{Result, TraceError};
use crate::schema::Column;

const LENGTHS: [Column; 3] = [Column::InputLength, Column::ContextLength, Column::OutputLength];

fn is_length(name: &str) -> bool {
    LENGTHS.iter().any(|column| column.name() == name)
}

/// The schema of the canonical table with lengths of 64 bits.
#[must_use]
pub fn schema(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema
        .fields()
        .iter()
        .map(|field| {
            if is_length(field.name()) {
                Arc::new(field.as_ref().clone().with_data_type(DataType::Int64))
            } else {
                Arc::clone(field)
            }
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A batch of the canonical table with the lengths that [`schema`] states.
pub fn batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| {
        if !is_length(field.name()) {
            return Arc::clone(column);
        }
        Arc::new(column.as_primitive::<UInt32Type>().unary::<_, Int64Type>(i64::from)) as ArrayRef
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).map_err(TraceError::internal)
}
