//! Deployments: rollouts, pauses, scales, deadlines, revisions.

use serde_json::{Value, json};

use crate::world::{DEPLOYMENTS, PODS, SETS, World, condition, counts, deployment};

fn web(world: &mut World) -> Value {
    world.get(&format!("{DEPLOYMENTS}/web"))
}

fn image(world: &mut World, image: &str) {
    let patch = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]);
    let (code, answer) = world.ask("PATCH", &format!("{DEPLOYMENTS}/web"), "application/json-patch+json", &patch);
    assert_eq!(code, 200, "{answer}");
}

fn sizes(world: &mut World) -> Vec<(String, i64)> {
    let sets = world.list(SETS);
    let mut sizes: Vec<(String, i64)> = sets
        .iter()
        .map(|set| {
            let revision = &set["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
            (revision.as_str().unwrap_or_default().to_owned(), set["spec"]["replicas"].as_i64().unwrap_or(0))
        })
        .collect();
    sizes.sort();
    sizes
}

#[test]
fn a_deployment_becomes_available_in_seconds() {
    let mut world = World::new();
    world.create(DEPLOYMENTS, &deployment("web", 3, "nginx"));
    world.pass(5);
    let web = web(&mut world);
    assert_eq!(counts(&web), [3, 3, 3, 3, 0], "{web}");
    assert_eq!(web["status"]["observedGeneration"], 1);
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(condition(&web, "Available")[..2], ["True", "MinimumReplicasAvailable"]);
    let set = &world.list(SETS)[0];
    let name = set["metadata"]["name"].as_str().expect("a name");
    let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().expect("a hash");
    assert_eq!(name, format!("web-{hash}"));
    let told = format!("ReplicaSet {name:?} has successfully progressed.");
    assert_eq!(condition(&web, "Progressing"), ["True".into(), "NewReplicaSetAvailable".into(), told]);
    for pod in world.list(PODS) {
        assert_eq!(pod["metadata"]["labels"]["pod-template-hash"], *hash);
        assert_eq!(pod["status"]["phase"], "Running", "{pod}");
    }
}

#[test]
fn a_rolling_update_never_has_fewer_or_more_pods_than_it_may() {
    let mut world = World::new();
    let mut object = deployment("web", 4, "nginx:1");
    object["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}});
    world.create(DEPLOYMENTS, &object);
    world.pass(5);
    image(&mut world, "nginx:2");
    for _ in 0..400 {
        world.0.pass(std::time::Duration::from_millis(50));
        let pods = world.list(PODS);
        let counted = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let is_ready = |pod: &&Value| condition(pod, "Ready")[0] == "True";
        assert!(counted.clone().count() <= 5, "too many");
        assert!(counted.filter(is_ready).count() >= 3, "too few");
    }
    let web = web(&mut world);
    assert_eq!(counts(&web), [4, 4, 4, 4, 0], "{web}");
    assert_eq!(sizes(&mut world), [("1".into(), 0), ("2".into(), 4)]);
    assert_eq!(world.list(PODS).len(), 4);
}

#[test]
fn recreate_starts_no_new_pod_before_the_last_old_one_is_gone() {
    let mut world = World::new();
    let mut object = deployment("web", 2, "nginx:1");
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    world.create(DEPLOYMENTS, &object);
    world.pass(5);
    image(&mut world, "nginx:2");
    for _ in 0..200 {
        world.0.pass(std::time::Duration::from_millis(50));
        let pods = world.list(PODS);
        let images: Vec<&str> = pods.iter().filter_map(|pod| pod["spec"]["containers"][0]["image"].as_str()).collect();
        assert!(images.windows(2).all(|pair| pair[0] == pair[1]), "{images:?}");
    }
    assert_eq!(counts(&web(&mut world)), [2, 2, 2, 2, 0]);
}

#[test]
fn an_image_that_is_missing_ends_in_a_deadline_and_the_old_pods_go_on() {
    let mut world = World::new();
    let mut object = deployment("web", 4, "nginx:1");
    object["spec"]["progressDeadlineSeconds"] = 60.into();
    world.create(DEPLOYMENTS, &object);
    world.pass(5);
    image(&mut world, "nginx:missing");
    world.pass(30);
    assert_eq!(condition(&web(&mut world), "Progressing")[..2], ["True", "ReplicaSetUpdated"]);
    let pods = world.list(PODS);
    let waits = pods
        .iter()
        .filter(|pod| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff");
    assert_eq!(waits.count(), 2, "a surge of one, and one that may be missing");
    world.pass(60);
    let web = web(&mut world);
    assert_eq!(condition(&web, "Progressing")[..2], ["False", "ProgressDeadlineExceeded"]);
    assert_eq!(condition(&web, "Available")[0], "True");
    assert_eq!(counts(&web), [5, 2, 3, 3, 2]);
}

#[test]
fn a_pause_holds_a_rollout_and_not_a_scale() {
    let mut world = World::new();
    world.create(DEPLOYMENTS, &deployment("web", 2, "nginx:1"));
    world.pass(5);
    world.merge(&format!("{DEPLOYMENTS}/web"), &json!({"spec": {"paused": true}}));
    image(&mut world, "nginx:2");
    world.pass(5);
    assert_eq!(sizes(&mut world), [("1".into(), 2)]);
    assert_eq!(condition(&web(&mut world), "Progressing")[..2], ["Unknown", "DeploymentPaused"]);
    world.merge(&format!("{DEPLOYMENTS}/web"), &json!({"spec": {"replicas": 5}}));
    world.pass(5);
    assert_eq!(sizes(&mut world), [("1".into(), 5)]);
    world.merge(&format!("{DEPLOYMENTS}/web"), &json!({"spec": {"paused": false}}));
    world.pass(20);
    assert_eq!(sizes(&mut world), [("1".into(), 0), ("2".into(), 5)]);
    assert_eq!(condition(&web(&mut world), "Progressing")[..2], ["True", "NewReplicaSetAvailable"]);
}

#[test]
fn going_back_takes_the_old_set_under_a_new_number() {
    let mut world = World::new();
    world.create(DEPLOYMENTS, &deployment("web", 1, "nginx:1"));
    world.pass(5);
    image(&mut world, "nginx:2");
    world.pass(10);
    image(&mut world, "nginx:1");
    world.pass(10);
    assert_eq!(sizes(&mut world), [("2".into(), 0), ("3".into(), 1)]);
    let sets = world.list(SETS);
    let former = "deployment.kubernetes.io/revision-history";
    assert!(sets.iter().any(|set| set["metadata"]["annotations"][former] == "1"), "{sets:?}");
}

#[test]
fn only_so_many_old_sets_are_kept() {
    let mut world = World::new();
    let mut object = deployment("web", 1, "nginx:0");
    object["spec"]["revisionHistoryLimit"] = 2.into();
    world.create(DEPLOYMENTS, &object);
    for version in 1..6 {
        world.pass(10);
        image(&mut world, &format!("nginx:{version}"));
    }
    world.pass(10);
    assert_eq!(sizes(&mut world), [("4".into(), 0), ("5".into(), 0), ("6".into(), 1)]);
}

#[test]
fn pods_that_have_to_be_ready_for_a_while_are_available_later() {
    let mut world = World::new();
    let mut object = deployment("web", 1, "nginx");
    object["spec"]["minReadySeconds"] = 20.into();
    world.create(DEPLOYMENTS, &object);
    world.pass(10);
    assert_eq!(counts(&web(&mut world)), [1, 1, 1, 0, 1]);
    world.pass(20);
    assert_eq!(counts(&web(&mut world)), [1, 1, 1, 1, 0]);
}

#[test]
fn a_pod_that_is_deleted_is_replaced() {
    let mut world = World::new();
    world.create(DEPLOYMENTS, &deployment("web", 2, "nginx"));
    world.pass(5);
    let before = world.list(PODS);
    let name = before[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    world.delete(&format!("{PODS}/{name}"), "Background");
    world.pass(5);
    let after = world.list(PODS);
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|pod| pod["metadata"]["name"] != *name));
    assert_eq!(counts(&web(&mut world)), [2, 2, 2, 2, 0]);
}
