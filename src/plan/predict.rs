//! A live child and what will be applied in, the child as it will be out. Pure.
//!
//! What server-side apply does, as far as it can be told without the API server: for those who may read a child and not
//! write it, not even for a trial. Fields that the operator owned and no longer wishes go; those of others stay.

use serde_json::{Map, Value};

use super::compare::{is_same_quantity, list};
use super::fields::{at, index_of};

/// `live` as it is after `wish` was applied to it by the field manager `manager`.
pub fn applied(live: &Value, wish: &Value, manager: &str) -> Value {
    let entries = live["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_own =
        |entry: &&Value| entry["manager"] == manager && entry["operation"] == "Apply" && entry["subresource"].is_null();
    let own = entries.iter().find(is_own).map(|entry| &entry["fieldsV1"]);
    let others: Vec<&Value> = entries.iter().filter(|entry| !is_own(entry)).map(|entry| &entry["fieldsV1"]).collect();
    let mut after = live.clone();
    if let Some(own) = own.and_then(Value::as_object) {
        prune(&mut after, own, &others, Some(wish));
    }
    merge(&mut after, wish, "");
    after
}

/// Removes from `live` what `own` names and `wish` does not have, unless another manager owns it as well.
fn prune(live: &mut Value, own: &Map<String, Value>, others: &[&Value], wish: Option<&Value>) {
    for (key, below) in own {
        let others: Vec<&Value> = others.iter().filter_map(|other| other.get(key)).collect();
        let wished = wish.and_then(|wish| at(wish, key));
        let goes = wished.is_none() && others.is_empty();
        if let Some(field) = key.strip_prefix("f:") {
            if goes {
                live.as_object_mut().and_then(|fields| fields.remove(field));
            } else if let (Some(live), Some(below)) = (live.get_mut(field), below.as_object()) {
                prune(live, below, &others, wished);
            }
        } else if let (Some(index), Some(entries)) = (index_of(live, key), live.as_array_mut()) {
            if goes {
                entries.remove(index);
            } else if let Some(below) = below.as_object() {
                prune(&mut entries[index], below, &others, wished);
            }
        }
    }
}

fn merge(live: &mut Value, wish: &Value, path: &str) {
    match (&mut *live, wish) {
        // One value, all of whose labels count.
        (live, wish) if path == "spec.selector" => *live = wish.clone(),
        (Value::Object(live), Value::Object(wish)) => {
            for (field, wish) in wish {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                merge(live.entry(field.clone()).or_insert(Value::Null), wish, &path);
            }
        }
        (Value::Array(live), Value::Array(wish)) => merge_list(live, wish, path),
        (live, wish) => {
            if !is_same_quantity(wish, live, path) {
                *live = wish.clone();
            }
        }
    }
}

fn merge_list(live: &mut Vec<Value>, wish: &[Value], path: &str) {
    let Some(list) = list(path) else {
        *live = wish.to_vec();
        return;
    };
    if list.is_exact {
        live.retain(|live| wish.iter().any(|wish| list.is_same(wish, live)));
    }
    for wish in wish {
        match live.iter_mut().find(|live| list.is_same(wish, live)) {
            Some(live) => merge(live, wish, &format!("{path}[]")),
            None => live.push(wish.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A Deployment whose fields are owned as an apply of `operator` and an edit by kubectl left them.
    fn live() -> Value {
        json!({
            "metadata": {"name": "web", "labels": {"app": "web", "team": "a"}, "managedFields": [
                {"manager": "operator", "operation": "Apply", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:app": {}}},
                    "f:spec": {"f:replicas": {}, "f:minReadySeconds": {}, "f:template": {"f:spec": {"f:containers": {
                        "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}, "f:env": {
                            "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}},
                            "k:{\"name\":\"B\"}": {".": {}, "f:name": {}, "f:value": {}}}}}}}}}},
                {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:team": {}}}, "f:spec": {"f:minReadySeconds": {}}}},
            ]},
            "spec": {"replicas": 2, "minReadySeconds": 5, "template": {"spec": {"dnsPolicy": "ClusterFirst", "containers": [
                {"name": "mesh"},
                {"name": "web", "image": "i:1", "resources": {"limits": {"cpu": "500m"}},
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]}}},
        })
    }

    #[test]
    fn what_is_no_longer_wished_goes_and_what_others_own_stays() {
        let wish = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"replicas": 3, "template": {"spec": {"containers": [
            {"name": "web", "image": "i:2", "resources": {"limits": {"cpu": 0.5}}, "env": [{"name": "B", "value": "2"}]}]}}}});
        let after = applied(&live(), &wish, "operator");
        assert_eq!(after["metadata"]["labels"], json!({"app": "web", "team": "a"}));
        assert_eq!((&after["spec"]["replicas"], &after["spec"]["minReadySeconds"]), (&json!(3), &json!(5)));
        let pod = &after["spec"]["template"]["spec"];
        assert_eq!(pod["dnsPolicy"], "ClusterFirst");
        assert_eq!(
            pod["containers"],
            json!([{"name": "mesh"},
            {"name": "web", "image": "i:2", "resources": {"limits": {"cpu": "500m"}}, "env": [{"name": "B", "value": "2"}]}])
        );
    }

    #[test]
    fn what_is_as_wished_stays_as_it_is() {
        let mut wish = live();
        wish["metadata"]["managedFields"] = json!(null);
        wish["metadata"].as_object_mut().unwrap().remove("managedFields");
        assert_eq!(applied(&live(), &wish, "operator"), live());
    }

    #[test]
    fn a_list_of_ports_is_the_operators_own() {
        let live = json!({"spec": {"ports": [{"port": 9999, "name": "http"}, {"port": 80, "nodePort": 30080, "protocol": "TCP"}]}});
        let wish = json!({"spec": {"ports": [{"port": 80, "name": "http"}]}});
        let after = applied(&live, &wish, "operator");
        assert_eq!(after["spec"]["ports"], json!([{"port": 80, "nodePort": 30080, "protocol": "TCP", "name": "http"}]));
    }
}
