//! A position in the history → the events after it, as a watch tells them.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::decode;
use crate::failure::{Cause, Failure};
use crate::history::{Change, Place};
use crate::object;
use crate::read;
use crate::resource::{Nature, Resource};
use crate::selector::Selector;
use crate::state::{Call, State};
use crate::view::View;

/// How long a watch goes on if nothing else is asked for, in seconds: the least of the real server's
/// (`--min-request-timeout`).
const DEFAULT_TIMEOUT: i64 = 1_800;

/// How often a watch that wants bookmarks gets one, in seconds: about as often as from the real server.
const BOOKMARK_PERIOD: i64 = 60;

/// A watch. It holds no connection: events are asked of it.
#[derive(Debug)]
pub struct Watch {
    collection: String,
    namespace: String,
    name: String,
    selector: Selector,
    resource: Arc<Resource>,
    view: View,
    /// The object of a bookmark, without its version.
    empty: Value,
    /// All up to this version has been told.
    version: u64,
    /// What comes before anything else.
    first: Vec<Value>,
    bookmarks: bool,
    next_bookmark: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    is_over: bool,
}

impl Watch {
    /// A watch of a collection.
    ///
    /// # Errors
    ///
    /// If the request makes no sense.
    pub fn start(state: &State, call: &Call<'_>) -> Result<Self, Failure> {
        let request = call.request;
        let wished = read::number(request.parameter("resourceVersion"))?;
        let initial = request.is_set("sendInitialEvents");
        check(request.parameter("sendInitialEvents"), request.parameter("resourceVersionMatch"))?;
        let seconds = request.parameter("timeoutSeconds").parse().ok().filter(|seconds| *seconds > 0);
        let after = |seconds| call.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(call.now);
        let mut watch = Self {
            collection: call.collection(),
            namespace: call.target.namespace.clone(),
            name: call.target.name.clone(),
            selector: read::selector(call)?,
            resource: call.resource.clone(),
            view: View::of(state, call)?,
            empty: empty(&call.resource),
            version: wished.unwrap_or(0),
            first: Vec::new(),
            bookmarks: request.is_set("allowWatchBookmarks"),
            next_bookmark: after(BOOKMARK_PERIOD),
            until: after(seconds.unwrap_or(DEFAULT_TIMEOUT)),
            is_over: false,
        };
        if initial || request.parameter("sendInitialEvents").is_empty() && watch.version == 0 {
            watch.version = state.history.version();
            let all = state.history.list(&watch.collection, &watch.namespace, watch.version);
            let wanted = all.iter().filter(|object| watch.wants(object));
            watch.first = wanted.map(|object| json!({"type": "ADDED", "object": **object})).collect();
            if initial && watch.bookmarks {
                let end = json!({"k8s.io/initial-events-end": "true"});
                let bookmark = watch.bookmark(Some(end));
                watch.first.push(bookmark);
            }
        } else if watch.version == 0 {
            watch.version = state.history.version();
        }
        Ok(watch)
    }

    /// What has happened since the last time, as the client wants to see it. An event is `{"type": …, "object": …}`.
    pub fn poll(&mut self, state: &State, now: Timestamp) -> Vec<Value> {
        let events = self.events(state, now);
        events.into_iter().map(|event| self.view.show_event(&self.resource, event, now)).collect()
    }

    fn events(&mut self, state: &State, now: Timestamp) -> Vec<Value> {
        let mut events = std::mem::take(&mut self.first);
        if self.version < state.history.compacted() && !self.is_over {
            let (asked, oldest) = (self.version, state.history.compacted());
            let gone = Failure::expired(format!("too old resource version: {asked} ({oldest})"));
            events.push(json!({"type": "ERROR", "object": gone.render()}));
            self.is_over = true;
        }
        if self.is_over {
            return events;
        }
        events.extend(state.history.since(self.version).filter_map(|change| self.event(change)));
        self.version = self.version.max(state.history.version());
        // It ends with the definition of its resource.
        let Resource { group, version, plural, .. } = &*self.resource;
        self.is_over = state.catalog.get(group, version, plural).is_none();
        if self.bookmarks && now >= self.next_bookmark {
            self.next_bookmark = now.saturating_add(SignedDuration::from_secs(BOOKMARK_PERIOD)).unwrap_or(now);
            events.push(self.bookmark(None));
        }
        events
    }

    /// Whether nothing comes any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.is_over || now >= self.until
    }

    /// When something is due although nothing happens: a bookmark, or the end.
    pub fn due(&self) -> Timestamp {
        if self.bookmarks { self.next_bookmark.min(self.until) } else { self.until }
    }

    fn wants(&self, object: &Value) -> bool {
        (self.name.is_empty() || object::text(object, "name") == self.name) && self.selector.matches(object)
    }

    fn covers(&self, place: &Place) -> bool {
        place.resource == self.collection && (self.namespace.is_empty() || place.namespace == self.namespace)
    }

    fn event(&self, change: &Change) -> Option<Value> {
        if !self.covers(&change.place) {
            return None;
        }
        let was = change.old.as_ref().filter(|old| self.wants(old));
        let is = !change.is_deletion && self.wants(&change.new);
        let (kind, object) = match (was, is) {
            (None, true) => ("ADDED", Value::clone(&change.new)),
            (Some(_), true) => ("MODIFIED", Value::clone(&change.new)),
            // What is no longer selected is told as it was, under the version of the change.
            (Some(old), false) => ("DELETED", {
                let mut old = if change.is_deletion { Value::clone(&change.new) } else { Value::clone(old) };
                object::set(&mut old, "resourceVersion", Some(change.version.to_string().into()));
                old
            }),
            (None, false) => return None,
        };
        Some(json!({"type": kind, "object": object}))
    }

    fn bookmark(&self, annotations: Option<Value>) -> Value {
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        let mut object = self.empty.clone();
        object["metadata"] = metadata;
        json!({"type": "BOOKMARK", "object": object})
    }
}

/// The empty object of a resource, as Go writes it.
fn empty(resource: &Resource) -> Value {
    let mut empty = if resource.is_builtin() { resource.zero() } else { json!({}) };
    empty["kind"] = resource.kind.as_str().into();
    empty["apiVersion"] = resource.api_version().into();
    if let Some(status) = resource.schema.field("status").filter(|_| resource.is_builtin()) {
        empty["status"] = decode::empty(status);
    }
    // Between the type that the real server keeps and the one that it shows, no replicas become none.
    if matches!(resource.nature, Nature::Deployment | Nature::ReplicaSet) {
        empty["spec"]["replicas"] = 0.into();
    }
    if resource.nature == Nature::ReplicaSet {
        empty["status"]["replicas"] = 0.into();
    }
    empty
}

fn check(initial: &str, matching: &str) -> Result<(), Failure> {
    let (field, mut causes) = ("resourceVersionMatch", Vec::new());
    if initial.is_empty() && !matching.is_empty() {
        let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        causes.push(Cause::forbidden(field, why));
    }
    if !initial.is_empty() && matching != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(Cause::forbidden(field, why));
    }
    if !matches!(matching, "" | "NotOlderThan") {
        causes.push(Cause::unsupported(field, &format!("{matching:?}"), &["NotOlderThan"]));
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::options("ListOptions", &causes)) }
}
