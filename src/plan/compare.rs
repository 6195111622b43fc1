//! Where a live child is other than wished. Pure.
//!
//! Only what the operator sets is compared: defaults of the server and fields of other writers are not its business. Lists
//! are compared by the keys that the API gives them; the lists of ports are the operator's own and have to match to the end.

use std::borrow::Cow;

use engine::object::{Map, Metadata};
use serde_json::Value;
use serde_json::value::RawValue;

use super::quantity;

/// Fields that the API server leaves out where they are false or zero, since that is what their absence means.
const ABSENT_IF_ZERO: [&str; 7] =
    ["readOnly", "stdin", "stdinOnce", "tty", "paused", "minReadySeconds", "initialDelaySeconds"];

/// Fields that hold a quantity, or the maps whose values do.
const QUANTITIES: [&str; 7] = [
    ".resources.limits.",
    ".resources.requests.",
    ".sizeLimit",
    ".divisor",
    ".target.averageValue",
    ".target.value",
    ".tolerance",
];

/// Fields that the API server fills in where they are empty or zero, so that these say nothing.
const FILLED_IN: [&str; 13] = [
    "failureThreshold",
    "hostPort",
    "imagePullPolicy",
    "nodePort",
    "path",
    "periodSeconds",
    "protocol",
    "scheme",
    "successThreshold",
    "targetPort",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "timeoutSeconds",
];

/// Where the live child first differs from `wish`, as a path; `None` if it does not.
pub fn drift(wish: &Value, metadata: &Metadata, spec: &RawValue) -> Option<String> {
    let wished = &wish["metadata"];
    let map = |field: &str, live: &Map| {
        let wished = wished[field].as_object()?;
        let differs = wished.iter().find(|(key, value)| live.get(key) != value.as_str())?;
        Some(format!("metadata.{field}[{}]", differs.0))
    };
    map("labels", &metadata.labels)
        .or_else(|| map("annotations", &metadata.annotations))
        .or_else(|| {
            let uid = wished["ownerReferences"][0]["uid"].as_str();
            let controlled = metadata.controller().is_some_and(|owner| Some(&*owner.uid.0) == uid);
            (!controlled).then(|| "metadata.ownerReferences".to_owned())
        })
        .or_else(|| match serde_json::from_str(spec.get()) {
            Ok(live) => difference(&wish["spec"], &live, &mut "spec".to_owned()),
            Err(_) => Some("spec".to_owned()),
        })
}

/// Whether the live Deployment with this `spec` has the pod template.
pub fn has_template(template: &Value, spec: &RawValue) -> bool {
    let live: Result<Value, _> = serde_json::from_str(spec.get());
    live.is_ok_and(|live| difference(template, &live["template"], &mut "spec.template".to_owned()).is_none())
}

/// Whether `live` differs from what `wish` says, of what stands at `path` in a child.
pub(super) fn differs(wish: &Value, live: &Value, path: &str) -> bool {
    difference(wish, live, &mut path.to_owned()).is_some()
}

/// Where `live` first differs from what `wish` says. `path` is where both stand, and is left as it was found.
fn difference(wish: &Value, live: &Value, path: &mut String) -> Option<String> {
    match (wish, live) {
        // One value, all of whose labels count: a label too many selects nothing.
        _ if path == "spec.selector" => (wish != live).then(|| path.clone()),
        (Value::Object(wish), Value::Object(live)) => wish.iter().find_map(|(field, wish)| {
            below(path, &[".", field], |path| difference(wish, live.get(field).unwrap_or(&Value::Null), path))
        }),
        (Value::Array(wish), Value::Array(live)) => list_difference(wish, live, path),
        (wish, _) if says_nothing(wish, path) => None,
        (wish, Value::Null) => (!means_absent(wish, path)).then(|| path.clone()),
        _ => (wish != live && !is_same_quantity(wish, live, path)).then(|| path.clone()),
    }
}

/// Looks below `path`, which each field and entry of each child passes by: no text is made but where something differs.
fn below<T>(path: &mut String, steps: &[&str], look: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.extend(steps.iter().copied());
    let seen = look(path);
    path.truncate(length);
    seen
}

/// Returns true if the API server decides what stands where `wish` is written.
fn says_nothing(wish: &Value, path: &str) -> bool {
    let is_empty = wish.as_str().is_some_and(str::is_empty) || wish.as_i64() == Some(0);
    is_empty && FILLED_IN.contains(&path.rsplit('.').next().unwrap_or_default())
}

/// Returns true if the API server stores nothing where `wish` is written.
fn means_absent(wish: &Value, path: &str) -> bool {
    let field = path.rsplit('.').next().unwrap_or_default();
    match wish {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(holds) => !holds && ABSENT_IF_ZERO.contains(&field),
        Value::Number(number) => number.as_i64() == Some(0) && ABSENT_IF_ZERO.contains(&field),
    }
}

pub(super) fn is_same_quantity(wish: &Value, live: &Value, path: &str) -> bool {
    let holds_one = |place: &&str| if place.ends_with('.') { path.contains(*place) } else { path.ends_with(*place) };
    QUANTITIES.iter().any(holds_one) && quantity::is_same(wish, live)
}

fn list_difference(wish: &[Value], live: &[Value], path: &mut String) -> Option<String> {
    let Some(keyed) = list(path) else {
        // One value, in whose entries the server may have filled in what is left out.
        let differs = wish.len() != live.len()
            || wish
                .iter()
                .zip(live)
                .any(|(wish, live)| below(path, &["[]"], |path| difference(wish, live, path)).is_some());
        return differs.then(|| path.clone());
    };
    let differing = wish.iter().find_map(|wish| {
        let live = live.iter().find(|live| keyed.is_same(wish, live));
        let label = label(wish, keyed.keys[0]);
        below(path, &["[", &label, "]"], |path| match live {
            Some(live) => difference(wish, live, path),
            None => Some(path.clone()),
        })
    });
    differing.or_else(|| {
        let foreign = live.iter().find(|live| keyed.is_exact && !wish.iter().any(|wish| keyed.is_same(wish, live)));
        // The API server keeps entries of the same key apart where one of them was there first.
        let doubled = || live.last().filter(|_| keyed.is_exact && live.len() != wish.len());
        foreign.or_else(doubled).map(|entry| format!("{path}[{}]", label(entry, keyed.keys[0])))
    })
}

/// The part `key` of what tells `entry` from others.
pub(super) fn named<'a>(entry: &'a Value, key: &str) -> Cow<'a, Value> {
    match &entry[key] {
        // The one key that the API server fills in.
        Value::Null if key == "protocol" => Cow::Owned(Value::from("TCP")),
        name => Cow::Borrowed(name),
    }
}

/// How an entry of a list is called in a path.
fn label<'a>(entry: &'a Value, key: &str) -> Cow<'a, str> {
    match &entry[key] {
        Value::String(name) => Cow::Borrowed(name),
        name => Cow::Owned(name.to_string()),
    }
}

/// A list whose entries have keys.
pub(super) struct List {
    /// The fields that tell the entries apart (`x-kubernetes-list-map-keys`).
    keys: &'static [&'static str],
    /// Whether entries that are not wished are drift.
    pub(super) is_exact: bool,
}

impl List {
    /// How a `fieldsV1` names an entry.
    pub(super) fn key(&self, entry: &Value) -> String {
        let keys = self.keys.iter().map(|key| ((*key).to_owned(), named(entry, key).into_owned()));
        format!("k:{}", Value::Object(keys.collect()))
    }

    /// Whether two entries are the same one, in whatever state.
    pub(super) fn is_same(&self, one: &Value, other: &Value) -> bool {
        self.keys.iter().all(|key| named(one, key) == named(other, key))
    }
}

/// What kind of list stands at `path`; `None` for one that is a single value.
///
/// The keys are those that Kubernetes gives its types (`x-kubernetes-list-map-keys`).
pub(super) fn list(path: &str) -> Option<List> {
    let shared = |keys: &'static [&'static str]| Some(List { keys, is_exact: false });
    match path.rsplit('.').next() {
        Some("containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets") => shared(&["name"]),
        Some("volumeMounts") => shared(&["mountPath"]),
        Some("volumeDevices") => shared(&["devicePath"]),
        Some("topologySpreadConstraints") => shared(&["topologyKey", "whenUnsatisfiable"]),
        Some("ports") if path == "spec.ports" => Some(List { keys: &["port", "protocol"], is_exact: true }),
        Some("ports") => Some(List { keys: &["containerPort", "protocol"], is_exact: path.contains(".containers[") }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn diff(wish: &Value, live: &Value) -> Option<String> {
        difference(wish, live, &mut "spec".to_owned())
    }

    #[test]
    fn what_the_server_fills_in_is_no_drift_where_nothing_is_written_there() {
        let wish =
            json!({"ports": [{"port": 80, "nodePort": 0, "targetPort": ""}], "probe": {"path": "", "scheme": ""}});
        let live = json!({"ports": [{"port": 80, "nodePort": 30080, "targetPort": 80, "protocol": "TCP"}],
            "probe": {"path": "/", "scheme": "HTTP"}});
        assert_eq!(diff(&wish, &live), None);
        let wish = json!({"env": [{"name": "A", "value": ""}]});
        let live = json!({"env": [{"name": "A", "value": "another's"}]});
        assert_eq!(diff(&wish, &live).as_deref(), Some("spec.env[A].value"), "an empty value is one");
    }

    #[test]
    fn defaults_and_foreign_fields_are_no_drift() {
        let wish = json!({"replicas": 2, "template": {"spec": {"containers": [{"name": "a", "image": "i"}]}}});
        let live = json!({"replicas": 2, "progressDeadlineSeconds": 600, "template": {
            "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}},
            "spec": {"containers": [{"name": "mesh"}, {"name": "a", "image": "i", "imagePullPolicy": "Always"}]}}});
        assert_eq!(diff(&wish, &live), None);
    }

    #[test]
    fn a_changed_field_is_named_by_its_path() {
        let wish = json!({"template": {"spec": {"containers": [{"name": "a", "image": "i"}]}}});
        let live = json!({"template": {"spec": {"containers": [{"name": "a", "image": "other"}]}}});
        assert_eq!(diff(&wish, &live).as_deref(), Some("spec.template.spec.containers[a].image"));
        let gone = json!({"template": {"spec": {"containers": []}}});
        assert_eq!(diff(&wish, &gone).as_deref(), Some("spec.template.spec.containers[a]"));
    }

    #[test]
    fn a_port_too_many_is_drift_and_its_order_is_not() {
        let wish = json!({"ports": [{"port": 80, "protocol": "TCP", "name": "http"}]});
        let live = json!({"ports": [{"port": 9999, "protocol": "TCP", "name": "extra"},
            {"port": 80, "protocol": "TCP", "name": "http", "nodePort": 30000}]});
        assert_eq!(diff(&wish, &live).as_deref(), Some("spec.ports[9999]"));
        let udp = json!({"ports": [{"port": 80, "protocol": "UDP", "name": "http"}]});
        assert_eq!(diff(&wish, &udp).as_deref(), Some("spec.ports[80]"));
    }

    #[test]
    fn a_port_twice_is_drift_and_so_is_a_label_too_many_in_a_selector() {
        let wish = json!({"ports": [{"containerPort": 80, "protocol": "TCP"}]});
        let twice = json!({"ports": [{"containerPort": 80, "protocol": "TCP"},
            {"containerPort": 80, "protocol": "TCP", "hostPort": 8099}]});
        assert_eq!(
            difference(&wish, &twice, &mut "spec.template.spec.containers[a]".to_owned()).as_deref(),
            Some("spec.template.spec.containers[a].ports[80]")
        );
        let canary = json!({"selector": {"app": "a", "canary": "x"}});
        assert_eq!(diff(&json!({"selector": {"app": "a"}}), &canary).as_deref(), Some("spec.selector"));
    }

    #[test]
    fn lists_without_keys_are_compared_as_a_whole() {
        assert_eq!(diff(&json!({"args": ["a"]}), &json!({"args": ["a", "b"]})).as_deref(), Some("spec.args"));
        assert_eq!(diff(&json!({"args": ["a", "b"]}), &json!({"args": ["b", "a"]})).as_deref(), Some("spec.args"));
        let wish = json!({"sources": [{"serviceAccountToken": {"path": "token"}}]});
        let defaulted = json!({"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}]});
        assert_eq!(diff(&wish, &defaulted), None);
    }

    #[test]
    fn what_the_server_writes_in_another_way_is_no_drift() {
        for (wish, live) in [
            (json!({"resources": {"limits": {"cpu": 0.5}}}), json!({"resources": {"limits": {"cpu": "500m"}}})),
            (json!({"env": [{"name": "A", "value": ""}]}), json!({"env": [{"name": "A"}]})),
            (json!({"args": [], "nodeSelector": {}, "minReadySeconds": 0}), json!({})),
            (
                json!({"volumeMounts": [{"mountPath": "/a", "readOnly": false}]}),
                json!({"volumeMounts": [{"mountPath": "/a"}]}),
            ),
        ] {
            assert_eq!(diff(&wish, &live), None, "{wish}");
        }
        let guarded = json!({"automountServiceAccountToken": false});
        assert_eq!(diff(&guarded, &json!({})).as_deref(), Some("spec.automountServiceAccountToken"));
        let text = json!({"args": ["1000m"]});
        assert_eq!(diff(&text, &json!({"args": ["1"]})).as_deref(), Some("spec.args"));
    }
}
