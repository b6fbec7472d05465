//! Infers layout and block size of a Parquet file without metadata: its rows hold both `input_length` and `context_length`.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;

use super::block_size::{SAMPLE_ROWS, fitting_size, no_rows};
use super::model::DataFile;
use super::parquet_file::open;
use crate::diagnostic::{Diagnostic, TRACE_LAYOUT};
use crate::error::{Result, TraceError};
use crate::meta::{Layout, TraceMeta};
use crate::schema::{Column, schema};

/// `input_length`, `context_length`, number of hash ids.
type Sample = (u32, u32, usize);

pub(super) fn infer(file: &DataFile, layout: Option<Layout>, block_size: Option<u32>) -> Result<(Layout, u32)> {
    let rows = sample(file)?;
    let size = |layout: Layout| {
        let length = |r: &Sample| if layout == Layout::Incremental { r.0 } else { r.1 };
        match block_size {
            None => fitting_size((1..).zip(&rows).map(|(number, row)| (number, length(row), row.2))),
            Some(size) => match (1..).zip(&rows).find(|(_, r)| length(r).div_ceil(size) as usize != r.2) {
                None => Ok(size),
                Some((number, row)) => {
                    let (ids, tokens) = (row.2, length(row));
                    let found = format!("{ids} hash_ids for {tokens} tokens");
                    let expected = format!("one id for each block of {size} tokens");
                    Err(Diagnostic::new("id-count", found, expected).with_field("hash_ids").on_line(number).into())
                }
            },
        }
    };
    let fail = |error: TraceError| error.in_file(&file.path);
    if let Some(layout) = layout {
        return size(layout).map(|size| (layout, size)).map_err(fail);
    }
    match (size(Layout::Incremental), size(Layout::Cumulative)) {
        (Ok(_), Ok(_)) if rows.iter().any(|(input, context, _)| input != context) => {
            let diagnostic = Diagnostic::unnamed("rows that fit both layouts", "rows that fit a single one");
            Err(fail(TraceError::usage(TRACE_LAYOUT, diagnostic.with_help("state it"))))
        }
        (Ok(size), _) => Ok((Layout::Incremental, size)),
        (Err(_), Ok(size)) => Ok((Layout::Cumulative, size)),
        (Err(incremental), Err(cumulative)) => {
            let found = format!("rows that fit no layout; incremental: {incremental}; cumulative: {cumulative}");
            Err(fail(Diagnostic::unnamed(found, "rows of one layout").into()))
        }
    }
}

fn sample(file: &DataFile) -> Result<Vec<Sample>> {
    // A placeholder: layout and block size are what this module infers.
    let unknown =
        TraceMeta { layout: Layout::Incremental, block_size: 1, linked: false, format_version: None, origin: None };
    let schema = schema(&[Column::InputLength, Column::ContextLength, Column::HashIds], &unknown);
    let mut rows = Vec::new();
    for batch in open(&file.path, &schema)? {
        let batch = batch.map_err(|e| e.in_file(&file.path))?;
        let length = |i: usize| batch.column(i).as_primitive::<UInt32Type>().values();
        let ids = batch.column(2).as_list::<i64>().value_offsets();
        let ids = ids.windows(2).map(|o| (o[1] - o[0]) as usize);
        rows.extend(length(0).iter().zip(length(1)).zip(ids).map(|((input, context), ids)| (*input, *context, ids)));
        if rows.len() >= SAMPLE_ROWS {
            break;
        }
    }
    if rows.is_empty() {
        return Err(no_rows().in_file(&file.path).into());
    }
    Ok(rows)
}
