//! What a controller makes of a look: writes, and when to look again.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::history::Place;
use crate::object;
use crate::request::Request;
use crate::resource::Catalog;

/// What follows from a look at the present state.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// To be carried out in this order. None relies on another.
    pub(super) writes: Vec<Write>,
    /// When to look again although nothing changes.
    pub(super) again: Option<Timestamp>,
}

/// A request in the making. What it is about is told from its place.
#[derive(Debug)]
pub(super) struct Write {
    method: &'static str,
    place: Place,
    subresource: &'static str,
    content_type: &'static str,
    body: Value,
}

impl Step {
    /// These writes alone.
    pub(super) fn of(writes: Vec<Write>) -> Self {
        Self { writes, again: None }
    }

    /// Nothing but another look.
    pub(super) fn at(again: Option<Timestamp>) -> Self {
        Self { writes: Vec::new(), again }
    }
}

impl Write {
    /// Creates an object in the collection of `place`.
    pub(super) fn create(resource: &str, object: Value) -> Self {
        let namespace = object::text(&object, "namespace").to_owned();
        let place = Place { resource: resource.to_owned(), namespace, name: String::new() };
        Self { method: "POST", place, subresource: "", content_type: "application/json", body: object }
    }

    /// Replaces an object, if it is still in the version of `object`.
    pub(super) fn update(place: &Place, object: Value) -> Self {
        Self { method: "PUT", place: place.clone(), subresource: "", content_type: "application/json", body: object }
    }

    /// Replaces an object's status, if it is still in the version of `object`.
    pub(super) fn status(place: &Place, object: Value) -> Self {
        Self { subresource: "/status", ..Self::update(place, object) }
    }

    /// Replaces what a namespace still waits for.
    pub(super) fn finalize(place: &Place, object: Value) -> Self {
        Self { subresource: "/finalize", ..Self::update(place, object) }
    }

    /// Puts a pod on a node.
    pub(super) fn bind(place: &Place, node: &str) -> Self {
        let target = json!({"apiVersion": "v1", "kind": "Node", "name": node});
        let body = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": place.name}, "target": target});
        Self { method: "POST", subresource: "/binding", ..Self::update(place, body) }
    }

    /// A merge patch.
    pub(super) fn merge(place: &Place, patch: Value) -> Self {
        let content_type = "application/merge-patch+json";
        Self { method: "PATCH", content_type, ..Self::update(place, patch) }
    }

    /// A merge patch of the status.
    pub(super) fn merge_status(place: &Place, status: &Value) -> Self {
        Self { subresource: "/status", ..Self::merge(place, json!({"status": status})) }
    }

    /// Deletes this very object. `policy` says what becomes of its dependents; its own default, if that is empty.
    pub(super) fn delete(place: &Place, object: &Value, policy: &str) -> Self {
        let uid = object::text(object, "uid");
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
        if !policy.is_empty() {
            body["propagationPolicy"] = policy.into();
        }
        Self { method: "DELETE", ..Self::update(place, body) }
    }

    /// Deletes this very pod, whose containers have ended.
    pub(super) fn delete_now(place: &Place, object: &Value) -> Self {
        let mut delete = Self::delete(place, object, "");
        delete.body["gracePeriodSeconds"] = 0.into();
        delete
    }

    /// The request, made by `agent`; `None` if its resource is no more.
    pub(super) fn request(&self, catalog: &Catalog, agent: &str) -> Option<Request> {
        let mut request = Request::new(self.method, &(catalog.path(&self.place)? + self.subresource));
        self.content_type.clone_into(&mut request.content_type);
        agent.clone_into(&mut request.user_agent);
        request.body = self.body.to_string().into_bytes();
        Some(request)
    }
}

/// So many seconds later.
pub(super) fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(time)
}

/// The earlier of two times.
pub(super) fn sooner(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
