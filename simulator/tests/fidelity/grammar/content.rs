//! The objects of sequences: what any server takes, and what none should.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::sample;

/// An object of a resource that any server takes.
pub(crate) fn smallest(resource: &str, name: &str) -> Value {
    let mut object = shell(resource, name);
    match resource {
        "services" => object["spec"] = json!({"ports": [{"port": 80}]}),
        "deployments" | "replicasets" => object["spec"] = deployment(None, &[container("main", "image")]),
        "jobs" => object["spec"] = job(),
        "applications" => object["spec"] = json!({"image": "image", "port": 80}),
        "samples" => object["spec"] = json!({}),
        _ => {}
    }
    object
}

pub(super) fn shell(resource: &str, name: &str) -> Value {
    let (version, kind) = match resource {
        "configmaps" => ("v1", "ConfigMap"),
        "services" => ("v1", "Service"),
        "deployments" => ("apps/v1", "Deployment"),
        "replicasets" => ("apps/v1", "ReplicaSet"),
        "jobs" => ("batch/v1", "Job"),
        "applications" => ("minetto.dev/v1alpha1", "Application"),
        "samples" => ("fidelity.test/v1", "Sample"),
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

fn job() -> Value {
    json!({"template": {"spec": {"restartPolicy": "Never", "containers": [container("main", "image")]}}})
}

fn container(name: &str, image: &str) -> Value {
    json!({"name": name, "image": image})
}

/// A variable, with one source or with several that exclude each other.
fn variable() -> impl Strategy<Value = Value> {
    let (of_map, of_secret) = (json!({"name": "m", "key": "k"}), json!({"name": "s", "key": "k"}));
    select(vec![
        json!({"name": "A", "value": "1"}),
        json!({"name": "A", "value": "2"}),
        json!({"name": "A", "valueFrom": {"configMapKeyRef": of_map}}),
        json!({"name": "A", "valueFrom": {"secretKeyRef": of_secret}}),
        json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        json!({"name": "A", "value": "1", "valueFrom": {"configMapKeyRef": of_map, "secretKeyRef": of_secret}}),
    ])
}

fn probe() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"httpGet": {"port": 80}}),
        json!({"httpGet": {"port": 80, "path": "/a", "host": "a"}, "periodSeconds": 5}),
        json!({"exec": {"command": ["a"]}}),
        json!({"tcpSocket": {"port": "http"}}),
        json!({"initialDelaySeconds": 5}),
        json!({"exec": {"command": ["a"]}, "grpc": {"port": 1}}),
    ])
}

fn hook() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"preStop": {"exec": {"command": ["a"]}}}),
        json!({"preStop": {"sleep": {"seconds": 1}}}),
        json!({"postStart": {"httpGet": {"port": 80}}}),
    ])
}

fn volume() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"name": "v", "configMap": {"name": "m"}}),
        json!({"name": "v", "configMap": {"name": "m", "optional": true}}),
        json!({"name": "v", "secret": {"secretName": "s"}}),
        json!({"name": "v", "emptyDir": {}}),
        json!({"name": "v"}),
        json!({"name": "w", "persistentVolumeClaim": {"claimName": "c"}}),
        json!({"name": "w", "hostPath": {"path": "/w"}, "emptyDir": {}}),
    ])
}

fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path})
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
#[expect(clippy::too_many_lines, reason = "a table: an arm for each kind")]
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
            let port = option::of(select(vec![json!([{"containerPort": 80}]), json!([{"containerPort": 81}])]));
            let fields = (port, option::of(variable()), option::weighted(0.3, probe()), option::weighted(0.3, hook()));
            let mounts = option::weighted(0.3, select(vec![json!([mount("v", "/v")]), json!([mount("w", "/v")])]));
            let one = (select(vec!["main", "side"]), select(vec!["image", "image:1"]), fields, mounts).prop_map(
                |(name, image, (ports, variable, probe, hook), mounts)| {
                    let mut container = container(name, image);
                    let variables = variable.map(|variable| json!([variable]));
                    for (field, value) in [
                        ("ports", ports),
                        ("env", variables),
                        ("livenessProbe", probe),
                        ("lifecycle", hook),
                        ("volumeMounts", mounts),
                    ] {
                        if let Some(value) = value {
                            container[field] = value;
                        }
                    }
                    container
                },
            );
            let replicas = option::of(select(vec![0_i64, 1, 2, -1]));
            (replicas, vec(one, 1..3), option::of(vec(volume(), 1..3)))
                .prop_map(|(replicas, containers, volumes)| {
                    let mut spec = deployment(replicas, &containers);
                    if let Some(volumes) = volumes {
                        spec["template"]["spec"]["volumes"] = volumes.into();
                    }
                    json!({"spec": spec})
                })
                .boxed()
        }
        "replicasets" => {
            let image = select(vec!["image", "image:1"]);
            (option::of(select(vec![0_i64, 2, -1])), image)
                .prop_map(|(replicas, image)| json!({"spec": deployment(replicas, &[container("main", image)])}))
                .boxed()
        }
        "jobs" => {
            let number = || option::of(select(vec![0, 1, 2]));
            (number(), number(), option::weighted(0.2, any::<bool>()))
                .prop_map(|(parallelism, backoff, suspend)| {
                    let mut content = json!({"spec": job()});
                    for (name, number) in [("parallelism", parallelism), ("backoffLimit", backoff)] {
                        if let Some(number) = number {
                            content["spec"][name] = number.into();
                        }
                    }
                    if let Some(suspend) = suspend {
                        content["spec"]["suspend"] = suspend.into();
                    }
                    content
                })
                .boxed()
        }
        "applications" => {
            let image = select(vec!["image", "image:1", ""]);
            let replicas = option::of(select(vec![0, 1, 2]));
            (image, select(vec![80, 81, 70_000]), replicas, option::weighted(0.1, Just(1)), sample::fields(resource))
                .prop_map(|(image, port, replicas, other, fields)| {
                    let mut spec = json!({"image": image, "port": port});
                    if let Some(replicas) = replicas {
                        spec["replicas"] = replicas.into();
                    }
                    if let Some(other) = other {
                        spec["other"] = other.into();
                    }
                    for (name, value) in fields {
                        spec[name] = value;
                    }
                    json!({"spec": spec})
                })
                .boxed()
        }
        "samples" => sample::fields(resource)
            .prop_map(|fields| json!({"spec": fields.into_iter().map(named).collect::<Map<_, _>>()}))
            .boxed(),
        _ => Just(json!({})).boxed(),
    }
}

fn named((name, value): (&str, Value)) -> (String, Value) {
    (name.to_owned(), value)
}

/// Names, some of them against the rules of an Application.
fn names(resource: &'static str) -> impl Strategy<Value = &'static str> {
    let others = vec!["1a", "a.b", "a-name-of-fifty-three-characters-which-is-one-too-many", "A"];
    prop_oneof![
        20 => super::names(),
        u32::from(resource == "applications") => select(others),
    ]
}

pub(super) fn object(resource: &'static str) -> impl Strategy<Value = (&'static str, Value)> {
    (names(resource), metadata(), content(resource)).prop_map(move |(name, metadata, content)| {
        let mut object = shell(resource, name);
        let mut metadata = metadata;
        if matches!(resource, "applications" | "samples") && metadata["finalizers"] == json!([]) {
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

/// Fields of a status, where the definition says something of them.
pub(super) fn status(resource: &'static str) -> BoxedStrategy<Vec<(&'static str, Value)>> {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "A", "message": "", "lastTransitionTime": "2024-01-01T00:00:00Z"});
    let (good, bad) = (condition("Ready", "True"), condition("Ready", "Maybe"));
    let fields = match resource {
        "samples" => vec![
            ("count", json!(1)),
            ("count", json!(0)),
            ("count", json!(-1)),
            ("phase", json!("Ready")),
            ("phase", json!("Lost")),
            ("reasons", json!(["a"])),
            ("reasons", json!(["a", "a"])),
            ("reasons", json!(["a", "b", "c", "d"])),
        ],
        "applications" => vec![
            ("conditions", json!([good])),
            ("conditions", json!([bad])),
            ("conditions", json!([good, good])),
            ("replicas", json!(-1)),
            ("observedGeneration", json!(3_000_000_000_i64)),
            ("readyReplicas", json!(3_000_000_000_i64)),
        ],
        _ => return Just(Vec::new()).boxed(),
    };
    vec(select(fields), 0..3).boxed()
}
