//! What there is, as watches tell it: Applications and their children; and what of a child counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{World, path};

/// The children of an Application, each with what its name ends in.
pub(crate) const CHILDREN: [(&str, &str); 5] = [
    ("deployments", "deployment"),
    ("services", "service"),
    ("poddisruptionbudgets", "budget"),
    ("horizontalpodautoscalers", "autoscaler"),
    ("ingresses", "ingress"),
];

/// What the operator notes on a child begins with this: of revisions, digests and uids, which differ in each life.
const NOTES: &str = "minetto.dev/";

/// What the API server hands out.
const HANDED_OUT: [&str; 3] = ["clusterIP", "clusterIPs", "healthCheckNodePort"];

/// A watch lasts longer than any run.
const FOR_LONG: &str = "watch=true&timeoutSeconds=86400";

/// The children of an Application by resource, reduced to what counts.
pub(crate) type Children = BTreeMap<&'static str, Value>;

/// All objects of a namespace by resource and name.
#[derive(Default)]
pub(crate) struct Objects(BTreeMap<(String, String), Value>);

impl Objects {
    pub(crate) fn get(&self, resource: &str, name: &str) -> Option<&Value> {
        self.0.get(&(resource.to_owned(), name.to_owned()))
    }

    /// The children of an Application, by resource, reduced to what counts.
    pub(crate) fn children(&self, application: &str) -> Children {
        let child = |(resource, suffix): &(&'static str, &'static str)| {
            let child = self.get(resource, &format!("{application}-{suffix}"))?;
            Some((*resource, reduced(child, application)))
        };
        CHILDREN.iter().filter_map(child).collect()
    }
}

/// The present state of a namespace.
#[derive(Clone, Default)]
pub(crate) struct View(Arc<(Mutex<Objects>, Condvar)>);

impl View {
    /// Watches a namespace until the process ends.
    pub(crate) fn of(world: &'static World, namespace: &str) -> Self {
        let view = Self::default();
        for resource in CHILDREN.iter().map(|(resource, _)| *resource).chain(["applications"]) {
            let (view, path) = (view.clone(), format!("{}?{FOR_LONG}", path(resource, namespace)));
            thread::spawn(move || world.api.watch(&path, |event| view.take(resource, event)));
        }
        view
    }

    fn take(&self, resource: &str, mut event: Value) {
        let (objects, changed) = &*self.0;
        let object = event["object"].take();
        let key = (resource.to_owned(), object["metadata"]["name"].as_str().unwrap_or_default().to_owned());
        let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
        match event["type"].as_str().unwrap_or_default() {
            "ADDED" | "MODIFIED" => drop(objects.0.insert(key, object)),
            "DELETED" => drop(objects.0.remove(&key)),
            other => panic!("a watch of {resource} ends with {other}: {object}"),
        }
        changed.notify_all();
    }

    /// Looks at each state until there is something to be seen; `None` if that takes too long.
    pub(crate) fn wait<T>(&self, time: Duration, mut look: impl FnMut(&Objects) -> Option<T>) -> Option<T> {
        let (objects, changed) = &*self.0;
        let until = Instant::now() + time;
        let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(seen) = look(&objects) {
                return Some(seen);
            }
            let left = until.checked_duration_since(Instant::now())?;
            objects = changed.wait_timeout(objects, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What is to be seen just now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Objects) -> T) -> T {
        look(&self.0.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Of a child, what its Application makes it, under a name that stands for the Application's.
fn reduced(child: &Value, application: &str) -> Value {
    let mut child = child.clone();
    let metadata = &mut child["metadata"];
    strip_notes(&mut metadata["annotations"]);
    let owners = metadata["ownerReferences"].as_array().cloned().unwrap_or_default();
    let owners: Vec<Value> =
        owners.iter().map(|owner| json!([owner["kind"], owner["name"], owner["controller"]])).collect();
    let metadata = json!({"labels": metadata["labels"], "annotations": metadata["annotations"],
        "finalizers": metadata["finalizers"], "owners": owners});
    let mut spec = child["spec"].take();
    strip_notes(&mut spec["template"]["metadata"]["annotations"]);
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|field, _| !HANDED_OUT.contains(&&**field));
    }
    for port in spec["ports"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        port.remove("nodePort");
    }
    let text = json!({"metadata": metadata, "spec": spec}).to_string().replace(application, "NAME");
    serde_json::from_str(&text).expect("a name is a plain text")
}

fn strip_notes(annotations: &mut Value) {
    if let Some(fields) = annotations.as_object_mut() {
        fields.retain(|key, _| !key.starts_with(NOTES));
    }
    if annotations.as_object().is_some_and(serde_json::Map::is_empty) {
        *annotations = Value::Null;
    }
}

/// Where two states of children differ, one line each.
pub(crate) fn differences(one: &Children, other: &Children) -> Vec<String> {
    let mut found = Vec::new();
    for (resource, _) in CHILDREN {
        match (one.get(resource), other.get(resource)) {
            (Some(one), Some(other)) => differ(one, other, resource, &mut found),
            (None, None) => {}
            (one, _) => found.push(format!("{resource}: {}", if one.is_some() { "one too many" } else { "missing" })),
        }
    }
    found
}

fn differ(one: &Value, other: &Value, path: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(fields), Value::Object(others)) => {
            let keys: std::collections::BTreeSet<&String> = fields.keys().chain(others.keys()).collect();
            for key in keys {
                differ(&one[key], &other[key], &format!("{path}.{key}"), found);
            }
        }
        (Value::Array(entries), Value::Array(others)) if entries.len() == others.len() => {
            for (index, (one, other)) in entries.iter().zip(others).enumerate() {
                differ(one, other, &format!("{path}[{index}]"), found);
            }
        }
        _ if one != other => found.push(format!("{path} is {one}, not {other}")),
        _ => {}
    }
}
