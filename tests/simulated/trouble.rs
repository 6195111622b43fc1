//! What goes wrong with one kind of child, or while nobody looks.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::life::{APPLICATIONS, Life, condition, live, names};

const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";

/// A webhook for Ingresses hangs, and more Applications have one than there are workers.
async fn hanging(life: Arc<Life>) {
    *life.hanging.lock().expect("no panic") = Some(INGRESSES);
    let names = names(12);
    for name in &names {
        let http = json!({"hosts": [format!("{name}.example.com")]});
        life.create_with(name, &json!({"image": "nginx", "port": 80, "http": http})).await;
    }
    life.wait("each to be told of", async || {
        let all = life.list(APPLICATIONS).await;
        all.iter().all(|one| {
            let is_of_now = one["status"]["observedGeneration"] == one["metadata"]["generation"];
            is_of_now && condition(one, "Progressing")[..2] == ["True", "ApplyFailed"]
        })
    })
    .await;
    let seen = life.get(&format!("{APPLICATIONS}/{}", names[0])).await;
    let [.., told] = condition(&seen, "Ready");
    assert!(told.starts_with("Ingress app-000-ingress was not written") && told.contains("Timeout"), "{told}");

    // In the end each is tried once in the longest backoff and the time that it takes, by which most workers are free.
    sleep(Duration::from_mins(10)).await;
    life.create("other", "nginx").await;
    let took = life.wait_for_ready(&["other".to_owned()]).await;
    assert!(took < Duration::from_secs(35), "{took:?}");
    let before = tries(&life);
    sleep(Duration::from_mins(10)).await;
    let tries = tries(&life) - before;
    assert!(tries <= names.len() * 8, "{tries} tries");

    *life.hanging.lock().expect("no panic") = None;
    life.wait_for_ready(&names).await;
}

fn tries(life: &Life) -> usize {
    let asked = life.asked.lock().expect("no panic");
    asked.iter().filter(|line| line.starts_with("PATCH") && line.contains("/ingresses/")).count()
}

#[test]
fn a_child_whose_writes_hang_is_told_of_and_tried_ever_more_rarely_and_keeps_no_other_application_waiting() {
    live(3, &[], hanging);
}

/// The definition of `HTTPRoute`, as far as an operator looks at it.
fn route_definition() -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "httproutes.gateway.networking.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api"}},
        "spec": {"group": "gateway.networking.k8s.io", "scope": "Namespaced",
            "names": {"kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
}

/// An operator that watches what somebody asks for alone, and is not there when somebody no longer does.
async fn unwished(life: Arc<Life>) {
    let route = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/web-route";
    let application = format!("{APPLICATIONS}/web");
    life.define(&route_definition()).await;
    let http = json!({"hosts": ["web.example.com"], "parentRefs": [{"name": "public"}]});
    life.create_with("web", &json!({"image": "nginx", "port": 80, "http": http})).await;
    life.wait_for_ready(&["web".to_owned()]).await;
    assert!(life.get(route).await["spec"].is_object());
    life.kill_operator();
    life.merge(&application, &json!({"spec": {"http": null}})).await;
    life.start_operator();
    life.wait("the HTTPRoute to go", async || life.get(route).await["code"] == 404).await;
    life.wait("that to be told", async || {
        let seen = life.get(&application).await;
        seen["status"]["observedGeneration"] == seen["metadata"]["generation"]
    })
    .await;
}

#[test]
fn an_httproute_that_is_no_longer_wished_for_when_the_operator_comes_back_is_removed() {
    live(4, &["--namespace=default"], unwished);
}
