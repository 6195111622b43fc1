//! A run is a function of its seed.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::json;

use crate::world::{DEPLOYMENTS, JOBS, SERVICES, World, deployment};

/// Every change of a run with a bit of everything, and their hash.
fn trace(seed: u64) -> (u64, String) {
    let mut world = World::seeded(seed);
    for name in ["a", "b", "missing", "crash"] {
        world.create(DEPLOYMENTS, &deployment(name, 3, name));
        let spec = json!({"selector": {"app": name}, "ports": [{"port": 80}]});
        world.create(SERVICES, &json!({"metadata": {"name": name}, "spec": spec}));
    }
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x:crash"}]}});
    world.create(JOBS, &json!({"metadata": {"name": "one"}, "spec": {"template": template}}));
    world.pass(7);
    world.delete(&format!("{DEPLOYMENTS}/a"), "Foreground");
    world.merge(&format!("{DEPLOYMENTS}/b"), &json!({"spec": {"replicas": 7}}));
    world.pass(900);
    let mut text = String::new();
    for change in world.0.server.state().history.since(0) {
        writeln!(text, "{} {} {:?} {}", change.version, change.is_deletion, change.place, change.new).expect("text");
    }
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    (hasher.finish(), text)
}

#[test]
fn the_same_seed_gives_the_same_changes_to_the_letter() {
    let (a, b) = (trace(7), trace(7));
    assert_eq!(a.1, b.1);
    assert_eq!(a.0, b.0);
}

#[test]
fn another_seed_gives_another_order_of_changes() {
    let order = |seed| {
        let (_, text) = trace(seed);
        let kinds = text.lines().map(|line| line.split("resource: ").nth(1).unwrap_or_default().to_owned());
        kinds.map(|rest| rest.split('"').nth(1).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_ne!(order(7), order(8));
}
