//! Who owns the ports of a child, and how they are brought under one owner. Pure.
//!
//! Lists of ports are keyed by port number: an entry that another writer added survives every apply, and makes it fail for
//! ever where both entries bear one name. The way out that server-side apply offers is to take over the ownership of the
//! foreign entries in `metadata.managedFields`; the next apply, which does not have them, then removes them.

use serde_json::{Map, Value, json};

/// The managedFields in which `manager` owns every port entry of `live` that `wish` does not have; `None` if it owns them
/// already.
pub fn take_over(managed_fields: &[Value], live: &Value, wish: &Value, manager: &str) -> Option<Vec<Value>> {
    let mut entries = managed_fields.to_vec();
    let is_own =
        |entry: &Value| entry["manager"] == manager && entry["operation"] == "Apply" && entry["subresource"].is_null();
    let mut taken = Vec::new();
    for list in lists(wish) {
        for entry in entries.iter_mut().filter(|entry| !is_own(entry)) {
            let Some(ports) = at(&mut entry["fieldsV1"], &list.path) else {
                continue;
            };
            ports.retain(|key, _| {
                let stays = list.is_wished(key);
                if !stays {
                    taken.push((list.path.clone(), key.clone()));
                }
                stays
            });
        }
        // Entries of which the operator owns no more than fields, or nobody anything, since somebody has wiped the managedFields.
        let is_owned =
            |key: &str| entries.iter().any(|entry| is_own(entry) && owns(&entry["fieldsV1"], &list.path, key));
        for key in list.keys(live).into_iter().filter(|key| !list.is_wished(key) && !is_owned(key)) {
            taken.push((list.path.clone(), key));
        }
    }
    if taken.is_empty() {
        return None;
    }
    if !entries.iter().any(&is_own) {
        entries.push(json!({
            "manager": manager, "operation": "Apply", "apiVersion": wish["apiVersion"],
            "fieldsType": "FieldsV1", "fieldsV1": {},
        }));
    }
    let own = entries.iter_mut().find(|entry| is_own(entry))?;
    for (path, key) in taken {
        let ports = path.iter().fold(&mut own["fieldsV1"], |fields, step| &mut fields[step]);
        // The entry itself, without which an apply removes fields of it and no more.
        ports[key]["."] = json!({});
    }
    Some(entries)
}

/// A list of ports in a child.
struct List {
    /// Where it stands in a `fieldsV1`.
    path: Vec<String>,
    /// Its wished entries.
    wished: Vec<Value>,
    /// The field that holds the port number.
    number: &'static str,
    /// The name of the container that it belongs to, if any.
    container: Option<Value>,
}

impl List {
    /// The `fieldsV1` keys of its entries in an object.
    fn keys(&self, object: &Value) -> Vec<String> {
        let spec = &object["spec"];
        let containers = spec["template"]["spec"]["containers"].as_array().into_iter().flatten();
        let ports = match &self.container {
            None => Some(&spec["ports"]),
            Some(name) => {
                containers.into_iter().find(|container| container["name"] == *name).map(|found| &found["ports"])
            }
        };
        let ports = ports.and_then(Value::as_array).into_iter().flatten();
        ports
            .map(|port| format!("k:{}", json!({self.number: port[self.number], "protocol": port["protocol"]})))
            .collect()
    }

    /// Returns true if a `fieldsV1` key is that of a wished entry, or of no entry at all.
    fn is_wished(&self, key: &str) -> bool {
        let Some(Ok(key)) = key.strip_prefix("k:").map(serde_json::from_str::<Value>) else {
            return true;
        };
        self.wished.iter().any(|port| port[self.number] == key[self.number] && port["protocol"] == key["protocol"])
    }
}

/// The lists of ports in `wish`: a Service's own, or those of each container of a pod template.
fn lists(wish: &Value) -> Vec<List> {
    let entries = |ports: &Value| ports.as_array().cloned().unwrap_or_default();
    let steps = |steps: &[&str]| steps.iter().map(ToString::to_string).collect::<Vec<_>>();
    let spec = &wish["spec"];
    let mut lists = Vec::new();
    if spec["ports"].is_array() {
        lists.push(List {
            path: steps(&["f:spec", "f:ports"]),
            wished: entries(&spec["ports"]),
            number: "port",
            container: None,
        });
    }
    for container in spec["template"]["spec"]["containers"].as_array().into_iter().flatten() {
        let key = format!("k:{}", json!({"name": container["name"]}));
        lists.push(List {
            path: steps(&["f:spec", "f:template", "f:spec", "f:containers", &key, "f:ports"]),
            wished: entries(&container["ports"]),
            number: "containerPort",
            container: Some(container["name"].clone()),
        });
    }
    lists
}

/// Returns true if `fields` own the entry `key` of the list at `path` itself, and not only fields of it.
fn owns(fields: &Value, path: &[String], key: &str) -> bool {
    let list = path.iter().try_fold(fields, |fields, step| fields.get(step));
    list.is_some_and(|list| list[key].get(".").is_some())
}

fn at<'a>(fields: &'a mut Value, path: &[String]) -> Option<&'a mut Map<String, Value>> {
    path.iter().try_fold(fields, |fields, step| fields.get_mut(step))?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT_80: &str = r#"k:{"port":80,"protocol":"TCP"}"#;
    const PORT_9999: &str = r#"k:{"port":9999,"protocol":"TCP"}"#;

    fn service(port: u16) -> Value {
        json!({"apiVersion": "v1", "spec": {"ports": [{"port": port, "protocol": "TCP"}]}})
    }

    fn entry(manager: &str, operation: &str, ports: &[u16]) -> Value {
        let mut fields = json!({"f:spec": {"f:type": {}, "f:ports": {".": {}}}});
        for port in ports {
            fields["f:spec"]["f:ports"][format!(r#"k:{{"port":{port},"protocol":"TCP"}}"#)] = json!({"f:name": {}});
        }
        json!({"manager": manager, "operation": operation, "fieldsV1": fields})
    }

    fn ports(entry: &Value) -> Vec<&String> {
        let ports = entry["fieldsV1"]["f:spec"]["f:ports"].as_object().unwrap();
        ports.keys().filter(|key| key.starts_with("k:")).collect()
    }

    #[test]
    fn foreign_entries_change_hands_and_wished_ones_stay() {
        let managed = [entry("operator", "Apply", &[80]), entry("kubectl-edit", "Update", &[80, 9999])];
        let taken = take_over(&managed, &Value::Null, &service(80), "operator").unwrap();
        assert_eq!(ports(&taken[0]), [PORT_80, PORT_9999]);
        assert_eq!(ports(&taken[1]), [PORT_80]);
        assert_eq!(taken[1]["fieldsV1"]["f:spec"]["f:type"], json!({}), "other fields stay where they are");
    }

    #[test]
    fn an_own_update_entry_is_as_foreign_as_any_other() {
        let managed = [entry("operator", "Update", &[9999])];
        let taken = take_over(&managed, &Value::Null, &service(80), "operator").unwrap();
        assert_eq!((taken.len(), &taken[1]["operation"]), (2, &json!("Apply")));
        assert_eq!(ports(&taken[0]).len(), 0);
        assert_eq!(taken[1]["fieldsV1"]["f:spec"]["f:ports"], json!({PORT_9999: {".": {}}}));
    }

    #[test]
    fn entries_that_nobody_owns_are_claimed_and_so_are_those_of_which_only_fields_are_owned() {
        let live = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 9999, "protocol": "TCP"}]}});
        let taken = take_over(&[], &live, &service(80), "operator").unwrap();
        assert_eq!(ports(&taken[0]), [PORT_9999]);
        let mut own = [entry("operator", "Apply", &[9999])];
        let claimed = take_over(&own, &live, &service(80), "operator").unwrap();
        let fields = json!({".": {}, "f:name": {}});
        assert_eq!(claimed[0]["fieldsV1"]["f:spec"]["f:ports"][PORT_9999], fields);
        own[0]["fieldsV1"]["f:spec"]["f:ports"][PORT_9999] = fields;
        assert_eq!(take_over(&own, &live, &service(80), "operator"), None);
    }

    #[test]
    fn an_entry_is_taken_as_a_whole_and_what_is_owned_of_it_stays() {
        let mut managed = [entry("operator", "Apply", &[80]), entry("kubectl-edit", "Update", &[80])];
        managed[0]["fieldsV1"]["f:spec"]["f:ports"][PORT_80] = json!({"f:port": {}});
        let taken = take_over(&managed, &Value::Null, &service(9999), "operator").unwrap();
        assert_eq!(taken[0]["fieldsV1"]["f:spec"]["f:ports"][PORT_80], json!({".": {}, "f:port": {}}));
        assert_eq!(ports(&taken[1]).len(), 0);
    }

    #[test]
    fn where_nobody_else_owns_a_port_nothing_is_to_be_done() {
        let managed = [entry("operator", "Apply", &[80, 9999]), entry("other", "Update", &[80])];
        assert_eq!(take_over(&managed, &Value::Null, &service(80), "operator"), None);
    }

    #[test]
    fn the_ports_of_a_container_are_found_by_the_containers_name() {
        let wish = json!({"apiVersion": "apps/v1", "spec": {"template": {"spec": {"containers": [
            {"name": "web", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}}}});
        let fields = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {
            r#"k:{"name":"web"}"#: {"f:ports": {r#"k:{"containerPort":81,"protocol":"TCP"}"#: {}}},
            r#"k:{"name":"mesh"}"#: {"f:ports": {r#"k:{"containerPort":15001,"protocol":"TCP"}"#: {}}},
        }}}}});
        let managed = [json!({"manager": "main", "operation": "Update", "fieldsV1": fields})];
        let taken = take_over(&managed, &Value::Null, &wish, "operator").unwrap();
        let containers = |entry: &Value| entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"].clone();
        assert_eq!(containers(&taken[0])[r#"k:{"name":"web"}"#]["f:ports"], json!({}));
        assert!(containers(&taken[0])[r#"k:{"name":"mesh"}"#]["f:ports"].as_object().unwrap().len() == 1);
        assert!(containers(&taken[1])[r#"k:{"name":"web"}"#]["f:ports"].as_object().unwrap().len() == 1);
    }
}
