//! Compression of files that are written in parts: each part is a frame of its own, and frames in a row are a valid file.

use std::io::Write as _;
use std::path::Path;

use flate2::write::GzEncoder;

use super::ZSTD_LEVEL;
use crate::error::{Result, TraceError};

/// How the bytes of a file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// As frames of zstd: `.zst`.
    Zstd,
    /// As members of gzip: `.gz`.
    Gzip,
}

impl Compression {
    /// What a file name asks for.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("zst") => Self::Zstd,
            Some("gz") => Self::Gzip,
            _ => Self::None,
        }
    }

    /// Compresses a part of a file.
    ///
    /// # Errors
    /// Only of the compressing library.
    pub fn frame(self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        if bytes.is_empty() {
            return Ok(bytes);
        }
        match self {
            Self::None => Ok(bytes),
            Self::Zstd => zstd::bulk::compress(&bytes, ZSTD_LEVEL).map_err(TraceError::internal),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&bytes).and_then(|()| encoder.finish()).map_err(TraceError::internal)
            }
        }
    }
}
