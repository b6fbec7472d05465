//! Bodies as they are before the compression of `Content-Encoding`, part by part.

use std::fmt;
use std::io::{self, Write};

use flate2::write::{MultiGzDecoder, ZlibDecoder};

/// Largest buffer of brotli, bytes.
const BROTLI_BUFFER: usize = 4_096;
/// Largest window of zstd, as a power of two.
const ZSTD_WINDOW: u32 = 27;

/// Undoes a compression.
pub enum Decoder {
    /// There is none.
    Plain,
    /// One that is known.
    Known(Box<dyn Decompress + Send>),
    /// One that is not known, or data that does not have it.
    Unreadable,
}

/// Most bytes that one part may hold.
const MAX_PART_BYTES: usize = 64 << 20;

/// Takes decoded bytes, up to the limit.
#[derive(Debug, Default)]
struct Sink(Vec<u8>);

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.0.len() + data.len() > MAX_PART_BYTES {
            return Err(io::Error::other("too much data"));
        }
        self.0.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A decoder that is written to.
pub trait Decompress {
    /// Writes compressed bytes; returns what they hold.
    fn add(&mut self, data: &[u8]) -> io::Result<Vec<u8>>;
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Known(_) => "Known",
            Self::Unreadable => "Unreadable",
        })
    }
}

impl Decoder {
    /// The decoder of a header `Content-Encoding`.
    pub fn new(encoding: Option<&str>) -> Self {
        match encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "identity") => Self::Plain,
            Some("gzip" | "x-gzip") => Self::Known(Box::new(MultiGzDecoder::new(Sink::default()))),
            Some("deflate") => Self::Known(Box::new(ZlibDecoder::new(Sink::default()))),
            Some("br") => Self::Known(Box::new(brotli::DecompressorWriter::new(Sink::default(), BROTLI_BUFFER))),
            Some("zstd") => zstd_decoder().map_or(Self::Unreadable, |decoder| Self::Known(Box::new(decoder))),
            Some(_) => Self::Unreadable,
        }
    }

    /// Gives what the data holds to `take`; nothing once the data cannot be read.
    pub fn add(&mut self, data: &[u8], take: impl FnOnce(&[u8])) {
        match self {
            Self::Plain => take(data),
            Self::Unreadable => {}
            Self::Known(decoder) => match decoder.add(data) {
                Ok(data) => take(&data),
                Err(_) => *self = Self::Unreadable,
            },
        }
    }

    /// Whether everything so far could be read.
    pub fn is_readable(&self) -> bool {
        !matches!(self, Self::Unreadable)
    }
}

fn zstd_decoder() -> io::Result<zstd::stream::write::Decoder<'static, Sink>> {
    let mut decoder = zstd::stream::write::Decoder::new(Sink::default())?;
    decoder.window_log_max(ZSTD_WINDOW)?;
    Ok(decoder)
}

impl Decompress for MultiGzDecoder<Sink> {
    fn add(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        self.write_all(data)?;
        self.flush()?;
        Ok(std::mem::take(&mut self.get_mut().0))
    }
}

impl Decompress for ZlibDecoder<Sink> {
    fn add(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        self.write_all(data)?;
        self.flush()?;
        Ok(std::mem::take(&mut self.get_mut().0))
    }
}

impl Decompress for brotli::DecompressorWriter<Sink> {
    fn add(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        self.write_all(data)?;
        self.flush()?;
        Ok(std::mem::take(&mut self.get_mut().0))
    }
}

impl Decompress for zstd::stream::write::Decoder<'_, Sink> {
    fn add(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        self.write_all(data)?;
        self.flush()?;
        Ok(std::mem::take(&mut self.get_mut().0))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    fn compressed(encoding: &str, text: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::fast();
        match encoding {
            "gzip" => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            "br" => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4_096, 5, 22).write_all(text).unwrap();
                out
            }
            "zstd" => zstd::encode_all(text, 1).unwrap(),
            _ => text.to_vec(),
        }
    }

    #[test]
    fn parts_of_any_size_give_the_text() {
        let text: Vec<u8> = (0..5_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        for encoding in ["gzip", "deflate", "br", "zstd", "identity"] {
            for size in [1, 7, 100_000] {
                let mut decoder = Decoder::new(Some(encoding));
                let mut found = Vec::new();
                for part in compressed(encoding, &text).chunks(size) {
                    decoder.add(part, |data| found.extend_from_slice(data));
                }
                assert!(decoder.is_readable() && found == text, "{encoding} {size}");
            }
        }
    }

    #[test]
    fn data_that_is_not_compressed_is_not_read() {
        for encoding in ["gzip", "deflate", "br", "zstd", "other"] {
            let mut decoder = Decoder::new(Some(encoding));
            let mut found = Vec::new();
            for _ in 0..3 {
                decoder.add(&[0xfe; 300], |data| found.extend_from_slice(data));
            }
            assert!(!decoder.is_readable() && found.is_empty(), "{encoding}");
        }
    }
}
