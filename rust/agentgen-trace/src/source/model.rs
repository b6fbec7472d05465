//! A trace that can be read: its files, layout and block size.

use std::path::PathBuf;

use crate::manifest::FileEntry;
use crate::meta::{Layout, TraceMeta};

/// File format of a data file.
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
    /// Its path.
    pub path: PathBuf,
    /// Its format, detected by its content.
    pub format: Format,
    /// Bytes of a line, at most.
    pub max_line: usize,
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
    /// Inferred from the rows.
    Inferred,
}

impl Provenance {
    /// The name in reports.
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

/// Properties of the trace that the caller states.
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
    /// Where the layout comes from.
    pub layout_from: Provenance,
    /// Where the block size comes from.
    pub block_size_from: Provenance,
    /// Whether shards are missing.
    pub partial: bool,
    /// The files listed in manifests: all files of a run directory that was given, else the given files only.
    pub expected_files: Vec<ExpectedFile>,
}

impl Source {
    /// How to read it, without the files, which may be many.
    #[must_use]
    pub fn without_files(&self) -> Self {
        let (files, expected_files, meta) = (Vec::new(), Vec::new(), self.meta.clone());
        let Self { layout_from, block_size_from, partial, .. } = *self;
        Self { files, meta, layout_from, block_size_from, partial, expected_files }
    }
}

/// A file as a manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedFile {
    /// Its path.
    pub path: PathBuf,
    /// Expected size and digest.
    pub entry: FileEntry,
    /// Whether the whole run directory was given, so that digests are checked too.
    pub whole_run: bool,
}
