//! A child that somebody deletes or edits is put back at once, and what somebody adds to it is left alone.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Space, faults, record, uid, wait_for, wait_until_good};

/// What is promised to the user.
const AT_ONCE: Duration = Duration::from_secs(1);

const IMAGE: &str = "nginx:1.29";

#[test]
fn a_deleted_child_is_back_in_under_a_second() {
    let Some(space) = Space::operated("deleted").and_then(Space::with_kubectl) else { return };
    space.application("web", &json!({"image": IMAGE, "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    for (resource, name) in [("deployments", "web-deployment"), ("services", "web-service")] {
        let mut slowest = Duration::ZERO;
        for _ in 0..10 {
            let before = uid(&space.get(resource, name).unwrap());
            space.delete(resource, name);
            slowest = slowest.max(time_until(|| space.get(resource, name).is_some_and(|new| uid(&new) != before)));
        }
        record(&format!("a deleted object of {resource} is back, at the slowest of 10, after"), slowest);
        assert!(slowest < AT_ONCE, "{resource}: {slowest:?}");
    }
    // And as a user would, who deletes everything at once.
    space.kubectl(&["delete", "deployment/web-deployment", "service/web-service"]);
    let back = || {
        let children = space.children("web");
        children.deployment.is_some() && children.service.is_some()
    };
    assert!(time_until(back) < AT_ONCE);
    space.wait_until_ready("web");
    wait_until_good("the event that says so", || {
        let events = space.kubectl(&["events", "--for", "application/web"]);
        if events.contains("Created Deployment web-deployment") { vec![] } else { vec![events] }
    });
}

#[test]
fn an_edit_of_what_the_operator_sets_is_undone() {
    let Some(space) = Space::operated("edited").and_then(Space::with_kubectl) else { return };
    let application = space.application("web", &json!({"image": IMAGE, "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    let container = |field: Value| {
        let mut container = json!({"name": "web-container", "image": IMAGE});
        container.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
        json!({"spec": {"template": {"spec": {"containers": [container]}}}})
    };
    let edits = [
        ("deployments", "/spec/replicas", json!({"spec": {"replicas": 5}})),
        ("deployments", "/spec/template/spec/containers/0/image", container(json!({"image": "evil"}))),
        (
            "deployments",
            "/spec/template/spec/containers/0/securityContext",
            container(json!({"securityContext": null})),
        ),
        (
            "deployments",
            "/spec/template/spec/automountServiceAccountToken",
            json!({"spec": {"template": {"spec": {"automountServiceAccountToken": true}}}}),
        ),
        ("deployments", "/metadata/labels", json!({"metadata": {"labels": {"app": "other"}}})),
        ("deployments", "/metadata/labels", json!({"metadata": {"labels": {"label": null}}})),
        (
            "deployments",
            "/metadata/annotations/imageregistry",
            json!({"metadata": {"annotations": {"imageregistry": ""}}}),
        ),
        (
            "deployments",
            "/spec/template/metadata/labels",
            json!({"spec": {"template": {"metadata": {"labels": {"app": "x"}}}}}),
        ),
        ("services", "/metadata/labels", json!({"metadata": {"labels": null}})),
        ("services", "/spec/selector", json!({"spec": {"selector": {"app": "other"}}})),
        ("services", "/spec/selector", json!({"spec": {"selector": null}})),
        ("services", "/spec/externalTrafficPolicy", json!({"spec": {"externalTrafficPolicy": "Cluster"}})),
        (
            "services",
            "/spec/type",
            json!({"spec": {"type": "ClusterIP", "externalTrafficPolicy": null,
            "ports": [{"port": 80, "nodePort": null}]}}),
        ),
    ];
    for (resource, path, edit) in edits {
        let name = format!("web-{}", resource.trim_end_matches('s'));
        let before = space.get(resource, &name).unwrap();
        let edited = space.edit(resource, &name, &edit);
        assert_ne!(edited.pointer(path), before.pointer(path), "{edit} changes nothing");
        let took = time_until(|| space.get(resource, &name).unwrap().pointer(path) == before.pointer(path));
        record(&format!("{edit} is undone after"), took);
        assert!(took < AT_ONCE, "{edit}");
        wait_until_good("the child to be whole", || faults(&application, &space.children("web")));
    }
    wait_until_good("the event that says so", || {
        let events = space.kubectl(&["events", "--for", "application/web"]);
        if events.contains("Put back spec.replicas of Deployment web-deployment") { vec![] } else { vec![events] }
    });
}

#[test]
fn a_child_that_is_disowned_by_hand_is_taken_back() {
    let Some(space) = Space::operated("disowned") else { return };
    let application = space.application("web", &json!({"image": IMAGE, "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    for (resource, name) in [("deployments", "web-deployment"), ("services", "web-service")] {
        let before = uid(&space.get(resource, name).unwrap());
        for owners in [
            json!(null),
            json!([{"apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "name": "web",
            "uid": application["metadata"]["uid"], "controller": false}]),
        ] {
            space.edit(resource, name, &json!({"metadata": {"ownerReferences": owners}}));
            space.wait_until_converged("web");
        }
        assert_eq!(uid(&space.get(resource, name).unwrap()), before, "nothing was replaced");
    }
}

#[test]
fn what_others_add_stays_and_provokes_no_write() {
    let Some(space) = Space::operated("additions") else { return };
    space.application("web", &json!({"image": IMAGE, "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    // One that met another state than it expected, as the deployment controller was quicker, has written nothing.
    let writes = || {
        let made = space.writes().into_iter().filter(|write| write.resource != "applications" && write.code == 200);
        made.map(|write| write.resource).collect::<Vec<_>>()
    };
    let before = writes();

    let added = json!({"metadata": {"labels": {"team": "a"}, "annotations": {"note": "by hand"}}});
    space.edit("deployments", "web-deployment", &added);
    space.edit("services", "web-service", &added);
    let sidecar = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"minReadySeconds": 1,
        "template": {"spec": {"containers": [
            {"name": "mesh", "image": "mesh", "ports": [{"containerPort": 15001, "protocol": "TCP"}]},
            {"name": "web-container", "env": [{"name": "MODE", "value": "mesh"}], "imagePullPolicy": "Never"}]}}}});
    space.apply_as("mesh", "deployments", "web-deployment", &sidecar);
    space.edit("services", "web-service", &json!({"spec": {"sessionAffinity": "ClientIP"}}));
    space.wait_until_ready("web");

    // What the operator must react to comes after what it must not react to.
    space.edit("deployments", "web-deployment", &json!({"spec": {"replicas": 3}}));
    space.edit("services", "web-service", &json!({"spec": {"selector": {"app": "other"}}}));
    space.wait_until_ready("web");
    let mut expected = before;
    expected.extend(["deployments".to_owned(), "services".to_owned()]);
    expected.sort();
    let mut seen = writes();
    seen.sort();
    assert_eq!(seen, expected, "one write for each edit that had to be undone");

    // And a change of the wish takes nothing away either.
    space.edit("applications", "web", &json!({"spec": {"image": "httpd", "port": 8080, "replicas": 2}}));
    space.wait_until_ready("web");
    let children = space.children("web");
    let (deployment, service) = (children.deployment.unwrap(), children.service.unwrap());
    for child in [&deployment, &service] {
        assert_eq!(child["metadata"]["labels"]["team"], "a");
        assert_eq!(child["metadata"]["annotations"]["note"], "by hand");
    }
    assert_eq!(service["spec"]["sessionAffinity"], "ClientIP");
    assert_eq!(deployment["spec"]["minReadySeconds"], 1);
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    let named = |name: &str| containers.iter().find(|container| container["name"] == name).unwrap();
    assert_eq!(named("mesh")["ports"][0]["containerPort"], 15001);
    assert_eq!(named("web-container")["env"][0]["value"], "mesh");
    assert_eq!(named("web-container")["imagePullPolicy"], "Never");
}

#[test]
fn a_rollout_restart_is_respected_and_rolls_the_pods_once() {
    let Some(space) = Space::operated("restarted").and_then(Space::with_kubectl) else { return };
    space.application("web", &json!({"image": IMAGE, "replicas": 2, "port": 80}));
    space.wait_until_ready("web");
    let pods = || space.list("pods").iter().map(uid).collect::<Vec<_>>();
    let before = pods();
    space.kubectl(&["rollout", "restart", "deployment/web-deployment"]);
    space.kubectl(&["rollout", "status", "deployment/web-deployment", "--timeout=60s"]);
    space.wait_until_ready("web");

    // Whatever the operator does next, the restart stays.
    space.edit("deployments", "web-deployment", &json!({"spec": {"replicas": 5}}));
    space.wait_until_ready("web");
    let template = &space.children("web").deployment.unwrap()["spec"]["template"];
    assert!(template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string(), "{template}");
    assert_eq!(space.list("replicasets").len(), 2, "one before the restart, one after");
    wait_for("the former pods to be gone", || pods().iter().all(|pod| !before.contains(pod)).then_some(()));
}

#[test]
fn the_node_port_stays_as_long_as_the_port_does() {
    let Some(space) = Space::operated("node-port") else { return };
    space.application("web", &json!({"image": IMAGE, "replicas": 0, "port": 80}));
    space.wait_until_converged("web");
    let node_port = || space.children("web").service.unwrap()["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    let before = node_port();

    space.edit("applications", "web", &json!({"spec": {"image": "httpd"}}));
    space.wait_until_converged("web");
    let port = json!({"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": before});
    for (field, value) in [("name", json!("web")), ("targetPort", json!(1234))] {
        let mut edited = port.clone();
        edited[field] = value;
        space.edit("services", "web-service", &json!({"spec": {"ports": [edited]}}));
        space.wait_until_converged("web");
    }
    let extra = json!({"name": "extra", "port": 9999, "protocol": "TCP", "targetPort": 9999});
    space.edit("services", "web-service", &json!({"spec": {"ports": [extra, port]}}));
    space.wait_until_converged("web");
    assert_eq!(node_port(), before);

    // One that was chosen by hand is as good: the operator never sets it.
    let chosen = if before == 32_000 { 32_001 } else { 32_000 };
    let mut by_hand = port;
    by_hand["nodePort"] = json!(chosen);
    space.edit("services", "web-service", &json!({"spec": {"ports": [by_hand], "selector": {"app": "x"}}}));
    space.wait_until_converged("web");
    assert_eq!(node_port(), chosen);
}

/// Polls without rest, and says how long it took.
fn time_until(mut seen: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !seen() {
        assert!(start.elapsed() < support::PATIENCE, "waited in vain");
        thread::sleep(Duration::from_millis(2));
    }
    start.elapsed()
}
