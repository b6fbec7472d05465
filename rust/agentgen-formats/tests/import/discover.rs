//! Which files a source has.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use agentgen_formats::import::Recording;
use agentgen_formats::import::discover::{Environment, discover};
use agentgen_formats::import::formats::{Format, Head, in_home};

use crate::support::Folder;

fn never(_: &Head) -> bool {
    false
}

#[allow(clippy::unnecessary_wraps)] // what a reader returns
fn nothing(_: &Path) -> agentgen_trace::error::Result<Recording> {
    Ok(Recording::default())
}

fn home(environment: Environment) -> Vec<PathBuf> {
    in_home(environment, ".agent/sessions").into_iter().collect()
}

const LOGS: Format = Format {
    name: "logs",
    title: "logs",
    extensions: &["jsonl", "json"],
    recognises: never,
    read: nothing,
    default_folders: home,
};

fn found(folder: &Folder, sources: &[&str]) -> Result<Vec<String>, String> {
    let sources: Vec<PathBuf> = sources.iter().map(|s| folder.path(s)).collect();
    let home = folder.0.path().as_os_str().to_owned();
    let environment = move |name: &str| (name == "HOME").then(|| home.clone());
    let found = discover(&sources, &[&LOGS], &environment).map_err(|e| e.to_string())?;
    assert_eq!(found.problems, []);
    Ok(folder.names(found.files.iter().map(|f| f.path.as_path())))
}

fn some_files() -> Folder {
    Folder::new(&[
        ("a/2.jsonl", b"x"),
        ("a/1.jsonl.gz", b"x"),
        ("a/b/3.json.zst", b"x"),
        ("a/sessions-index.json", b"x"),
        ("a/history.jsonl", b"x"),
        ("a/agent-1.meta.json", b"x"),
        ("a/request_dump_1.json", b"x"),
        ("a/notes.txt", b"x"),
        ("a/jsonl", b"x"),
        ("a/tool-results/4.jsonl", b"x"),
        (".agent/sessions/5.jsonl", b"x"),
    ])
}

#[test]
fn folders_give_the_files_with_the_endings_of_the_formats() {
    let folder = some_files();
    assert_eq!(found(&folder, &["a"]).unwrap(), ["a/1.jsonl.gz", "a/2.jsonl", "a/b/3.json.zst"]);
}

#[test]
fn a_named_file_is_taken_whatever_its_name() {
    let folder = some_files();
    assert_eq!(found(&folder, &["a/notes.txt", "a/history.jsonl"]).unwrap(), ["a/history.jsonl", "a/notes.txt"]);
}

#[test]
fn patterns_match_files_and_folders() {
    let folder = some_files();
    assert_eq!(found(&folder, &["a/*.jsonl"]).unwrap(), ["a/2.jsonl"]);
    assert_eq!(found(&folder, &["a/**/*.zst"]).unwrap(), ["a/b/3.json.zst"]);
    assert_eq!(found(&folder, &["a/b*"]).unwrap(), ["a/b/3.json.zst"]);
    assert!(found(&folder, &["a/[.jsonl"]).unwrap_err().contains("expected a valid pattern"));
}

#[test]
fn no_file_is_read_twice() {
    let folder = some_files();
    assert_eq!(found(&folder, &["a/2.jsonl", "a", "a/b/../2.jsonl"]).unwrap().len(), 3);
}

#[test]
fn default_folders_are_searched_without_a_source() {
    let folder = some_files();
    assert_eq!(found(&folder, &[]).unwrap(), [".agent/sessions/5.jsonl"]);
    let empty = Folder::new(&[]);
    let error = found(&empty, &[]).unwrap_err();
    let looked = empty.path(".agent/sessions");
    let expected = format!("expected files in {} (name a file or a folder)", looked.display());
    assert!(error.ends_with(&expected), "{error}");
}

#[test]
fn a_source_without_a_file_is_an_error() {
    let folder = some_files();
    assert!(found(&folder, &["missing"]).unwrap_err().contains("missing"));
    std::fs::create_dir(folder.path("empty")).unwrap();
    assert!(found(&folder, &["empty"]).unwrap_err().ends_with("expected files that end in json, jsonl"));
    assert!(found(&folder, &["*.none"]).is_err());
}

#[cfg(unix)]
#[test]
fn links_that_lead_in_a_circle_end() {
    let folder = some_files();
    std::os::unix::fs::symlink(folder.path("a"), folder.path("a/b/again")).unwrap();
    std::os::unix::fs::symlink(folder.path("a/2.jsonl"), folder.path("a/b/same.jsonl")).unwrap();
    assert_eq!(found(&folder, &["a"]).unwrap().len(), 3);
    assert_eq!(found(&folder, &["a/**/*.jsonl*"]).unwrap(), ["a/1.jsonl.gz", "a/2.jsonl"]);
}

#[test]
fn the_environment_names_the_home_directory() {
    let none = |_: &str| None::<OsString>;
    assert_eq!(in_home(&none, "x"), None);
    let windows = |name: &str| (name == "USERPROFILE").then(|| OsString::from("u"));
    assert_eq!(in_home(&windows, "x"), Some(Path::new("u").join("x")));
}
