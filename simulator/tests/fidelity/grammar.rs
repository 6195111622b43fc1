//! Which sequences of requests there are.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::operation::Operation;

/// How many requests a sequence has in the mean.
pub(crate) const LENGTH: usize = 8;

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Sequences of requests.
pub(crate) fn sequences() -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), 1..2 * LENGTH)
}

/// An object of a resource that any server takes.
pub(crate) fn smallest(resource: &str, name: &str) -> Value {
    let mut object = shell(resource, name);
    match resource {
        "services" => object["spec"] = json!({"ports": [{"port": 80}]}),
        "deployments" => object["spec"] = deployment(None, &[container("main", "image")]),
        "applications" => object["spec"] = json!({"image": "image", "port": 80}),
        _ => {}
    }
    object
}

fn shell(resource: &str, name: &str) -> Value {
    let (version, kind) = match resource {
        "configmaps" => ("v1", "ConfigMap"),
        "services" => ("v1", "Service"),
        "deployments" => ("apps/v1", "Deployment"),
        "applications" => ("minetto.dev/v1alpha1", "Application"),
        _ => ("v1", "Namespace"),
    };
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}})
}

fn deployment(replicas: Option<i64>, containers: &[Value]) -> Value {
    let mut spec = json!({
        "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": containers}},
    });
    if let Some(replicas) = replicas {
        spec["replicas"] = replicas.into();
    }
    spec
}

fn container(name: &str, image: &str) -> Value {
    json!({"name": name, "image": image})
}

fn names() -> impl Strategy<Value = &'static str> {
    select(vec!["a", "a", "a", "b"])
}

fn resources() -> impl Strategy<Value = &'static str> {
    select(vec!["configmaps", "configmaps", "services", "deployments", "deployments", "applications", "applications"])
}

fn managers() -> impl Strategy<Value = &'static str> {
    select(vec!["one", "two"])
}

/// What of an object does not depend on its kind.
fn metadata() -> impl Strategy<Value = Value> {
    let text = || option::weighted(0.4, select(vec!["1", "2"]));
    let finalizers = option::weighted(0.1, select(vec![json!([]), json!(["x.io/a"]), json!(["x.io/a", "x.io/b"])]));
    (text(), text(), text(), finalizers).prop_map(|(x, y, note, finalizers)| {
        let mut metadata = json!({});
        for (map, name, value) in [("labels", "x", x), ("labels", "y", y), ("annotations", "note", note)] {
            if let Some(value) = value {
                metadata[map][name] = value.into();
            }
        }
        if let Some(finalizers) = finalizers {
            metadata["finalizers"] = finalizers;
        }
        metadata
    })
}

/// What of an object depends on its kind: whole, so that it may be created.
fn content(resource: &'static str) -> BoxedStrategy<Value> {
    match resource {
        "configmaps" => {
            let text = || option::of(select(vec!["1", "2"]));
            let some = (text(), text(), option::weighted(0.1, any::<bool>()));
            some.prop_map(|(a, b, immutable)| {
                let mut content = json!({});
                for (name, value) in [("a", a), ("b", b)] {
                    if let Some(value) = value {
                        content["data"][name] = value.into();
                    }
                }
                if let Some(false) = immutable {
                    content["immutable"] = false.into();
                }
                content
            })
            .boxed()
        }
        "services" => {
            let port =
                (select(vec![80, 81, 82]), option::of(select(vec!["http", "admin"])), option::of(select(vec![8080])));
            let kind = option::weighted(0.3, select(vec!["ClusterIP", "NodePort"]));
            let selector = option::of(select(vec!["a", "b"]));
            (vec(port, 1..3), kind, selector)
                .prop_map(|(ports, kind, selector)| {
                    let port = |(number, name, target): &(i32, Option<&str>, Option<i32>)| {
                        let mut port = json!({"port": number});
                        if let Some(name) = name {
                            port["name"] = (*name).into();
                        }
                        if let Some(target) = target {
                            port["targetPort"] = (*target).into();
                        }
                        port
                    };
                    let mut spec = json!({"ports": ports.iter().map(port).collect::<Vec<_>>()});
                    if let Some(kind) = kind {
                        spec["type"] = kind.into();
                    }
                    if let Some(selector) = selector {
                        spec["selector"] = json!({"app": selector});
                    }
                    json!({"spec": spec})
                })
                .boxed()
        }
        "deployments" => {
            let variable = option::of(select(vec!["1", "2"]));
            let port = option::of(select(vec![80, 81]));
            let one = (select(vec!["main", "side"]), select(vec!["image", "image:1"]), variable, port).prop_map(
                |(name, image, variable, port)| {
                    let mut container = container(name, image);
                    if let Some(variable) = variable {
                        container["env"] = json!([{"name": "A", "value": variable}]);
                    }
                    if let Some(port) = port {
                        container["ports"] = json!([{"containerPort": port}]);
                    }
                    container
                },
            );
            let replicas = option::of(select(vec![0_i64, 1, 2, -1]));
            (replicas, vec(one, 1..3))
                .prop_map(|(replicas, containers)| json!({"spec": deployment(replicas, &containers)}))
                .boxed()
        }
        "applications" => {
            let image = select(vec!["image", "image:1", ""]);
            let replicas = option::of(select(vec![0, 1, 2]));
            (image, select(vec![80, 81, 70_000]), replicas, option::weighted(0.1, Just(1)))
                .prop_map(|(image, port, replicas, other)| {
                    let mut spec = json!({"image": image, "port": port});
                    if let Some(replicas) = replicas {
                        spec["replicas"] = replicas.into();
                    }
                    if let Some(other) = other {
                        spec["other"] = other.into();
                    }
                    json!({"spec": spec})
                })
                .boxed()
        }
        _ => Just(json!({})).boxed(),
    }
}

fn object(resource: &'static str) -> impl Strategy<Value = (&'static str, Value)> {
    (names(), metadata(), content(resource)).prop_map(move |(name, metadata, content)| {
        let mut object = shell(resource, name);
        let mut metadata = metadata;
        if resource == "applications" && metadata["finalizers"] == json!([]) {
            // A difference that is known.
            metadata["finalizers"] = Value::Null;
        }
        if metadata["finalizers"].is_null() {
            metadata.as_object_mut().map(|metadata| metadata.remove("finalizers"));
        }
        for (part, value) in [("metadata", metadata), ("", content)] {
            for (field, value) in value.as_object().into_iter().flatten() {
                let place = if part.is_empty() { &mut object[field] } else { &mut object[part][field] };
                *place = value.clone();
            }
        }
        (name, object)
    })
}

/// What an update insists on.
fn version() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![None, Some("$rv"), Some("$rv"), Some("$old")])
}

fn operation() -> impl Strategy<Value = Operation> {
    resources().prop_flat_map(|resource| {
        prop_oneof![
            4 => create(resource),
            2 => update(resource),
            3 => patch(resource),
            5 => apply(resource),
            1 => status(resource),
            1 => scale(resource),
            2 => delete(resource),
            1 => get(resource),
            1 => list(resource),
        ]
    })
}

fn create(resource: &'static str) -> BoxedStrategy<Operation> {
    let dry = option::weighted(0.1, Just("dryRun=All"));
    (object(resource), dry)
        .prop_map(move |((_, body), dry)| Operation {
            method: "POST".into(),
            path: resource.into(),
            query: dry.unwrap_or_default().into(),
            content: String::new(),
            body,
        })
        .boxed()
}

fn update(resource: &'static str) -> BoxedStrategy<Operation> {
    let uid = option::weighted(0.1, select(vec!["$uid", "00000000-0000-4000-8000-000000000001"]));
    (object(resource), version(), uid)
        .prop_map(move |((name, mut body), version, uid)| {
            if let Some(version) = version {
                body["metadata"]["resourceVersion"] = version.into();
            }
            if let Some(uid) = uid {
                body["metadata"]["uid"] = uid.into();
            }
            Operation {
                method: "PUT".into(),
                path: format!("{resource}/{name}"),
                query: String::new(),
                content: String::new(),
                body,
            }
        })
        .boxed()
}

/// An object as a patch: a part of it may be missing or null.
fn patch(resource: &'static str) -> BoxedStrategy<Operation> {
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

fn apply(resource: &'static str) -> BoxedStrategy<Operation> {
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

fn status(resource: &'static str) -> BoxedStrategy<Operation> {
    let how = select(vec![MERGE, APPLY, "PUT"]);
    (object(resource), select(vec![0, 1, 2]), how, managers())
        .prop_map(move |((name, mut body), replicas, how, manager)| {
            body["status"] = json!({"replicas": replicas});
            if resource == "services" {
                body["status"] = json!({"loadBalancer": {}});
            }
            if how == "PUT" {
                body["metadata"]["resourceVersion"] = "$rv".into();
            }
            if how == APPLY {
                body["metadata"] = json!({"name": name});
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

fn scale(resource: &'static str) -> BoxedStrategy<Operation> {
    let resource = if resource == "deployments" { "deployments" } else { "applications" };
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

fn delete(resource: &'static str) -> BoxedStrategy<Operation> {
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

fn get(resource: &'static str) -> BoxedStrategy<Operation> {
    names()
        .prop_map(move |name| Operation {
            method: "GET".into(),
            path: format!("{resource}/{name}"),
            query: String::new(),
            content: String::new(),
            body: Value::Null,
        })
        .boxed()
}

fn list(resource: &'static str) -> BoxedStrategy<Operation> {
    select(vec![
        "",
        "limit=1",
        "labelSelector=x%3D1",
        "labelSelector=x",
        "labelSelector=!x",
        "fieldSelector=metadata.name%3Da",
    ])
    .prop_map(move |query| Operation {
        method: "GET".into(),
        path: resource.into(),
        query: query.into(),
        content: String::new(),
        body: Value::Null,
    })
    .boxed()
}
