//! What goes with its owner or its namespace.

use serde_json::{Value, json};

use crate::world::{DEPLOYMENTS, PODS, SETS, World, deployment};

fn web(policy: &str) -> World {
    let mut world = World::new();
    world.create(DEPLOYMENTS, &deployment("web", 2, "nginx"));
    world.pass(5);
    world.delete(&format!("{DEPLOYMENTS}/web"), policy);
    world
}

#[test]
fn everything_goes_after_its_owner_in_the_background() {
    let mut world = web("Background");
    assert!(!world.is_there(&format!("{DEPLOYMENTS}/web")));
    assert_eq!(world.list(SETS).len(), 1);
    world.pass(5);
    assert!(world.list(SETS).is_empty());
    assert!(world.list(PODS).is_empty());
}

#[test]
fn an_owner_goes_after_its_dependents_in_the_foreground() {
    let mut world = web("Foreground");
    for _ in 0..100 {
        let (is_there, sets, pods) =
            (world.is_there(&format!("{DEPLOYMENTS}/web")), world.list(SETS).len(), world.list(PODS).len());
        assert!(is_there || sets == 0, "the Deployment before its set");
        assert!(sets > 0 || pods == 0, "the set before its pods");
        world.0.pass(std::time::Duration::from_millis(50));
    }
    assert!(!world.is_there(&format!("{DEPLOYMENTS}/web")));
}

#[test]
fn orphans_stay_and_are_taken_in_by_who_selects_them() {
    let mut world = web("Orphan");
    world.pass(5);
    assert!(!world.is_there(&format!("{DEPLOYMENTS}/web")));
    let [set] = &world.list(SETS)[..] else { panic!("the set stays") };
    assert!(set["metadata"]["ownerReferences"].is_null(), "{set}");
    let new = world.create(DEPLOYMENTS, &deployment("web", 2, "nginx"));
    world.pass(5);
    let sets = world.list(SETS);
    assert_eq!(sets.len(), 1);
    assert_eq!(sets[0]["metadata"]["uid"], set["metadata"]["uid"]);
    assert_eq!(sets[0]["metadata"]["ownerReferences"][0]["uid"], new["metadata"]["uid"]);
    assert_eq!(world.list(PODS).len(), 2);
}

#[test]
fn a_name_that_comes_again_is_no_owner_of_what_the_first_one_had() {
    let mut world = web("Background");
    world.create(DEPLOYMENTS, &deployment("web", 2, "nginx"));
    world.pass(10);
    let web = world.get(&format!("{DEPLOYMENTS}/web"));
    let sets = world.list(SETS);
    assert_eq!(sets.len(), 1, "{sets:?}");
    assert_eq!(sets[0]["metadata"]["ownerReferences"][0]["uid"], web["metadata"]["uid"]);
    assert_eq!(web["status"]["availableReplicas"], 2);
}

#[test]
fn an_owner_that_never_was_is_gone() {
    let mut world = World::new();
    let uid = "00000000-0000-4000-8000-000000000001";
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": uid});
    let map = json!({"metadata": {"name": "b", "ownerReferences": [owner]}});
    world.create("/api/v1/namespaces/default/configmaps", &map);
    world.pass(1);
    assert!(!world.is_there("/api/v1/namespaces/default/configmaps/b"));
}

#[test]
fn a_namespace_goes_once_it_is_empty() {
    let mut world = World::new();
    world.create("/api/v1/namespaces", &json!({"metadata": {"name": "shop"}}));
    world.create("/apis/apps/v1/namespaces/shop/deployments", &deployment("web", 2, "nginx"));
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/wait"]}});
    world.create("/api/v1/namespaces/shop/configmaps", &held);
    world.pass(5);
    let (code, answer) = world.ask("DELETE", "/api/v1/namespaces/shop", "", &Value::Null);
    assert_eq!(code, 200, "{answer}");
    world.pass(10);
    assert_eq!(world.get("/api/v1/namespaces/shop")["status"]["phase"], "Terminating");
    assert!(world.list("/apis/apps/v1/namespaces/shop/deployments").is_empty());
    let (code, answer) = world.ask(
        "POST",
        "/api/v1/namespaces/shop/configmaps",
        "application/json",
        &json!({"metadata": {"name": "late"}}),
    );
    assert_eq!(code, 403, "{answer}");
    world.merge("/api/v1/namespaces/shop/configmaps/held", &json!({"metadata": {"finalizers": null}}));
    world.pass(5);
    assert!(!world.is_there("/api/v1/namespaces/shop"));
}
