//! `manifest.json`: what a run holds, and all that is needed to make it again.

use std::io::Read as _;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::error::{Result, TraceError};
use crate::meta::{FORMAT_VERSION, Layout, Origin, TraceMeta};
use crate::sink::file::{SealedFile, digest, open_plain, sealed};

pub use crate::sink::file::FileEntry;
pub use crate::written::Written;

/// Version of this file's own shape.
pub const SCHEMA_VERSION: u32 = 1;

/// Name of the file in a run directory.
pub const FILE_NAME: &str = "manifest.json";

/// A run directory, or a set of shards, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name and version of the program.
    pub program: String,
    /// Version of the generated rows.
    pub format_version: u32,
    /// When the run was made (UTC, RFC 3339).
    pub created: String,
    /// What `hash_ids` cover.
    pub layout: Layout,
    /// Tokens per block.
    pub block_size: u32,
    /// Whether sessions may be linked as breaks and sub-agents.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub linked: bool,
    /// Of a generated run: config, overrides, seed, sessions.
    #[serde(flatten)]
    pub origin: Option<Origin>,
    /// Of an imported run: its sources, and what was estimated or left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<serde_json::Value>,
    /// Which part of the data set this is.
    pub shard: Shard,
    /// `jsonl`, `parquet`.
    pub formats: Vec<String>,
    /// `none` or `zstd`: of the JSONL.
    pub compression: String,
    /// Totals over the rows written.
    pub written: Written,
    /// Stated, solved and effective values of every distribution, after overrides.
    pub effective: serde_json::Value,
    /// Targets given up because of an override.
    pub warnings: Vec<String>,
    /// The other files of the directory.
    pub files: Vec<FileEntry>,
    /// For a set: the shards' directories, relative to this file, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// A manifest is at most this large: one of a million shards has 150 MB.
const MAX_BYTES: u64 = 1 << 30;

/// The bytes of the file.
fn read_plain(file: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    open_plain(file)?.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|e| TraceError::io(file, e))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Diagnostic::unnamed("more than 1 GiB", "the manifest of a run").in_file(file).into());
    }
    Ok(text)
}

/// Whether a text names a file in the directory that it is looked for in.
fn is_name(text: &str) -> bool {
    let mut parts = Path::new(text).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == text)
}

/// Shard `index` of `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// 0-based.
    pub index: u64,
    /// 1 for a whole data set.
    pub count: u64,
}

/// A shard of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The shard's directory, relative to the set's manifest.
    pub path: String,
    /// SHA-256 of the shard's manifest.
    pub manifest_sha256: String,
}

impl Manifest {
    /// Reads the manifest of a run directory, or a manifest file itself.
    pub fn read(path: &Path) -> Result<Self> {
        let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
        let text = read_plain(&file)?;
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|e| Diagnostic::unnamed(e.to_string(), "the manifest of a run").in_file(&file))?;
        for (what, found, known) in
            [("schema", manifest.schema_version, SCHEMA_VERSION), ("format", manifest.format_version, FORMAT_VERSION)]
        {
            if found != known {
                let diagnostic = Diagnostic::unnamed(format!("{what} version {found}"), known.to_string());
                return Err(diagnostic.in_file(&file).with_help("use the agentgen that wrote it").into());
            }
        }
        if manifest.origin.is_none() && manifest.import.is_none() {
            // The reason why there is no origin.
            let reason = serde_json::from_slice::<Origin>(&text).err().map(|e| e.to_string()).unwrap_or_default();
            return Err(Diagnostic::unnamed(reason, "the manifest of a run").in_file(&file).into());
        }
        if let Some(entry) = manifest.files.iter().find(|entry| !is_name(&entry.name)) {
            let diagnostic = Diagnostic::unnamed(format!("a file {:?}", entry.name), "the name of a file beside it");
            return Err(diagnostic.with_field("files").in_file(&file).into());
        }
        Ok(manifest)
    }

    /// The manifest, written but not yet under its name. It gets its name after every other file: its presence means that
    /// the run is whole.
    pub fn sealed(&self, directory: &Path) -> Result<SealedFile> {
        let mut json = serde_json::to_vec_pretty(self).map_err(TraceError::internal)?;
        json.push(b'\n');
        sealed(&directory.join(FILE_NAME), json)
    }

    /// What its data files say about themselves.
    #[must_use]
    pub fn meta(&self) -> TraceMeta {
        TraceMeta {
            layout: self.layout,
            block_size: self.block_size,
            linked: self.linked,
            format_version: self.origin.as_ref().map(|_| self.format_version),
            origin: self.origin.clone(),
        }
    }

    /// Whether every file of `directory` is there with its size and digest.
    #[must_use]
    pub fn is_intact(&self, directory: &Path) -> bool {
        self.files.iter().all(|file| digest(&directory.join(&file.name)).is_ok_and(|found| found == *file))
    }

    /// The entry of a file.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&FileEntry> {
        self.files.iter().find(|f| f.name == name)
    }
}
