//! Who owns what an apply would leave, and how that is brought under one owner. Pure.
//!
//! An apply merges: what another writer owns stays beside what is wished. Where the API server has not both together (two
//! ports of one name, two handlers of a probe, a variable with a value and a source), it refuses that apply and every further
//! one. The way out that server-side apply offers is to take over what bars the way in `metadata.managedFields`; the next
//! apply, which does not have it, then removes it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::compare;
use super::fields::at;

/// A field, or an entry of a list, in a child.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The keys that lead to it in a `fieldsV1`.
    keys: Vec<String>,
    /// How many of them lead to something that is wished.
    wished: usize,
    /// The same as it is told, and as [`compare`] writes it.
    pub path: String,
}

/// What an apply would leave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bars {
    /// Entries of lists that are the operator's alone, whoever owns them.
    pub ports: BTreeSet<Part>,
    /// What others have set, which may well stand beside the wish: fields, and entries that the operator once applied. Entries
    /// that are wholly theirs are not among them.
    pub others: BTreeSet<Part>,
}

/// What an apply of `wish` by `manager` would leave in `live`.
pub fn bars(live: &Value, wish: &Value, manager: &str) -> Bars {
    let entries = managed_fields(live);
    let is_own = |entry: &&Value| is_own(entry, manager);
    let own = entries.iter().find(is_own).map_or(&Value::Null, |entry| &entry["fieldsV1"]["f:spec"]);
    let mut bars = Bars::default();
    // What is set by a subresource, as the scale is, is set for all time.
    for entry in entries.iter().filter(|entry| !is_own(entry) && entry["subresource"].is_null()) {
        bars.look(&entry["fieldsV1"]["f:spec"], own, Some(&wish["spec"]), &Part::spec());
    }
    bars.look_for_ports(own, &live["spec"], &wish["spec"], &Part::spec());
    bars
}

/// The managedFields in which `manager` alone owns `bars` of `live`.
pub fn take_over<'b>(live: &Value, wish: &Value, manager: &str, bars: impl IntoIterator<Item = &'b Part>) -> Value {
    let mut entries = managed_fields(live).to_vec();
    if !entries.iter().any(|entry| is_own(entry, manager)) {
        entries.push(json!({
            "manager": manager, "operation": "Apply", "apiVersion": wish["apiVersion"],
            "fieldsType": "FieldsV1", "fieldsV1": {},
        }));
    }
    for part in bars {
        for entry in &mut entries {
            if is_own(entry, manager) {
                // The entry or field itself, without which an apply removes parts of it and no more.
                part.keys.iter().fold(&mut entry["fieldsV1"], |fields, key| &mut fields[key])["."] = json!({});
            } else if entry["subresource"].is_null() {
                remove(&mut entry["fieldsV1"], &part.keys, part.wished);
            }
        }
    }
    entries.into()
}

fn managed_fields(live: &Value) -> &[Value] {
    live["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_own(entry: &Value, manager: &str) -> bool {
    entry["manager"] == manager && entry["operation"] == "Apply" && entry["subresource"].is_null()
}

impl Part {
    /// What everything stands in, which is wished.
    fn spec() -> Self {
        Self { keys: vec!["f:spec".to_owned()], wished: 1, path: "spec".to_owned() }
    }

    fn at(&self, key: &str, is_wished: bool) -> Self {
        let mut part = self.clone();
        part.keys.push(key.to_owned());
        part.wished += usize::from(is_wished);
        match key.strip_prefix("f:") {
            Some(field) => part.path.extend([".", field]),
            None => part.path.extend(["[", &label(key), "]"]),
        }
        part
    }
}

impl Bars {
    /// Looks through what another writer owns at `part`, where the operator owns `own`.
    fn look(&mut self, fields: &Value, own: &Value, wish: Option<&Value>, part: &Part) {
        let list = compare::list(&part.path);
        for (key, below) in fields.as_object().into_iter().flatten().filter(|(key, _)| *key != ".") {
            let (own, wished) = (&own[key], wish.and_then(|wish| at(wish, key)));
            let part = part.at(key, wished.is_some());
            let is_field = key.starts_with("f:");
            let is_leaf = || below.as_object().is_none_or(|below| below.keys().all(|key| key == "."));
            if wished.is_some() || is_field && !is_leaf() {
                self.look(below, own, wished, &part);
            } else if is_field {
                // Of a list that has lost its entries to others, the list itself says nothing.
                if compare::list(&part.path).is_none() {
                    self.others.insert(part);
                }
            } else if list.as_ref().is_some_and(|list| list.is_exact) {
                self.ports.insert(part);
            } else if !own.is_null() {
                self.others.insert(part);
            }
        }
    }

    /// Looks for ports of which the operator owns no more than fields, or nobody anything, since somebody has wiped the
    /// managedFields.
    fn look_for_ports(&mut self, own: &Value, live: &Value, wish: &Value, part: &Part) {
        match wish {
            Value::Object(fields) => {
                for (field, wish) in fields {
                    let key = format!("f:{field}");
                    self.look_for_ports(&own[&key], &live[field], wish, &part.at(&key, true));
                }
            }
            Value::Array(entries) => {
                let Some(list) = compare::list(&part.path) else { return };
                for live in live.as_array().into_iter().flatten() {
                    let key = list.key(live);
                    match entries.iter().find(|wish| list.is_same(wish, live)) {
                        Some(wish) => self.look_for_ports(&own[&key], live, wish, &part.at(&key, true)),
                        None if list.is_exact && own[&key].get(".").is_none() => {
                            self.ports.insert(part.at(&key, false));
                        }
                        None => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// How the entry is called that a key `k:{"name":"a"}` names.
fn label(key: &str) -> String {
    let keys = key.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Map<String, Value>>(keys).ok());
    match keys.as_ref().and_then(|keys| keys.values().next()) {
        Some(Value::String(name)) => name.clone(),
        Some(number) => number.to_string(),
        None => key.to_owned(),
    }
}

/// Removes what `keys` lead to, and what then holds nothing more beyond the first `wished` of them: who owns an empty struct
/// would keep it.
fn remove(fields: &mut Value, keys: &[String], wished: usize) {
    let Some(((key, below), fields)) = keys.split_first().zip(fields.as_object_mut()) else { return };
    if below.is_empty() {
        fields.remove(key);
    } else if let Some(inner) = fields.get_mut(key) {
        remove(inner, below, wished.saturating_sub(1));
        let is_empty = inner.as_object().is_some_and(|inner| inner.keys().all(|key| key == "."));
        if is_empty && wished == 0 {
            fields.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT_80: &str = r#"k:{"port":80,"protocol":"TCP"}"#;
    const PORT_9999: &str = r#"k:{"port":9999,"protocol":"TCP"}"#;

    fn service(port: u16) -> Value {
        json!({"apiVersion": "v1", "spec": {"type": "NodePort", "ports": [{"port": port, "protocol": "TCP", "name": "http"}]}})
    }

    fn entry(manager: &str, operation: &str, ports: &[u16]) -> Value {
        let mut fields = json!({"f:spec": {"f:type": {}, "f:ports": {".": {}}}});
        for port in ports {
            fields["f:spec"]["f:ports"][format!(r#"k:{{"port":{port},"protocol":"TCP"}}"#)] = json!({"f:name": {}});
        }
        json!({"manager": manager, "operation": operation, "fieldsV1": fields})
    }

    fn owned(entries: &[Value]) -> Value {
        json!({"metadata": {"managedFields": entries}})
    }

    fn ports(entry: &Value) -> Vec<&String> {
        let ports = entry["fieldsV1"]["f:spec"]["f:ports"].as_object().unwrap();
        ports.keys().filter(|key| key.starts_with("k:")).collect()
    }

    /// The managedFields once all ports are taken over; `None` if there are none.
    fn taken(live: &Value, wish: &Value) -> Option<Value> {
        let Bars { ports, others } = bars(live, wish, "operator");
        assert_eq!(others, BTreeSet::new());
        let taken = take_over(live, wish, "operator", &ports);
        let mut after = live.clone();
        after["metadata"]["managedFields"] = taken.clone();
        assert_eq!(bars(&after, wish, "operator"), Bars::default(), "once is enough");
        (!ports.is_empty()).then_some(taken)
    }

    #[test]
    fn foreign_ports_change_hands_and_wished_ones_stay() {
        let live = owned(&[entry("operator", "Apply", &[80]), entry("kubectl-edit", "Update", &[80, 9999])]);
        let taken = taken(&live, &service(80)).unwrap();
        assert_eq!(ports(&taken[0]), [PORT_80, PORT_9999]);
        assert_eq!(ports(&taken[1]), [PORT_80]);
        assert_eq!(taken[1]["fieldsV1"]["f:spec"]["f:type"], json!({}), "other fields stay where they are");
    }

    #[test]
    fn an_own_update_entry_is_as_foreign_as_any_other() {
        let taken = taken(&owned(&[entry("operator", "Update", &[9999])]), &service(80)).unwrap();
        assert_eq!(taken[1]["operation"], "Apply");
        assert_eq!(ports(&taken[0]).len(), 0);
        assert_eq!(taken[1]["fieldsV1"]["f:spec"]["f:ports"], json!({PORT_9999: {".": {}}}));
    }

    #[test]
    fn ports_that_nobody_owns_are_claimed_and_so_are_those_of_which_only_fields_are_owned() {
        let with = |entries: &[Value]| {
            let mut live = owned(entries);
            live["spec"] = json!({"ports": [{"port": 80, "protocol": "TCP"}, {"port": 9999, "protocol": "TCP"}]});
            live
        };
        assert_eq!(ports(&taken(&with(&[]), &service(80)).unwrap()[0]), [PORT_9999]);
        let mut own = [entry("operator", "Apply", &[9999])];
        let claimed = taken(&with(&own), &service(80)).unwrap();
        let fields = json!({".": {}, "f:name": {}});
        assert_eq!(claimed[0]["fieldsV1"]["f:spec"]["f:ports"][PORT_9999], fields);
        own[0]["fieldsV1"]["f:spec"]["f:ports"][PORT_9999] = fields;
        assert_eq!(taken(&with(&own), &service(80)), None);
    }

    #[test]
    fn a_port_is_taken_as_a_whole_and_what_is_owned_of_it_stays() {
        let mut managed = [entry("operator", "Apply", &[80]), entry("kubectl-edit", "Update", &[80])];
        managed[0]["fieldsV1"]["f:spec"]["f:ports"][PORT_80] = json!({"f:port": {}});
        let taken = taken(&owned(&managed), &service(9999)).unwrap();
        assert_eq!(taken[0]["fieldsV1"]["f:spec"]["f:ports"][PORT_80], json!({".": {}, "f:port": {}}));
        assert_eq!(ports(&taken[1]).len(), 0);
    }

    #[test]
    fn where_nobody_else_owns_a_port_nothing_is_to_be_done() {
        let managed = [entry("operator", "Apply", &[80, 9999]), entry("other", "Update", &[80])];
        assert_eq!(taken(&owned(&managed), &service(80)), None);
    }

    fn in_containers(fields: &Value) -> Value {
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": fields}}}})
    }

    fn with_containers(containers: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "spec": {"template": {"spec": {"containers": containers}}}})
    }

    #[test]
    fn the_ports_of_a_container_are_found_by_the_containers_name() {
        let wish = with_containers(&json!([{"name": "web", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]));
        let fields = in_containers(&json!({
            r#"k:{"name":"web"}"#: {"f:ports": {r#"k:{"containerPort":81,"protocol":"TCP"}"#: {}}},
            r#"k:{"name":"mesh"}"#: {"f:ports": {r#"k:{"containerPort":15001,"protocol":"TCP"}"#: {}}},
        }));
        let managed = [json!({"manager": "main", "operation": "Update", "fieldsV1": fields})];
        let taken = taken(&owned(&managed), &wish).unwrap();
        let containers = |entry: &Value| entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"].clone();
        assert_eq!(containers(&taken[0])[r#"k:{"name":"web"}"#], json!({"f:ports": {}}));
        assert!(containers(&taken[0])[r#"k:{"name":"mesh"}"#]["f:ports"].as_object().unwrap().len() == 1);
        assert!(containers(&taken[1])[r#"k:{"name":"web"}"#]["f:ports"].as_object().unwrap().len() == 1);
    }

    /// A container's fields as the operator's last apply and an edit left them, and what is wished of it.
    fn container(own: &Value, foreign: &Value, wish: &Value) -> (Value, Value) {
        let of_container = |fields: &Value| in_containers(&json!({r#"k:{"name":"web"}"#: fields}));
        let managed = [
            json!({"manager": "operator", "operation": "Apply", "fieldsV1": of_container(own)}),
            json!({"manager": "kubectl-edit", "operation": "Update", "fieldsV1": of_container(foreign)}),
        ];
        let mut wished = wish.clone();
        wished["name"] = json!("web");
        (owned(&managed), with_containers(&json!([wished])))
    }

    fn others(own: &Value, foreign: &Value, wish: &Value) -> Vec<String> {
        let (live, wish) = container(own, foreign, wish);
        let Bars { others, .. } = bars(&live, &wish, "operator");
        others.into_iter().map(|part| part.path.replace("spec.template.spec.containers[web].", "")).collect()
    }

    #[test]
    fn what_others_have_set_is_found_field_by_field_and_what_is_wished_is_not_among_it() {
        let foreign = json!({"f:image": {}, "f:workingDir": {},
            "f:livenessProbe": {".": {}, "f:exec": {".": {}, "f:command": {}}, "f:httpGet": {"f:host": {}, "f:port": {}}},
            "f:env": {r#"k:{"name":"A"}"#: {"f:valueFrom": {"f:configMapKeyRef": {"f:key": {}, "f:name": {}}}}}});
        let wish =
            json!({"image": "i", "livenessProbe": {"httpGet": {"port": 80}}, "env": [{"name": "A", "value": "1"}]});
        let keys = ["key", "name"].map(|name| format!("env[A].valueFrom.configMapKeyRef.{name}"));
        let [key, name] = keys.each_ref().map(String::as_str);
        let found = [key, name, "livenessProbe.exec.command", "livenessProbe.httpGet.host", "workingDir"];
        assert_eq!(others(&json!({}), &foreign, &wish), found);
    }

    #[test]
    fn an_entry_is_found_if_the_operator_once_applied_it_and_else_is_left_to_whoever_made_it() {
        let own = json!({"f:env": {r#"k:{"name":"A"}"#: {".": {}, "f:value": {}}}});
        let foreign = json!({"f:volumeMounts": {}, "f:env": {".": {},
            r#"k:{"name":"A"}"#: {"f:value": {}}, r#"k:{"name":"B"}"#: {".": {}, "f:value": {}}}});
        assert_eq!(others(&own, &foreign, &json!({})), ["env[A]"]);
    }

    #[test]
    fn what_is_taken_leaves_no_empty_struct_in_the_hands_of_others_and_nothing_else_is_theirs_no_more() {
        let foreign = json!({"f:livenessProbe": {".": {}, "f:exec": {".": {}, "f:command": {}}, "f:periodSeconds": {}},
            "f:lifecycle": {".": {}, "f:preStop": {".": {}, "f:sleep": {".": {}, "f:seconds": {}}}}});
        let (live, wish) = container(&json!({}), &foreign, &json!({"livenessProbe": {"httpGet": {}}}));
        let Bars { others, .. } = bars(&live, &wish, "operator");
        let barring = others.iter().filter(|part| part.path.ends_with("command") || part.path.ends_with("seconds"));
        let taken = take_over(&live, &wish, "operator", barring);
        let of = |entry: &Value| {
            entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"][r#"k:{"name":"web"}"#].clone()
        };
        assert_eq!(of(&taken[1]), json!({"f:livenessProbe": {".": {}, "f:periodSeconds": {}}}));
        assert_eq!(
            of(&taken[0]),
            json!({"f:livenessProbe": {"f:exec": {"f:command": {".": {}}}},
            "f:lifecycle": {"f:preStop": {"f:sleep": {"f:seconds": {".": {}}}}}})
        );
    }

    #[test]
    fn what_is_set_by_a_subresource_is_never_found() {
        let set = |subresource: &Value| {
            let entry = json!({"manager": "autoscaler", "operation": "Update", "subresource": subresource,
                "fieldsV1": {"f:spec": {"f:replicas": {}}}});
            bars(&owned(&[entry]), &json!({"spec": {"template": {}}}), "operator").others.len()
        };
        assert_eq!((set(&json!("scale")), set(&Value::Null)), (0, 1));
    }
}
