//! Bodies compressed as a fault, each part as soon as it is there.

use std::fmt;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Compresses a body.
pub struct Gzip(GzEncoder<Vec<u8>>);

impl Default for Gzip {
    fn default() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }
}

impl fmt::Debug for Gzip {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Gzip")
    }
}

impl Gzip {
    /// Adds a part; returns bytes from which a client can read it.
    pub fn add(&mut self, part: &[u8]) -> Vec<u8> {
        // A vector takes all bytes.
        let _ = self.0.write_all(part).and_then(|()| self.0.flush());
        std::mem::take(self.0.get_mut())
    }

    /// Ends the body; returns its last bytes.
    pub fn end(&mut self) -> Vec<u8> {
        let _ = self.0.try_finish();
        std::mem::take(self.0.get_mut())
    }
}
