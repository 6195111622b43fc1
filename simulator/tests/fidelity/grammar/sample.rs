//! Specs that keep or break what the definitions of `sample.yaml` and of the Application say.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Fields of a Sample with values that fit, and with values that don't.
fn of_sample() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for (name, values) in [
        ("text", json!(["ab", "abc", "a", "abcdef", "AB", "ää", "bb", "ääää", ""])),
        ("word", json!(["red", "green", "blue", ""])),
        ("even", json!([0, 10, 20, 5, 4, -2, 102, 110])),
        ("open", json!([1, 9, 0, 10, -1])),
        ("ratio", json!([0.5, 1, 1.25, 1.5, 0.25, 2, 0.6])),
        ("small", json!([1, 2_147_483_648_i64, -2_147_483_649_i64])),
        ("low", json!([1, 2])),
        ("high", json!([0, 2])),
        ("when", json!(["2024-02-29T12:00:00Z", "1999-12-31T23:59:59.5+01:00", "2024-02-30T12:00:00Z", "now"])),
        ("day", json!(["2024-01-01", "2023-12-31", "2023-02-29", "2024-1-1"])),
        ("wait", json!(["1h", "90s", "61m", "1.5h", "-1s", "1 day", "soon"])),
        ("address", json!(["10.0.0.1", "::1", "10.0.0", "010.0.0.1"])),
        ("id", json!(["0123456789ABCDEF0123456789abcdef", "00000000-0000-4000-8000-000000000000", "0"])),
        ("data", json!(["YQ==", "YWJj", "a", ""])),
        ("memory", json!(["1Mi", "2Gi", "1e3", "much"])),
        ("network", json!(["10.1.0.0/16", "11.0.0.0/8", "10.0.0.1"])),
        ("link", json!(["https://a/b", "http://a", "a b", "/a"])),
        ("release", json!(["1.0.0", "0.1.0", "v1.0.0", "1"])),
        ("label", json!(["a-b", "A", "", "-a"])),
        ("either", json!([1, 0, "1%", "0%"])),
        ("tags", json!([["a"], ["a", "b"], ["b"], [], ["a", "a", "b"], ["a", "b", "c", "d"]])),
        (
            "parts",
            json!([
                [{"name": "a", "size": 1}],
                [{"name": "a", "size": 2}, {"name": "b"}],
                [{"name": "b", "size": 9}, {"name": "a", "size": 3}],
                [{"name": "a"}, {"name": "a", "size": 1}],
                [{"name": "a", "size": -1}],
            ]),
        ),
        (
            "pairs",
            json!([
                [{"port": 1, "size": 1}],
                [{"port": 1, "protocol": "UDP", "size": 2}, {"port": 1, "size": 1}],
                [{"port": 1, "size": 2}],
                [{"port": 1}, {"port": 1, "protocol": "TCP", "size": 1}],
            ]),
        ),
        ("loose", json!([[{"x": 1}], [{}, {"x": 1}], [{}, {"x": 6}], [{"x": 1}, {"x": 3}], [{}], [], [{"x": 1}, {}]])),
        (
            "labels",
            json!([{"a": "b"}, {"a": "c", "b": "a"}, {"x": "x"}, {"a": "a"}, {}, {"a": "long"}, {"a": "1", "b": "2", "c": "3"}]),
        ),
        (
            "fraction",
            json!([{"above": 1, "below": 1}, {"above": 1, "below": 0}, {"above": 1}, {"above": 2, "below": 1}, {"below": 1}]),
        ),
        ("nested", json!([{"inner": {"depth": 2}}, {"inner": {"depth": 3}}, {"inner": {}}, {}])),
        (
            "choice",
            json!([{"a": 1}, {"b": 6}, {"b": 1}, {"a": 10}, {"a": 21}, {"a": 1, "c": 1}, {}, {"a": 25, "c": 2}]),
        ),
        ("nothing", json!(["a", null, "abcdefghijk"])),
        ("given", json!(["a", null])),
        ("open-ended", json!([{"known": 1, "other": [1]}, {}, {"other": [2, null]}])),
        ("fixed", json!(["a", "b"])),
        ("late", json!(["a"])),
        ("in", json!(["a", "b"])),
        ("a-b", json!(["a", "b"])),
    ] {
        all.extend(values.as_array().into_iter().flatten().map(|value| (name, value.clone())));
    }
    all
}

/// Fields of an Application beside its image.
fn of_application() -> Vec<(&'static str, Value)> {
    let exec = json!({"exec": {"command": ["true"]}});
    let both = json!({"exec": {"command": ["true"]}, "tcpSocket": {"port": 1}});
    let mut all = Vec::new();
    for (name, values) in [
        ("env", json!([[{"name": "A", "value": "a"}], [{"name": "A"}, {"name": "B"}], [{"name": "A"}, {"name": "A"}]])),
        (
            "livenessProbe",
            json!([exec, both, {}, {"exec": {}, "successThreshold": 2}, {"tcpSocket": {"port": "http"}}]),
        ),
        ("volumes", json!([[{"name": "a", "emptyDir": {}}], [{"name": "b", "emptyDir": {}}]])),
        ("volumeMounts", json!([[{"name": "a", "mountPath": "/a"}]])),
        (
            "strategy",
            json!([{"type": "Recreate"}, {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}, {"type": "Canary"}]),
        ),
        ("minReadySeconds", json!([0, 600, -1])),
        ("progressDeadlineSeconds", json!([700, 600, 0])),
        ("revisionHistoryLimit", json!([3, -1, 3_000_000_000_i64])),
        ("podLabels", json!([{"a": "b"}, {"app": "mine"}, {"label": "mine"}])),
        (
            "service",
            json!([
                {"type": "NodePort"},
                {"type": "ClusterIP", "externalTrafficPolicy": "Local"},
                {"type": "ExternalName"},
                {"ports": []},
                {"ports": [{"port": 1}, {"port": 2}]},
                {"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]},
                {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10}}},
            ]),
        ),
        ("serviceAccountName", json!(["a", "", "a".repeat(254)])),
        ("args", json!([["a"], vec!["a"; 257]])),
        (
            "http",
            json!([
                {"hosts": ["a.example"], "paths": [{"path": "/a"}, {"path": "/a", "pathType": "Exact"}]},
                {"hosts": ["A b"], "paths": [{"path": "a//b"}]},
                {"parentRefs": [{"name": "a"}], "ingressClassName": "a"},
                {"parentRefs": [{"name": "a"}], "tls": {"secretName": "a"}},
                {"parentRefs": [{"name": "a"}], "paths": [{"pathType": "ImplementationSpecific"}]},
                {},
            ]),
        ),
        ("autoscaling", json!([{"minReplicas": 2, "maxReplicas": 1}, {"maxReplicas": 3}, {}])),
        ("port", json!([null])),
    ] {
        all.extend(values.as_array().into_iter().flatten().map(|value| (name, value.clone())));
    }
    all
}

/// What is of another type, or in a list without what it is keyed by: the real server's apply refuses these before it looks at
/// anything else, and prints them as Go does.
fn mistyped(resource: &str) -> Vec<(&'static str, Value)> {
    if resource == "samples" {
        vec![
            ("text", json!(1)),
            ("even", json!("2")),
            ("even", json!(2.5)),
            ("when", json!(1)),
            ("when", json!({})),
            ("either", json!(true)),
            ("either", json!(1.5)),
            ("tags", json!("a")),
            ("parts", json!([{"size": 1}, {"size": 2}])),
            ("parts", json!(["a"])),
            ("parts", json!([null])),
            ("labels", json!({"a": 1})),
            ("labels", json!([])),
            ("word", json!(1)),
            ("ratio", json!("1")),
            ("nothing", json!(1)),
            ("small", json!(true)),
        ]
    } else {
        vec![
            ("command", json!("sh")),
            ("paused", json!("yes")),
            ("replicas", json!("1")),
            ("nodeSelector", json!({"a": 1})),
            ("affinity", json!([])),
            ("env", json!([{"value": "a"}])),
            ("image", json!(1)),
        ]
    }
}

/// Some fields of a spec.
pub(super) fn fields(resource: &'static str) -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let (fitting, most) = if resource == "samples" { (of_sample(), 5) } else { (of_application(), 3) };
    vec(prop_oneof![12 => select(fitting), 1 => select(mistyped(resource))], 0..most)
}

/// Takes out of a body what an apply would be refused for before anything else: of several such faults, the real server tells
/// of one, or of all.
pub(super) fn without_mistyped(resource: &str, body: &mut Value) {
    let Some(spec) = body["spec"].as_object_mut() else { return };
    let key = |item: &Value| match item.get("name").or(item.get("port")) {
        Some(key) => (key.clone(), item.get("protocol").cloned().unwrap_or("TCP".into())),
        None => (item.clone(), Value::Null),
    };
    let has_twins =
        |list: &Vec<Value>| (1..list.len()).any(|at| list[..at].iter().any(|other| key(other) == key(&list[at])));
    for name in ["env", "pairs", "parts", "tags"] {
        if spec.get(name).and_then(Value::as_array).is_some_and(has_twins) {
            spec.remove(name);
        }
    }
    for (name, value) in mistyped(resource) {
        if spec.get(name) == Some(&value) {
            spec.remove(name);
        }
    }
}
