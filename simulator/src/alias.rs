//! `events.k8s.io/v1` and the core's events: the same objects under two sets of names.
//!
//! They are kept as the core has them, in one collection.

use serde_json::Value;

use crate::object;
use crate::request::Request;
use crate::resource::Resource;

/// The group whose events are the core's.
const GROUP: &str = "events.k8s.io";

/// The names of a field in the core, and in the group.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Whether a resource's objects are kept under another's names.
pub fn is_alias(resource: &Resource) -> bool {
    resource.group == GROUP && resource.plural == "events"
}

/// The request by which a write to the group becomes one to the core.
pub fn request(request: &Request) -> Request {
    let mut core = request.clone();
    core.path = request.path.replacen("/apis/events.k8s.io/v1/", "/api/v1/", 1);
    // A body of another kind is refused as the core refuses it.
    if let Ok(Value::Object(body)) = serde_json::from_slice(&request.body)
        && request.method != "DELETE"
    {
        let mut body = Value::Object(body);
        rename(&mut body, |(core, group)| (group, core));
        if body.get("apiVersion").is_some() {
            body["apiVersion"] = "v1".into();
        }
        core.body = body.to_string().into_bytes();
    }
    core
}

/// An event, or a list of them, as the group shows it.
pub fn shown(mut body: Value) -> Value {
    match body.get_mut("items").and_then(Value::as_array_mut) {
        Some(items) => items.iter_mut().for_each(|item| rename(item, |names| names)),
        None => rename(&mut body, |names| names),
    }
    if matches!(body["kind"].as_str(), Some("Event" | "EventList")) {
        body["apiVersion"] = "events.k8s.io/v1".into();
    }
    body
}

type Names = (&'static str, &'static str);

fn rename(event: &mut Value, order: impl Fn(Names) -> Names) {
    let event = object::map(event);
    for (from, to) in NAMES.map(order) {
        if let Some(value) = event.remove(from) {
            event.insert(to.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_of_the_group_is_one_of_the_core() {
        let mut sent = Request::new("POST", "/apis/events.k8s.io/v1/namespaces/blue/events");
        let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "note": "x", "regarding": {"name": "a"}});
        sent.body = event.to_string().into_bytes();
        let core = request(&sent);
        assert_eq!(core.path, "/api/v1/namespaces/blue/events");
        let kept: Value = serde_json::from_slice(&core.body).unwrap();
        assert_eq!(kept, json!({"apiVersion": "v1", "kind": "Event", "message": "x", "involvedObject": {"name": "a"}}));
        assert_eq!(shown(kept), event);
    }
}
