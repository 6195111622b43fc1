//! What is found at rest → the same without what must differ: uids, versions, times, hashes, generated names, nodes, addresses.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What every namespace of the real one holds.
const EVERYWHERE: &str = "kube-root-ca.crt";

/// The label with the hash of a template.
const HASH: &str = "pod-template-hash";

/// Texts, and what stands in place of them; longer ones first, since a set's name is part of its pods'.
type Words = Vec<(String, String)>;

/// A namespace and the objects in it, by resource.
pub(crate) fn state(namespace: &Value, lists: &[(String, Vec<Value>)]) -> Value {
    let all = || lists.iter().flat_map(|(_, items)| items);
    let mut words: Words = all().filter_map(hash).collect();
    words.sort();
    words.dedup();
    // The names are made of the hashes.
    let names: Words = all().filter_map(|object| generated(object, &words)).collect();
    words.extend(names);
    words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    let uids: Words = all().filter_map(|object| uid(object, &words)).collect();
    words.extend(uids);
    words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    let mut found = Map::new();
    for (resource, items) in lists {
        let items = items.iter().filter(|item| item["metadata"]["name"] != EVERYWHERE);
        let mut items: Vec<Value> = items.map(|item| walk("", &pared(resource, item), &words)).collect();
        items.sort_by_key(ToString::to_string);
        found.insert(resource.clone(), items.into());
    }
    let phase = &namespace["status"]["phase"];
    found.insert(
        "namespace".into(),
        json!({"phase": phase, "conditions": walk("", &namespace["status"]["conditions"], &[])}),
    );
    found.into()
}

/// Whether a pod says that it is.
pub(crate) fn is_ready(pod: &Value) -> bool {
    says(pod, "Ready", "True")
}

/// Whether it has a condition with that status.
fn says(pod: &Value, kind: &str, status: &str) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == kind && condition["status"] == status)
}

/// A template's hash, and in place of it what it is a hash of, as far as the scenarios change it.
fn hash(object: &Value) -> Option<(String, String)> {
    let hash = object["metadata"]["labels"][HASH].as_str()?;
    let spec =
        if object["spec"]["template"].is_object() { &object["spec"]["template"]["spec"] } else { &object["spec"] };
    let image = spec["containers"][0]["image"].as_str()?;
    let node = spec["nodeSelector"]["disk"].as_str().map(|disk| format!(" on {disk}")).unwrap_or_default();
    Some((hash.to_owned(), format!("<{image}{node}>")))
}

fn generated(object: &Value, words: &[(String, String)]) -> Option<(String, String)> {
    let prefix = object["metadata"]["generateName"].as_str()?;
    Some((object["metadata"]["name"].as_str()?.to_owned(), format!("{}*", replaced(prefix, words))))
}

fn uid(object: &Value, words: &[(String, String)]) -> Option<(String, String)> {
    let metadata = &object["metadata"];
    Some((metadata["uid"].as_str()?.to_owned(), format!("uid of {}", replaced(metadata["name"].as_str()?, words))))
}

fn replaced(text: &str, words: &[(String, String)]) -> String {
    words.iter().fold(text.to_owned(), |text, (word, other)| text.replace(word, other))
}

/// The part of an object that controllers have a say in.
fn pared(resource: &str, object: &Value) -> Value {
    let mut object = object.clone();
    let is_observed = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for field in ["uid", "resourceVersion", "managedFields", "creationTimestamp", "namespace"] {
        metadata.remove(field);
    }
    match resource {
        "pods" => {
            metadata.remove("generation");
            // Those whose containers have ended go on being ready on the nodes that KWOK plays.
            let is_over = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            let (is_placed, is_ready) = (object["spec"]["nodeName"].is_string(), is_ready(&object) && !is_over);
            json!({
                "metadata": object["metadata"], "phase": object["status"]["phase"],
                "isPlaced": is_placed, "isReady": is_ready, "isUnschedulable": says(&object, "PodScheduled", "False"),
            })
        }
        // How many steps a rollout takes is a matter of time.
        "replicasets" => {
            metadata.remove("generation");
            object["status"]["observedGeneration"] = is_observed.into();
            object
        }
        // What triggered the last change is a time, and is there or not depending on what came together.
        "endpointslices" => {
            metadata.remove("generation");
            metadata.remove("annotations");
            // The real server shows empty lists of it as `null`.
            object.as_object_mut().expect("a map").retain(|_, value| !value.is_null());
            object
        }
        _ => object,
    }
}

fn walk(key: &str, value: &Value, words: &[(String, String)]) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(name, inner)| (name.clone(), walk(name, inner, words)));
            Value::Object(fields.collect())
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(|item| walk(key, item, words)).collect();
            // The order of conditions is that in which they last changed.
            if key == "endpoints" || key == "conditions" {
                list.sort_by_key(ToString::to_string);
            }
            Value::Array(list)
        }
        Value::String(text) => match key {
            "nodeName" => "node".into(),
            "clusterIP" | "clusterIPs" | "addresses" if text != "None" => "address".into(),
            "uid" | "controller-uid" | "batch.kubernetes.io/controller-uid"
                if words.iter().all(|(word, _)| word != text) =>
            {
                "uid of nothing".into()
            }
            _ if text.parse::<Timestamp>().is_ok() => "time".into(),
            _ => replaced(text, words).into(),
        },
        Value::Number(_) if key == "nodePort" => "port".into(),
        other => other.clone(),
    }
}
