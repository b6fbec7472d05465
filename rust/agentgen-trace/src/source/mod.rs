//! Reads trace files of every supported format as the canonical table.

mod block_size;
pub mod blocks;
pub mod columns;
mod expected;
mod foreign;
mod guard;
mod infer;
mod json_full;
mod json_key;
pub mod json_object;
pub mod json_row;
#[cfg(test)]
mod json_tests;
mod link_columns;
mod messages;
mod model;
mod parquet_file;
mod parquet_sample;
mod parquet_text;
mod parsed;
mod reader;
pub mod resolve;
mod sessions;
mod string_column;

pub use blocks::{Block, Blocks, Line, MAX_LINE_BYTES};
pub use expected::{DIGEST, check_listed};
pub use foreign::{Recognise, recognise_foreign_with};
pub use infer::session_key;
pub use json_row::parse_row;
pub use link_columns::LinkColumns;
pub use messages::is_messages;
pub use model::{DataFile, ExpectedFile, Format, Provenance, ReadOptions, Source};
pub use parquet_text::{ColumnBatches, TextRows, column_names};
pub use reader::open;
pub use resolve::{find, resolve};
