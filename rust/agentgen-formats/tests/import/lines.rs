//! Lines of files that may be compressed, damaged, or still being written.

use std::fmt::Write as _;
use std::io::Write;

use agentgen_formats::import::Recording;
use agentgen_formats::import::lines::{BadLine, TRUNCATED, read_document, read_lines};
use agentgen_formats::import::time::{duration_ms, elapsed, epoch_ms, iso_ms};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::support::Folder;

/// The numbers that the lines hold, and what was found.
fn read(bytes: &[u8]) -> (Vec<(u64, u64)>, Recording) {
    let folder = Folder::new(&[("f", bytes)]);
    let (mut recording, mut rows) = (Recording::default(), Vec::new());
    read_lines(&folder.path("f"), &mut recording, |line, number| {
        let value = serde_json::from_str::<Value>(line)?;
        rows.push((number, value.as_u64().ok_or_else(|| BadLine::new("not a number"))?));
        Ok(())
    })
    .unwrap();
    (rows, recording)
}

fn problems(recording: &Recording) -> Vec<(Option<u64>, &str)> {
    recording.problems.iter().map(|p| (p.line, p.reason.as_str())).collect()
}

#[test]
fn lines_have_their_numbers_and_may_be_compressed() {
    let text = b"\xef\xbb\xbf1\n\n 2 \r\n3";
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text).unwrap();
    for bytes in [text.to_vec(), gzip.finish().unwrap(), zstd::encode_all(&text[..], 1).unwrap()] {
        let (rows, recording) = read(&bytes);
        assert_eq!(rows, [(1, 1), (3, 2), (4, 3)]);
        assert_eq!(problems(&recording), []);
        assert!(recording.left_out.is_empty());
    }
}

#[test]
fn a_bad_line_costs_that_line_and_its_text_stays_in_the_file() {
    let (rows, recording) = read(b"1\nsecret\n\"secret\"\n{\"secret\n\xff\n2\n");
    assert_eq!(rows, [(1, 1), (6, 2)]);
    assert_eq!(
        problems(&recording),
        [
            (Some(2), "not JSON, at column 1"),
            (Some(3), "not a number"),
            (Some(4), "JSON that ends early, at column 8"),
            (Some(5), "bytes that are not UTF-8, at column 1"),
        ]
    );
}

#[test]
fn a_truncated_last_line_is_left_out() {
    for text in [&b"1\n[1, 2"[..], b"1\n\"\xc3", b"1\ntru"] {
        let (rows, recording) = read(text);
        assert_eq!(rows, [(1, 1)]);
        assert_eq!(problems(&recording), []);
        assert_eq!(recording.left_out[TRUNCATED], 1);
    }
    assert_eq!(problems(&read(b"1\n[1, 2\n").1).len(), 1);
}

#[test]
fn lines_before_damaged_data_count() {
    let mut lines = String::new();
    let mut random = 1_u64;
    for _ in 0..400_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        writeln!(lines, "{}", random >> 20).unwrap();
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let mut bytes = gzip.finish().unwrap();
    assert!(lines.len() > 5 << 20);
    bytes.truncate(bytes.len() - 9);
    let (rows, recording) = read(&bytes);
    assert!(!rows.is_empty());
    let [problem] = &recording.problems[..] else { panic!("{:?}", recording.problems) };
    assert_eq!(problem.line, None);
    assert!(problem.reason.starts_with("the gzip data is damaged or truncated"), "{}", problem.reason);
}

#[test]
fn a_document_that_cannot_be_read_is_one_problem() {
    let folder = Folder::new(&[("f", b"\xef\xbb\xbf[1,\n2]"), ("g", b"[1,"), ("h", b"[1] ")]);
    let sum = |name: &str| {
        let (mut recording, mut sum) = (Recording::default(), 0);
        read_document(&folder.path(name), &mut recording, |text, _| {
            sum = serde_json::from_str::<Vec<u64>>(text)?.iter().sum();
            if sum == 1 { Err(BadLine::new("too small")) } else { Ok(()) }
        })
        .unwrap();
        (sum, recording.problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(sum("f"), (3, vec![]));
    assert_eq!(sum("g"), (0, vec![format!("{}: JSON that ends early, at column 3", folder.path("g").display())]));
    assert_eq!(sum("h"), (1, vec![format!("{}: too small", folder.path("h").display())]));
}

#[test]
fn times_are_milliseconds_since_the_epoch() {
    assert_eq!(iso_ms("1970-01-01T00:00:01.500Z"), Some(1500.0));
    assert_eq!(iso_ms("1970-01-01T01:00:00+01:00"), Some(0.0));
    assert_eq!(iso_ms("1970-01-01T00:00:00.123456"), Some(123.456));
    assert_eq!(iso_ms("1970-01-01 00:00:02"), Some(2000.0));
    assert_eq!(iso_ms("2023-11-16 18:15:46.6805900"), Some(1_700_158_546_680.59));
    assert_eq!(iso_ms("yesterday"), None);
    assert_eq!((iso_ms("1960-01-01T00:00:00Z"), iso_ms("9999-01-01T00:00:00Z")), (None, None));
    assert_eq!((epoch_ms(Some(5.0)), epoch_ms(Some(-1.0)), epoch_ms(Some(1e300))), (Some(5.0), None, None));
    assert_eq!((duration_ms(Some(5.0)), duration_ms(Some(-1.0)), duration_ms(Some(f64::NAN))), (Some(5.0), None, None));
    assert_eq!(elapsed(Some(1.0), Some(3.0)), Some(2.0));
    assert_eq!(elapsed(Some(3.0), Some(1.0)), None);
    assert_eq!(elapsed(None, Some(1.0)), None);
}
