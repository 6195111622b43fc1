//! What the API server was asked, by whom, and what it answered: its audit log.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::{OPERATOR, World, let_time_pass, wait_for};

/// In which all that is to be told is told. Events are sent one after the other, with a rest after each: those of five hundred
/// Applications take from half a minute on a machine that is awake to three on one that has to wake up for each.
const TELLING: Duration = Duration::from_mins(10);

/// A request that the API server has answered. A watch is answered when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) user: String,
    pub(crate) verb: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) code: u64,
    /// The path, and what is asked for behind it.
    pub(crate) uri: String,
    /// When it came.
    pub(crate) at: Timestamp,
}

impl Request {
    fn parse(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |path: &str| line.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self {
            user: text("/user/username"),
            verb: text("/verb"),
            resource: text("/objectRef/resource"),
            subresource: text("/objectRef/subresource"),
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            uri: text("/requestURI"),
            code: line.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
            at: text("/requestReceivedTimestamp").parse().ok()?,
        })
    }

    /// Returns true for anything but a read, and but for events.
    pub(crate) fn is_write_of(&self, user: &str) -> bool {
        self.user == user && self.resource != "events" && !self.is_read()
    }

    /// Returns true for a get, a list and a watch.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

impl World {
    /// Every request that was answered before this call.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.audit_log().lines().filter_map(Request::parse).collect()
    }

    /// The operator's requests.
    pub(crate) fn requests_of_operator(&self) -> Vec<Request> {
        self.requests_of(OPERATOR)
    }

    /// A user's requests.
    pub(crate) fn requests_of(&self, user: &str) -> Vec<Request> {
        let log = self.audit_log();
        let own = log.lines().filter(|line| line.contains(user)).filter_map(Request::parse);
        own.filter(|request| request.user == user).collect()
    }

    /// What a user asks for in a while, but for watches, which have been open before or take the place of one, and but for what
    /// is about the resources `beside`.
    pub(crate) fn requests_during(&self, time: Duration, user: &str, beside: &[&str]) -> Vec<Request> {
        let before = self.requests_of(user).len();
        let_time_pass(time);
        let mut requests = self.requests_of(user).split_off(before);
        requests.retain(|request| request.verb != "watch" && !beside.contains(&&*request.resource));
        requests
    }

    /// A user's requests, once there are [none of these](Self::requests_during) for as long as `quiet`. The last are events.
    #[track_caller]
    pub(crate) fn wait_for_silence(&self, quiet: Duration, user: &str, beside: &[&str]) -> Vec<Request> {
        let start = Instant::now();
        loop {
            let requests = self.requests_during(quiet, user, beside);
            if requests.is_empty() {
                return self.requests_of(user);
            }
            assert!(start.elapsed() < TELLING, "waited {TELLING:?} in vain for silence of {user}: {requests:#?}");
        }
    }

    /// The operator's requests that it had no permission for.
    pub(crate) fn forbidden(&self) -> Vec<String> {
        let log = fs::read_to_string(self.cluster.audit_log()).expect("the audit log");
        let refused = log.lines().filter(|line| line.contains(r#""authorization.k8s.io/decision":"forbid""#));
        refused.filter(|line| line.contains(OPERATOR)).map(str::to_owned).collect()
    }

    fn audit_log(&self) -> String {
        static MARK: AtomicU32 = AtomicU32::new(0);
        // A line may come a moment after its answer; once this one is there, so are those of earlier answers.
        let mark = format!("/api/v1/namespaces/mark-{}", MARK.fetch_add(1, Ordering::Relaxed));
        self.api.get(&mark);
        let mark = format!("{mark}\"");
        wait_for("the audit log to be written", || {
            let log = fs::read_to_string(self.cluster.audit_log()).expect("the audit log");
            log.contains(&mark).then_some(log)
        })
    }
}
