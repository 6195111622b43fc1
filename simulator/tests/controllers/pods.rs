//! Pods that do as they are told, and the slices of the Services that select them.

use serde_json::{Value, json};

use crate::world::{DEPLOYMENTS, PODS, SERVICES, SLICES, World, condition, deployment};

fn pod(image: &str) -> Value {
    json!({"metadata": {"name": "one"}, "spec": {"containers": [{"name": "main", "image": image}]}})
}

fn one(world: &mut World) -> Value {
    world.get(&format!("{PODS}/one"))
}

#[test]
fn a_pod_says_why_its_image_is_not_there() {
    let mut world = World::new();
    world.create(PODS, &pod("shop/missing:2"));
    world.pass(5);
    let one = one(&mut world);
    let waiting = &one["status"]["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "ImagePullBackOff", "{one}");
    let message = waiting["message"].as_str().expect("a message");
    assert!(message.starts_with("Back-off pulling image \"shop/missing:2\": ErrImagePull: "), "{message}");
    assert_eq!(one["status"]["phase"], "Pending");
    assert_eq!(condition(&one, "Ready"), ["False", "ContainersNotReady", "containers with unready status: [main]"]);
}

#[test]
fn a_pod_that_crashes_says_with_which_code() {
    let mut world = World::new();
    world.create(PODS, &pod("shop:crash-3"));
    world.pass(9);
    let status = &one(&mut world)["status"]["containerStatuses"][0];
    assert_eq!(status["state"]["waiting"]["reason"], "CrashLoopBackOff", "{status}");
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(status["restartCount"], 1);
    world.pass(3_600);
    let status = &one(&mut world)["status"]["containerStatuses"][0];
    assert!(status["restartCount"].as_i64().is_some_and(|count| (12..20).contains(&count)), "{status}");
}

#[test]
fn a_pod_that_never_becomes_ready_runs() {
    let mut world = World::new();
    let mut told = pod("nginx");
    told["metadata"]["annotations"] = json!({"simulator/fate": "never-ready"});
    world.create(PODS, &told);
    world.pass(60);
    let one = one(&mut world);
    assert_eq!(one["status"]["phase"], "Running");
    assert_eq!(condition(&one, "Ready")[0], "False");
}

#[test]
fn a_pod_that_no_node_fits_says_so() {
    let mut world = World::new();
    let mut told = pod("nginx");
    told["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    world.create(PODS, &told);
    world.pass(5);
    let [status, reason, message] = condition(&one(&mut world), "PodScheduled");
    assert_eq!((&*status, &*reason), ("False", "Unschedulable"));
    assert!(message.starts_with("0/1 nodes are available"), "{message}");
}

#[test]
fn that_no_node_fits_is_said_once_whatever_else_is_told_of_the_pod() {
    let mut world = World::new();
    let mut told = pod("nginx");
    told["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    world.create(PODS, &told);
    world.pass(5);
    let status = json!({"phase": "Running", "conditions": []});
    world.merge(&format!("{PODS}/one/status"), &json!({"status": status}));
    world.pass(5);
    assert_eq!(condition(&one(&mut world), "PodScheduled"), ["", "", ""]);
}

#[test]
fn init_containers_run_before_the_others_one_after_another() {
    let mut world = World::new();
    let mut told = pod("nginx");
    told["spec"]["initContainers"] =
        json!([{"name": "first", "image": "init"}, {"name": "second", "image": "init:crash"}]);
    world.create(PODS, &told);
    world.pass(8);
    let one = one(&mut world);
    let init = &one["status"]["initContainerStatuses"];
    assert_eq!(init[0]["state"]["terminated"]["exitCode"], 0, "{one}");
    assert_eq!(init[1]["lastState"]["terminated"]["exitCode"], 1, "{one}");
    assert_eq!(one["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
    assert_eq!(one["status"]["phase"], "Pending");
    assert_eq!(condition(&one, "Initialized")[..2], ["False", "ContainersNotInitialized"]);
}

#[test]
fn a_pod_has_a_grace_period_to_end_in() {
    let mut world = World::new();
    world.create(PODS, &pod("nginx"));
    world.pass(5);
    world.delete(&format!("{PODS}/one"), "Background");
    assert_eq!(one(&mut world)["metadata"]["deletionGracePeriodSeconds"], 30);
    world.pass(3);
    assert!(!world.is_there(&format!("{PODS}/one")));
}

#[test]
fn a_slice_has_the_pods_that_a_service_selects() {
    let mut world = World::new();
    world.create(DEPLOYMENTS, &deployment("web", 3, "nginx"));
    let ports = json!([{"name": "web", "port": 80, "targetPort": "http"}]);
    world.create(SERVICES, &json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}));
    world.pass(5);
    let slices = world.list(SLICES);
    let [slice] = &slices[..] else { panic!("{slices:?}") };
    assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "web");
    assert_eq!(slice["ports"], json!([{"name": "web", "port": 8080, "protocol": "TCP"}]));
    let endpoints = slice["endpoints"].as_array().expect("endpoints").clone();
    assert_eq!(endpoints.len(), 3);
    for endpoint in &endpoints {
        assert_eq!(endpoint["conditions"], json!({"ready": true, "serving": true, "terminating": false}));
        let pod = world.get(&format!("{PODS}/{}", endpoint["targetRef"]["name"].as_str().expect("a name")));
        assert_eq!(endpoint["addresses"][0], pod["status"]["podIP"]);
    }
    world.delete(&format!("{SERVICES}/web"), "Background");
    world.pass(1);
    assert!(world.list(SLICES).is_empty());
}
