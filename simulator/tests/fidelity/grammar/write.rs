//! Requests that write.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::content::{self, object};
use super::sample::without_mistyped;
use super::{managers, names};
use crate::operation::Operation;

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// What an update insists on.
fn version() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![None, Some("$rv"), Some("$rv"), Some("$old")])
}

pub(super) fn create(resource: &'static str) -> BoxedStrategy<Operation> {
    let dry = option::weighted(0.1, Just("dryRun=All"));
    (object(resource), dry, stray())
        .prop_map(move |((_, mut body), dry, stray)| Operation {
            method: "POST".into(),
            path: resource.into(),
            query: astray(&mut body, stray, dry.unwrap_or_default()),
            content: String::new(),
            body,
        })
        .boxed()
}

/// A field that no type has, and how strictly it is to be taken.
fn stray() -> impl Strategy<Value = Option<&'static str>> {
    option::weighted(0.2, select(vec!["", "Strict", "Strict", "Warn", "Ignore"]))
}

/// Puts a stray field into a body, and says in the query what is to be made of it.
fn astray(body: &mut Value, stray: Option<&'static str>, query: &str) -> String {
    let Some(validation) = stray else { return query.to_owned() };
    body["metadata"]["stray"] = "1".into();
    if body["spec"].is_object() {
        body["spec"]["stray"] = json!({"a": 1});
    }
    match (validation, query) {
        ("", query) => query.to_owned(),
        (validation, "") => format!("fieldValidation={validation}"),
        (validation, query) => format!("{query}&fieldValidation={validation}"),
    }
}

/// Creates an object that the server names.
pub(super) fn generate(resource: &'static str) -> BoxedStrategy<Operation> {
    // Whose lists come in pages has to have the same order of names on both sides.
    let resource = if resource == "services" { "services" } else { "configmaps" };
    let prefix = select(vec!["gen-", "gen-", "Gen-", "gen-", "1gen-"]);
    (object(resource), prefix)
        .prop_map(move |((_, mut body), prefix)| {
            body["metadata"].as_object_mut().map(|metadata| metadata.remove("name"));
            body["metadata"]["generateName"] = prefix.into();
            Operation {
                method: "POST".into(),
                path: resource.into(),
                query: String::new(),
                content: String::new(),
                body,
            }
        })
        .boxed()
}

/// Deletes what a list shows.
pub(super) fn delete_all(resource: &'static str) -> BoxedStrategy<Operation> {
    let policy = option::weighted(0.4, select(vec!["Background", "Foreground", "Orphan"]));
    let query = select(vec!["labelSelector=x%3D1", "labelSelector=x", "fieldSelector=metadata.name%3Da", ""]);
    (query, policy)
        .prop_map(move |(query, policy)| Operation {
            method: "DELETE".into(),
            path: resource.into(),
            query: query.into(),
            content: String::new(),
            body: policy.map_or(
                Value::Null,
                |policy| json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}),
            ),
        })
        .boxed()
}

/// Something about the namespace in which the sequence runs.
pub(super) fn namespace() -> BoxedStrategy<Operation> {
    let label = option::of(select(vec!["1", "2"]));
    (label, select(vec!["GET", MERGE, APPLY, "PUT", "DELETE"]), managers(), any::<bool>())
        .prop_map(|(label, how, manager, is_gone)| {
            let labels = label.map_or(json!({}), |label| json!({"x": label}));
            let body = json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "$space", "labels": labels},
            });
            let (method, content) = match how {
                "GET" | "PUT" => (how, ""),
                "DELETE" => (if is_gone { "DELETE" } else { "GET" }, ""),
                how => ("PATCH", how),
            };
            Operation {
                method: method.into(),
                path: "namespaces/$space".into(),
                query: if method == "GET" || method == "DELETE" {
                    String::new()
                } else {
                    format!("fieldManager={manager}")
                },
                content: content.into(),
                body: if method == "GET" || method == "DELETE" { Value::Null } else { body },
            }
        })
        .boxed()
}

pub(super) fn update(resource: &'static str) -> BoxedStrategy<Operation> {
    let uid = option::weighted(0.1, select(vec!["$uid", "00000000-0000-4000-8000-000000000001"]));
    (object(resource), version(), uid, stray())
        .prop_map(move |((name, mut body), version, uid, stray)| {
            if let Some(version) = version {
                body["metadata"]["resourceVersion"] = version.into();
            }
            if let Some(uid) = uid {
                body["metadata"]["uid"] = uid.into();
            }
            Operation {
                method: "PUT".into(),
                path: format!("{resource}/{name}"),
                query: astray(&mut body, stray, ""),
                content: String::new(),
                body,
            }
        })
        .boxed()
}

/// An object as a patch: a part of it may be missing or null.
pub(super) fn patch(resource: &'static str) -> BoxedStrategy<Operation> {
    let how = select(vec![MERGE, MERGE, STRATEGIC, PATCH]);
    let gone = option::weighted(0.3, select(vec!["labels", "annotations", "finalizers"]));
    (object(resource), version(), how, gone, managers(), any::<bool>())
        .prop_map(move |((name, mut body), version, how, gone, manager, whole)| {
            if let Some(version) = version {
                body["metadata"]["resourceVersion"] = version.into();
            }
            if let Some(gone) = gone {
                body["metadata"][gone] = Value::Null;
            }
            if !whole {
                body = json!({"metadata": body["metadata"]});
            }
            if how == PATCH {
                body = json!([
                    {"op": "add", "path": "/metadata/labels", "value": body["metadata"]["labels"].as_object().cloned().unwrap_or_default()},
                ]);
            }
            Operation {
                method: "PATCH".into(),
                path: format!("{resource}/{name}"),
                query: format!("fieldManager={manager}"),
                content: how.into(),
                body,
            }
        })
        .boxed()
}

pub(super) fn apply(resource: &'static str) -> BoxedStrategy<Operation> {
    let version = option::weighted(0.2, select(vec!["$rv", "$old", "1", "0"]));
    let uid = option::weighted(0.1, select(vec!["$uid", "00000000-0000-4000-8000-000000000001"]));
    (object(resource), version, uid, managers(), any::<bool>(), option::weighted(0.1, Just("&dryRun=All")))
        .prop_map(move |((name, mut body), version, uid, manager, force, dry)| {
            if let Some(version) = version {
                body["metadata"]["resourceVersion"] = version.into();
            }
            if let Some(uid) = uid {
                body["metadata"]["uid"] = uid.into();
            }
            without_mistyped(resource, &mut body);
            Operation {
                method: "PATCH".into(),
                path: format!("{resource}/{name}"),
                query: format!("fieldManager={manager}&force={force}{}", dry.unwrap_or_default()),
                content: APPLY.into(),
                body,
            }
        })
        .boxed()
}

pub(super) fn status(resource: &'static str) -> BoxedStrategy<Operation> {
    let how = select(vec![MERGE, APPLY, "PUT"]);
    (object(resource), select(vec![0, 1, 2]), how, managers(), content::status(resource))
        .prop_map(move |((name, mut body), replicas, how, manager, status)| {
            body["status"] = if resource == "samples" { json!({}) } else { json!({"replicas": replicas}) };
            for (field, value) in status {
                body["status"][field] = value;
            }
            if resource == "services" {
                body["status"] = json!({"loadBalancer": {}});
            }
            if resource == "jobs" {
                // The real server holds a Job's counts against each other.
                body["status"] = json!({});
            }
            if how == "PUT" {
                body["metadata"]["resourceVersion"] = "$rv".into();
            }
            if how == APPLY {
                body["metadata"] = json!({"name": name});
                without_mistyped(resource, &mut body);
            }
            Operation {
                method: if how == "PUT" { "PUT" } else { "PATCH" }.into(),
                path: format!("{resource}/{name}/status"),
                query: format!("fieldManager={manager}{}", if how == APPLY { "&force=true" } else { "" }),
                content: if how == "PUT" { String::new() } else { how.into() },
                body,
            }
        })
        .boxed()
}

pub(super) fn scale(resource: &'static str) -> BoxedStrategy<Operation> {
    let resource = if matches!(resource, "deployments" | "replicasets") { resource } else { "applications" };
    (names(), option::of(select(vec![0, 1, 3])), managers())
        .prop_map(move |(name, replicas, manager)| {
            let read = Operation {
                method: "GET".into(),
                path: format!("{resource}/{name}/scale"),
                query: String::new(),
                content: String::new(),
                body: Value::Null,
            };
            match replicas {
                None => read,
                Some(replicas) => Operation {
                    method: "PATCH".into(),
                    query: format!("fieldManager={manager}"),
                    content: MERGE.into(),
                    body: json!({"spec": {"replicas": replicas}}),
                    ..read
                },
            }
        })
        .boxed()
}

pub(super) fn delete(resource: &'static str) -> BoxedStrategy<Operation> {
    let precondition = option::weighted(
        0.4,
        select(vec![json!({"uid": "$uid"}), json!({"resourceVersion": "$rv"}), json!({"resourceVersion": "$old"})]),
    );
    let policy = option::weighted(0.4, select(vec!["Background", "Foreground", "Orphan"]));
    (names(), precondition, policy)
        .prop_map(move |(name, precondition, policy)| {
            let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
            if let Some(precondition) = precondition {
                body["preconditions"] = precondition;
            }
            if let Some(policy) = policy {
                body["propagationPolicy"] = policy.into();
            }
            Operation {
                method: "DELETE".into(),
                path: format!("{resource}/{name}"),
                query: String::new(),
                content: String::new(),
                body,
            }
        })
        .boxed()
}
