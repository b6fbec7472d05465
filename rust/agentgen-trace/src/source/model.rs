//! A trace that can be read: its files, and how to read them.

use std::path::PathBuf;

use crate::manifest::FileEntry;
use crate::meta::{Layout, TraceMeta};

/// How a data file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON lines, compressed or not.
    Jsonl,
    /// Parquet.
    Parquet,
}

/// A file of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Where it is.
    pub path: PathBuf,
    /// How it is written, by its content.
    pub format: Format,
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// The caller.
    Option,
    /// `manifest.json`.
    Manifest,
    /// The file itself.
    Metadata,
    /// Nobody said it: the rows allow nothing else.
    Inferred,
}

impl Provenance {
    /// The word in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Option => "option",
            Self::Manifest => "manifest",
            Self::Metadata => "metadata",
            Self::Inferred => "inferred",
        }
    }
}

/// What the caller knows about the trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Its layout.
    pub trace_layout: Option<Layout>,
    /// Its block size, tokens.
    pub trace_block_size: Option<u32>,
}

/// A trace that can be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its files, in order.
    pub files: Vec<DataFile>,
    /// How to read them.
    pub meta: TraceMeta,
    /// Who says what the layout is.
    pub layout_from: Provenance,
    /// Who says what the block size is.
    pub block_size_from: Provenance,
    /// Whether these are some shards of several, not all.
    pub partial: bool,
    /// The files that manifests vouch for: all of a run that was given as a whole, else those given.
    pub expected_files: Vec<ExpectedFile>,
}

/// A file as a manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Size and digest that it should have.
    pub entry: FileEntry,
    /// Whether the whole run was given, so that its digests are to be looked at too.
    pub whole_run: bool,
}
