//! Traces in temporary directories, and batches as text.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, clippy::must_use_candidate)] // a test may panic

use std::path::PathBuf;
use std::sync::Arc;

use agentgen_core::DatasetSpec;
use agentgen_core::config::{Config, preset};
use agentgen_trace::generate::{Shard, batches};
use agentgen_trace::manifest::{self, FileEntry, Manifest, Part, Written as Totals};
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::sink::file::digest;
use agentgen_trace::sink::table::write_table;
use agentgen_trace::source::{Source, open};
use agentgen_trace::{Cancel, FORMAT_VERSION, Layout, Origin, Overrides, TraceMeta};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, Int64Type, UInt32Type};
use arrow_array::{Array, RecordBatch};
use tempfile::TempDir;

/// A temporary directory.
pub struct Written(TempDir);

impl Written {
    /// A temporary directory with one file.
    pub fn new(name: &str, text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), text).unwrap();
        Self(dir)
    }

    /// Path of a file in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a manifest that lists one file, as it is if it is there.
    pub fn manifest(&self, file: &str, layout: Layout, block_size: u32, (index, count): (u64, u64)) {
        let missing = FileEntry { name: file.into(), bytes: 1, sha256: String::new() };
        let files = vec![digest(&self.path(file)).unwrap_or(missing)];
        self.write_manifest(&Manifest { layout, block_size, files, ..plain_manifest(index, count) });
    }

    /// Writes the manifest of a merged set of run directories.
    pub fn set_of(&self, dirs: &[PathBuf]) {
        let parts = dirs.iter().map(|dir| {
            let path = format!("../{}", dir.components().next_back().unwrap().as_os_str().to_str().unwrap());
            let manifest_sha256 = digest(&dir.join("manifest.json")).unwrap().sha256;
            Part { path, manifest_sha256 }
        });
        self.write_manifest(&Manifest { parts: parts.collect(), ..plain_manifest(0, 1) });
    }

    fn write_manifest(&self, manifest: &Manifest) {
        std::fs::write(self.path(manifest::FILE_NAME), serde_json::to_vec(manifest).unwrap()).unwrap();
    }
}

fn plain_manifest(index: u64, count: u64) -> Manifest {
    Manifest {
        schema_version: manifest::SCHEMA_VERSION,
        program: "agentgen".into(),
        format_version: FORMAT_VERSION,
        created: "2026-01-01T00:00:00Z".into(),
        layout: Layout::Incremental,
        block_size: 512,
        linked: false,
        origin: Some(Origin { config: config("default"), overrides: Overrides::default(), seed: 42, sessions: 2 }),
        import: None,
        shard: manifest::Shard { index, count },
        formats: vec!["jsonl".into()],
        compression: "none".into(),
        written: Totals::default(),
        effective: serde_json::Value::Null,
        warnings: vec![],
        files: vec![],
        parts: vec![],
    }
}

/// A preset as a configuration.
pub fn config(name: &str) -> Config {
    serde_json::from_str(preset(name).unwrap()).unwrap()
}

/// A generated trace in memory.
pub struct Generated {
    /// Its metadata.
    pub meta: TraceMeta,
    /// All rows.
    pub batches: Vec<RecordBatch>,
}

/// Shard `index` of `count` of a data set.
pub fn generated(config: Config, sessions: u64, layout: Layout, shard: (u64, u64)) -> Generated {
    seeded(config, 42, sessions, layout, shard)
}

/// Shard `index` of `count` of a data set with a seed.
pub fn seeded(config: Config, seed: u64, sessions: u64, layout: Layout, (index, count): (u64, u64)) -> Generated {
    let overrides = Overrides::default();
    let spec = Arc::new(DatasetSpec::new(&config, overrides, seed, sessions, layout).unwrap());
    let block_size = config.block_size;
    let origin = Some(Origin { config, overrides, seed, sessions });
    let meta = TraceMeta { layout, block_size, linked: false, format_version: Some(FORMAT_VERSION), origin };
    let shard = Arc::new(Shard::new(spec, index, count, 1, &Cancel::default()).expect("not cancelled"));
    let schema = schema(&Column::ALL, &meta);
    let batches = batches(&shard, &schema, 2, &Cancel::default()).collect::<Result<_, _>>().unwrap();
    Generated { meta, batches }
}

impl Generated {
    /// Writes it to a file of `dir`; the extension of `name` selects the format.
    pub fn write(&self, dir: &Written, name: &str) -> PathBuf {
        let path = dir.path(name);
        let batches = self.batches.clone().into_iter().map(Ok);
        let schema = schema(&Column::ALL, &self.meta);
        write_table(batches, &schema, self.meta.layout, &path, 2, &Cancel::default()).unwrap();
        path
    }
}

/// Path of a file of the shared traces, in the folder named by `AGENTGEN_SHARED_DATA` (default: `../shared/data` beside
/// the checkout). Panics if the file is missing; tests that call it are `#[ignore]`d, so that they run only on request.
pub fn shared(name: &str) -> PathBuf {
    let folder = std::env::var_os("AGENTGEN_SHARED_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{}: no such file (set AGENTGEN_SHARED_DATA to the folder of the shared traces)",
        path.display()
    );
    path
}

/// Panics with the first row that differs.
pub fn assert_rows(found: &[String], expected: &[String], what: &str) {
    if let Some((found, expected)) = found.iter().zip(expected).find(|(a, b)| a != b) {
        panic!("{what}:\n   found {found}\nexpected {expected}");
    }
    assert_eq!(found.len(), expected.len(), "{what}: rows");
}

/// All batches with all columns; checks that the number of threads makes no difference.
pub fn read(source: &Source) -> Vec<RecordBatch> {
    let read = |threads| -> Vec<RecordBatch> {
        let batches = open(source, &Column::ALL, threads, &Cancel::default()).unwrap();
        batches.collect::<Result<_, _>>().unwrap()
    };
    let batches = read(3);
    assert!(rows(&batches) == rows(&read(1)));
    batches
}

/// Rows as text, for comparison: session, turn, group, input, context, output, delay, timestamp, ids, restart, parent, end.
pub fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches {
        let column = |c: Column| batch.column_by_name(c.name()).unwrap();
        let number = |c, i: usize| column(c).as_primitive::<UInt32Type>().value(i);
        let name = |c, i: usize| Some(column(c).as_string_view()).filter(|a| a.is_valid(i)).map_or("-", |a| a.value(i));
        let time = |c, i: usize| {
            let times = column(c).as_primitive::<Float64Type>();
            if times.is_valid(i) { format!("{:?}", times.value(i)) } else { "-".into() }
        };
        let groups = column(Column::GroupId).as_primitive::<UInt32Type>();
        let ends = column(Column::EndReason).as_dictionary::<Int8Type>();
        for i in 0..batch.num_rows() {
            let group = if groups.is_valid(i) { groups.value(i).to_string() } else { "-".into() };
            let ids = column(Column::HashIds).as_list::<i64>().value(i);
            let end = ends.key(i).map_or("-", |key| ends.values().as_string::<i32>().value(key));
            rows.push(format!(
                "{} {} g{group} {} {} {} {} {} {:?} {} {} {end}",
                name(Column::SessionId, i),
                number(Column::TurnIndex, i),
                number(Column::InputLength, i),
                number(Column::ContextLength, i),
                number(Column::OutputLength, i),
                time(Column::DelayMs, i),
                time(Column::TimestampMs, i),
                &ids.as_primitive::<Int64Type>().values()[..],
                column(Column::IsRestart).as_boolean().value(i),
                name(Column::ParentSessionId, i),
            ));
        }
    }
    rows
}
