//! What the API server was asked, by whom and when: its audit log, read on as it grows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

/// A request that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) user: String,
    pub(crate) verb: String,
    /// With the subresource behind a slash, if there is one.
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) code: u16,
    pub(crate) received: Timestamp,
    pub(crate) answered: Timestamp,
}

impl Request {
    /// Whether it changed something.
    pub(crate) fn is_write(&self) -> bool {
        self.code < 400
            && matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete")
            && self.resource != "events"
    }

    /// Whether it read something; watches don't count.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.verb.as_str(), "get" | "list")
    }
}

/// The log, read up to some point.
pub(crate) struct Log {
    path: PathBuf,
    read: u64,
    /// A line that has not been written to its end.
    rest: String,
    /// All requests so far.
    pub(crate) requests: Vec<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
}

impl Log {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: 0, rest: String::new(), requests: Vec::new() }
    }

    /// Reads on to the present end.
    pub(crate) fn read_on(&mut self) {
        let mut file = File::open(&self.path).expect("the audit log");
        file.seek(SeekFrom::Start(self.read)).expect("a position");
        let before = self.rest.len();
        file.read_to_string(&mut self.rest).expect("text");
        self.read += (self.rest.len() - before) as u64;
        let Some(end) = self.rest.rfind('\n') else { return };
        let tail = self.rest.split_off(end + 1);
        for line in std::mem::replace(&mut self.rest, tail).lines() {
            let Ok(line) = serde_json::from_str::<Line>(line) else { continue };
            let Object { mut resource, subresource, name } = line.object_ref;
            if !subresource.is_empty() {
                resource = format!("{resource}/{subresource}");
            }
            self.requests.push(Request {
                user: line.user.username,
                verb: line.verb,
                resource,
                name,
                code: line.response_status.code,
                received: line.request_received_timestamp,
                answered: line.stage_timestamp,
            });
        }
    }
}
