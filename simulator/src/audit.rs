//! A request and what became of it → what an API server's audit log says of it: an `Event` of `audit.k8s.io/v1` at the level
//! `Metadata`, when it has been answered. Without an id, since nobody looks one up.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::request::{Request, Target};
use crate::user::User;

/// A request on its way.
#[derive(Debug, Clone)]
pub struct Entry {
    user: User,
    /// The user that `user` asks to be taken for.
    impersonated: Option<User>,
    verb: String,
    uri: String,
    agent: String,
    /// `None` for what is about no resource.
    target: Option<Target>,
    received: Timestamp,
}

impl Entry {
    /// A request that came at a time with this URI (path and query).
    pub fn new(user: User, impersonated: Option<User>, request: &Request, uri: &str, received: Timestamp) -> Self {
        let mut target = request.target().ok();
        let verb = verb(request, target.as_ref());
        if let Some(target) = target.as_mut().filter(|target| target.name.is_empty()) {
            target.name = match verb {
                "create" => created(&request.body),
                "list" | "watch" => selected(request.parameter("fieldSelector")),
                _ => String::new(),
            };
        }
        let verb = if verb.is_empty() { request.method.to_lowercase() } else { verb.to_owned() };
        Self { user, impersonated, verb, uri: uri.to_owned(), agent: request.user_agent.clone(), target, received }
    }

    /// The entry, once the request has been answered.
    pub fn render(&self, code: u16, now: Timestamp) -> Value {
        let mut event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "stage": "ResponseComplete",
            "requestURI": self.uri, "verb": self.verb, "user": self.user.render(), "userAgent": self.agent,
            "responseStatus": {"metadata": {}, "code": code},
            "requestReceivedTimestamp": micros(self.received), "stageTimestamp": micros(now),
        });
        if let Some(user) = &self.impersonated {
            event["impersonatedUser"] = user.render();
        }
        if let Some(target) = &self.target {
            event["objectRef"] = reference(target);
        }
        event
    }
}

/// The verb, as authorisation names it; empty for what is about no resource.
fn verb(request: &Request, target: Option<&Target>) -> &'static str {
    let Some(target) = target else { return "" };
    let is_one = !target.name.is_empty();
    match request.method.as_str() {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if is_one => "delete",
        "DELETE" => "deletecollection",
        _ if is_one => "get",
        _ if request.is_set("watch") => "watch",
        _ => "list",
    }
}

/// The name of an object that is to be created.
fn created(body: &[u8]) -> String {
    let object: Value = serde_json::from_slice(body).unwrap_or_default();
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The one name that a field selector lets through.
fn selected(selector: &str) -> String {
    let name = selector.split(',').find_map(|term| term.strip_prefix("metadata.name="));
    name.map_or("", |name| name.trim_start_matches('=')).to_owned()
}

/// What the request is about; fields that say nothing are left out.
fn reference(target: &Target) -> Value {
    // A namespace is in itself.
    let is_namespace = target.group.is_empty() && target.plural == "namespaces";
    let fields = [
        ("resource", &target.plural),
        ("namespace", if is_namespace { &target.name } else { &target.namespace }),
        ("name", &target.name),
        ("apiGroup", &target.group),
        ("apiVersion", &target.version),
        ("subresource", &target.subresource),
    ];
    let said = fields.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(field, value)| (field.to_owned(), Value::from(value.as_str()))).collect()
}

/// A `MicroTime`.
fn micros(time: Timestamp) -> String {
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(method: &str, uri: &str, body: &str) -> Value {
        let request = Request { body: body.as_bytes().to_vec(), ..Request::new(method, uri) };
        Entry::new(User::named("jane"), None, &request, uri, Timestamp::UNIX_EPOCH).render(200, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_entry_says_who_asked_what_and_when() {
        let event = entry("GET", "/apis/apps/v1/namespaces/shop/deployments/web/status", "");
        assert_eq!(event["user"]["username"], "jane");
        let about = json!({"resource": "deployments", "namespace": "shop", "name": "web", "apiGroup": "apps",
            "apiVersion": "v1", "subresource": "status"});
        assert_eq!((&event["verb"], &event["objectRef"]), (&json!("get"), &about));
        assert_eq!(event["responseStatus"]["code"], 200);
        assert_eq!(event["requestReceivedTimestamp"], "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn verbs_are_those_of_roles() {
        let maps = "/api/v1/namespaces/shop/configmaps";
        for (method, uri, verb) in [
            ("GET", maps.to_owned(), "list"),
            ("GET", format!("{maps}?watch=1"), "watch"),
            ("GET", format!("{maps}/a"), "get"),
            ("POST", maps.to_owned(), "create"),
            ("PUT", format!("{maps}/a"), "update"),
            ("PATCH", format!("{maps}/a"), "patch"),
            ("DELETE", format!("{maps}/a"), "delete"),
            ("DELETE", maps.to_owned(), "deletecollection"),
            ("GET", "/version".to_owned(), "get"),
        ] {
            assert_eq!(entry(method, &uri, "")["verb"], verb, "{method} {uri}");
        }
        assert_eq!(entry("GET", "/version", "").get("objectRef"), None);
    }

    #[test]
    fn a_name_is_found_in_path_body_and_selector() {
        let maps = "/api/v1/namespaces/shop/configmaps";
        assert_eq!(entry("POST", maps, r#"{"metadata": {"name": "a"}}"#)["objectRef"]["name"], "a");
        let watch = format!("{maps}?watch=1&fieldSelector=metadata.name%3Da");
        assert_eq!(entry("GET", &watch, "")["objectRef"]["name"], "a");
        let shop = json!({"resource": "namespaces", "namespace": "shop", "name": "shop", "apiVersion": "v1"});
        assert_eq!(entry("GET", "/api/v1/namespaces/shop", "")["objectRef"], shop);
    }
}
