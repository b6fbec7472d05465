//! The file with the texts of all conversations, if one is wanted.
//!
//! Requests wait in a temporary file. When the recording ends, those whose whole prompt another one begins with are left out,
//! and each other one is written as a conversation with its answer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use agentgen_formats::import::time::iso;
use agentgen_replay::answer::Endpoint;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::conversation::{answer_message, request_messages};
use crate::entry::Made;
use crate::request;
use crate::tap::Ended;

/// Level of the compression of what waits.
const LEVEL: i32 = 1;

/// A call as it waits.
#[derive(Serialize, Deserialize)]
struct Waiting {
    session: Option<String>,
    model: Option<String>,
    sent_ms: f64,
    end_ms: f64,
    tools: Value,
    messages: Vec<Value>,
}

/// Where a call waits.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    bytes: usize,
    /// The call whose conversation its own messages follow.
    before: Option<u64>,
}

/// Texts of calls.
#[derive(Debug)]
pub struct Texts {
    path: PathBuf,
    waiting: File,
    end: u64,
    /// Those that no other call has gone on with.
    last: BTreeMap<u64, Place>,
    /// Those that others follow by their ids.
    followed: BTreeMap<u64, Place>,
}

impl Texts {
    /// Begins; the file must not exist.
    pub fn begin(path: PathBuf) -> io::Result<Self> {
        if path.exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let waiting = tempfile::tempfile_in(folder(&path))?;
        Ok(Self { path, waiting, end: 0, last: BTreeMap::new(), followed: BTreeMap::new() })
    }

    /// Adds a call that has an answer.
    pub fn add(&mut self, made: &Made, ended: &Ended) -> io::Result<()> {
        let (call, extends) = (made.entry.call, made.extends);
        let Some((body, answer)) = ended.request.as_ref().zip(ended.answer.as_ref()) else { return Ok(()) };
        let Some(body) = request::decoded(body, ended.encoding.as_deref()) else { return Ok(()) };
        let Ok(body) = serde_json::from_slice::<Value>(&body) else { return Ok(()) };
        let mut messages = request_messages(ended.endpoint, &body);
        messages.push(answer_message(answer));
        let waiting = Waiting {
            session: made.session.clone(),
            model: body.get("model").and_then(Value::as_str).map(str::to_owned),
            sent_ms: ended.sent_ms,
            end_ms: ended.sent_ms + (ended.end_ns / 1_000_000) as f64,
            tools: body.get("tools").cloned().unwrap_or_default(),
            messages,
        };
        let bytes = zstd::encode_all(&*serde_json::to_vec(&waiting)?, LEVEL)?;
        self.waiting.write_all(&bytes)?;
        let place = Place { offset: self.end, bytes: bytes.len(), before: made.before };
        self.end += bytes.len() as u64;
        if let Some((extends, gone)) = extends.and_then(|call| Some((call, self.last.remove(&call)?)))
            && ended.endpoint == Endpoint::Responses
        {
            self.followed.insert(extends, gone);
        }
        self.last.insert(call, place);
        Ok(())
    }

    /// Writes the file, unless there is nothing to write; returns how many conversations it has.
    pub fn finish(mut self) -> io::Result<u64> {
        if self.last.is_empty() {
            return Ok(0);
        }
        let mut file = BufWriter::new(NamedTempFile::new_in(folder(&self.path))?);
        let last = std::mem::take(&mut self.last);
        for (call, place) in &last {
            let Waiting { session, model, sent_ms, end_ms, tools, mut messages } = self.read(*place)?;
            let mut at = place.before;
            while let Some(before) = at.and_then(|call| last.get(&call).or(self.followed.get(&call)).copied()) {
                let earlier = self.read(before)?.messages;
                // Instructions are those of the last response.
                let is_system = |message: &Value| message["role"] == "system";
                let (system, own): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_system);
                let earlier = earlier.into_iter().filter(|message| !is_system(message));
                messages = system.into_iter().chain(earlier).chain(own).collect();
                at = before.before;
            }
            let line = json!({
                "session_id": session.unwrap_or_else(|| format!("call-{call}")),
                "model": model,
                "session_start": iso(sent_ms),
                "last_updated": iso(end_ms),
                "tools": tools,
                "messages": messages,
            });
            serde_json::to_writer(&mut file, &line)?;
            file.write_all(b"\n")?;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&self.path).map_err(|error| error.error)?;
        Ok(last.len() as u64)
    }

    fn read(&mut self, place: Place) -> io::Result<Waiting> {
        let mut bytes = vec![0; place.bytes];
        self.waiting.seek(SeekFrom::Start(place.offset))?;
        self.waiting.read_exact(&mut bytes)?;
        Ok(serde_json::from_slice(&zstd::decode_all(&*bytes)?)?)
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
