//! Ingresses → the cells of their rows.

use jiff::Timestamp;
use serde_json::Value;

use super::{Columns, age};
use crate::object;

pub(super) const COLUMNS: &Columns = &[
    ("Name", "string", 0),
    ("Class", "string", 0),
    ("Hosts", "string", 0),
    ("Address", "string", 0),
    ("Ports", "string", 0),
    ("Age", "string", 0),
];

/// As many hosts as are shown.
const SHOWN: usize = 3;

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    let ports = if spec["tls"].as_array().is_some_and(|tls| !tls.is_empty()) { "80, 443" } else { "80" };
    vec![
        object::text(object, "name").into(),
        spec["ingressClassName"].as_str().unwrap_or("<none>").into(),
        hosts(spec).into(),
        address(&object["status"]["loadBalancer"]["ingress"]).into(),
        ports.into(),
        age::since(object::metadata(object).get("creationTimestamp"), now).into(),
    ]
}

fn hosts(spec: &Value) -> String {
    let rules = spec["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named: Vec<&str> =
        rules.iter().filter_map(|rule| rule["host"].as_str()).filter(|host| !host.is_empty()).collect();
    match named.as_slice() {
        [] => "*".to_owned(),
        [shown @ .., _] if named.len() > SHOWN => {
            format!("{} + {} more...", shown[..SHOWN].join(","), rules.len() - SHOWN)
        }
        all => all.join(","),
    }
}

fn address(ingress: &Value) -> String {
    let one = |one: &Value| one["ip"].as_str().or(one["hostname"].as_str()).map(str::to_owned);
    let mut all: Vec<String> = ingress.as_array().into_iter().flatten().filter_map(one).collect();
    all.sort();
    all.dedup();
    all.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_so_many_hosts_are_shown() {
        let told = |names: &[&str]| {
            let rules: Vec<Value> = names.iter().map(|name| json!({"host": name})).collect();
            hosts(&json!({"rules": rules}))
        };
        assert_eq!(told(&[]), "*");
        assert_eq!(told(&["a", "b", "c"]), "a,b,c");
        assert_eq!(told(&["a", "b", "c", "d", "e"]), "a,b,c + 2 more...");
    }
}
