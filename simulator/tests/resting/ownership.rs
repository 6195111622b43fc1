//! What becomes of what is owned, and of what is in a namespace.

use serde_json::{Value, json};

use crate::scenario::{Deed, Scenario, create, delete, deployment, image, merge};

pub(crate) fn all() -> Vec<Scenario> {
    let web = || vec![deployment(2, &Value::Null)];
    let chain = || vec![map("a", &[]), map("b", &["a"]), map("c", &["b"])];
    vec![
        Scenario::new("background", [web(), vec![image("2")], vec![delete("deployments/web", "Background")]]),
        Scenario::new("foreground", [web(), vec![delete("deployments/web", "Foreground")]]),
        Scenario::new(
            "orphans",
            [web(), vec![delete("deployments/web", "Orphan")], web(), vec![delete("deployments/web", "Background")]],
        ),
        Scenario::new("chain", [chain(), vec![delete("configmaps/a", "Background")]]),
        Scenario::new("chain-foreground", [chain(), vec![delete("configmaps/a", "Foreground")]]),
        Scenario::new(
            "chain-orphan",
            [chain(), vec![delete("configmaps/a", "Orphan")], vec![delete("configmaps/b", "Background")]],
        ),
        Scenario::new(
            "two-owners",
            [
                vec![map("a", &[]), map("b", &[]), map("c", &["a", "b"])],
                vec![delete("configmaps/a", "Background")],
                vec![delete("configmaps/b", "Foreground")],
            ],
        ),
        Scenario::new("no-owner", [vec![stray()]]),
        Scenario::new(
            "held",
            [
                vec![map("a", &[]), map("b", &["a"]), merge("configmaps/b", hold(&json!(["example.com/hold"])))],
                vec![delete("configmaps/a", "Foreground")],
                vec![merge("configmaps/b", hold(&Value::Null))],
            ],
        ),
        Scenario::new(
            "namespace",
            [
                vec![
                    deployment(2, &Value::Null),
                    map("a", &[]),
                    merge("configmaps/a", hold(&json!(["example.com/hold"]))),
                ],
                vec![delete("namespaces/$space", "Background")],
                vec![merge("configmaps/a", hold(&Value::Null))],
            ],
        ),
    ]
}

/// A configuration, and the names of those that own it.
fn map(name: &str, owners: &[&str]) -> Deed {
    let owner = |owner: &&str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": format!("$uid(configmaps/{owner})"),
            "blockOwnerDeletion": true,
        })
    };
    let owners: Vec<Value> = owners.iter().map(owner).collect();
    create("configmaps", json!({"metadata": {"name": name, "ownerReferences": owners}, "data": {"name": name}}))
}

/// A configuration whose owner there never was.
fn stray() -> Deed {
    let uid = "00000000-0000-4000-8000-000000000001";
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": uid});
    create("configmaps", json!({"metadata": {"name": "stray", "ownerReferences": [owner]}}))
}

fn hold(finalizers: &Value) -> Value {
    json!({"metadata": {"finalizers": finalizers}})
}
