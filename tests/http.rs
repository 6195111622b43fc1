//! How an Application is reached by a name: by an `Ingress`, or by an `HTTPRoute` where the cluster knows the Gateway API,
//! which may come and go while the operator runs.

mod support;

use serde_json::{Value, json};

use crate::support::{Space, condition, install_gateway_api, let_time_pass, reason, uid, wait_for};

const IMAGE: &str = "nginx:1.29";

/// What `status.resources` says of the child of that kind: whether it is ready, and why not.
fn resource(seen: &Value, kind: &str) -> Option<(bool, String)> {
    let all = seen["status"]["resources"].as_array()?;
    let child = all.iter().find(|child| child["kind"] == kind)?;
    Some((child["ready"] == true, child["reason"].as_str()?.to_owned()))
}

#[test]
fn hosts_and_paths_become_an_ingress_that_is_kept_and_goes_with_them() {
    let Some(space) = Space::operated("ingress") else { return };
    let http = json!({"hosts": ["web.example.com", "*.web.example.com"],
        "paths": [{"path": "/api"}, {"path": "/login", "pathType": "Exact"}],
        "ingressClassName": "internal", "tls": {"secretName": "web-tls"}, "annotations": {"example.com/a": "b"}});
    space.application("web", &json!({"image": IMAGE, "port": 8080, "http": http}));
    let seen = space.wait_until_ready("web");
    assert_eq!(seen["status"]["url"], "https://web.example.com/api");
    let states: Vec<_> = ["Deployment", "Service", "Ingress"].map(|kind| resource(&seen, kind)).into();
    assert_eq!(states, vec![Some((true, String::new())); 3], "{seen:#}");

    let ingress = || space.get("ingresses", "web-ingress").expect("an Ingress");
    let first = ingress();
    let backend = json!({"service": {"name": "web-service", "port": {"number": 8080}}});
    let paths = json!([{"path": "/api", "pathType": "Prefix", "backend": backend},
        {"path": "/login", "pathType": "Exact", "backend": backend}]);
    let rule = |host: &str| json!({"host": host, "http": {"paths": paths}});
    assert_eq!(first["spec"]["rules"], json!([rule("web.example.com"), rule("*.web.example.com")]));
    assert_eq!(first["spec"]["tls"], json!([{"hosts": http["hosts"], "secretName": "web-tls"}]));
    assert_eq!(first["spec"]["ingressClassName"], "internal");
    assert_eq!(first["metadata"]["annotations"]["example.com/a"], "b");

    space.edit("ingresses", "web-ingress", &json!({"spec": {"rules": [rule("evil.example.com")]}}));
    wait_for("the edit to be undone", || (ingress()["spec"] == first["spec"]).then_some(()));
    space.delete("ingresses", "web-ingress");
    wait_for("the Ingress to be back", || {
        space.get("ingresses", "web-ingress").filter(|back| uid(back) != uid(&first)).map(drop)
    });

    space.edit("applications", "web", &json!({"spec": {"http": {"hosts": ["shop.example.com"], "tls": null}}}));
    space.wait_for_status("web", "to be elsewhere", |seen| seen["status"]["url"] == "http://shop.example.com/api");
    assert_eq!(ingress()["spec"].get("tls"), None);
    space.edit("applications", "web", &json!({"spec": {"http": null}}));
    let seen = space.wait_for_status("web", "to be nowhere", |seen| seen["status"].get("url").is_none());
    assert_eq!(resource(&seen, "Ingress"), None);
    wait_for("the Ingress to go", || space.get("ingresses", "web-ingress").is_none().then_some(()));
}

#[test]
fn an_ingress_of_somebody_else_is_neither_seized_nor_removed() {
    let Some(space) = Space::operated("foreign-ingress") else { return };
    let spec = json!({"rules": [{"host": "theirs.example.com"}]});
    space.create("ingresses", &json!({"metadata": {"name": "web-ingress"}, "spec": spec}));
    let theirs = space.get("ingresses", "web-ingress");
    space.application("web", &json!({"image": IMAGE, "port": 80, "http": {"hosts": ["web.example.com"]}}));
    let seen = space.wait_for_status("web", "to conflict", |seen| reason(seen, "Degraded").1 == "ChildConflict");
    assert!(condition(&seen, "Ready").2.starts_with("Ingress web-ingress is not owned"), "{seen}");
    assert_eq!(seen["status"].get("url"), None, "it does not lead there");
    assert_eq!(resource(&seen, "Ingress"), Some((false, "ChildConflict".to_owned())));
    space.edit("applications", "web", &json!({"spec": {"http": null}}));
    space.wait_until_ready("web");
    assert_eq!(space.get("ingresses", "web-ingress"), theirs);
}

#[test]
fn a_gateway_may_come_and_go_and_say_no_while_the_operator_runs() {
    let Some(space) = Space::operated("gateway") else { return };
    let world = space.world;
    let routes = || space.get("httproutes", "web-route");
    space.application("other", &json!({"image": IMAGE, "port": 80, "http": {"hosts": ["other.example.com"]}}));
    let http =
        json!({"hosts": ["web.example.com"], "parentRefs": [{"name": "public", "namespace": "gateways"}], "tls": {}});
    space.application("web", &json!({"image": IMAGE, "port": 80, "http": http}));
    let absent = |seen: &Value| reason(seen, "Degraded") == ("True", "GatewayAPIAbsent");
    let runs = |seen: &Value| resource(seen, "Deployment") == Some((true, String::new()));
    let seen = space.wait_for_status("web", "to be told while its pods run", |seen| absent(seen) && runs(seen));
    assert!(condition(&seen, "Ready").2.contains("does not know the Gateway API"), "{seen}");
    assert_eq!(seen["status"].get("url"), None);
    space.wait_until_ready("other");
    let asked = world.requests_of_operator().into_iter().filter(|request| request.resource == "httproutes").count();
    assert_eq!(asked, 0, "nobody asks for what is not there");

    if !install_gateway_api(world) {
        return;
    }
    let seen = space.wait_until_ready("web");
    assert_eq!(seen["status"]["url"], "https://web.example.com");
    let route = routes().expect("an HTTPRoute");
    let backend = json!({"group": "", "kind": "Service", "name": "web-service", "port": 80, "weight": 1});
    let matches = json!([{"path": {"type": "PathPrefix", "value": "/"}}]);
    assert_eq!(route["spec"]["rules"], json!([{"backendRefs": [backend], "matches": matches}]));
    assert_eq!(route["spec"]["hostnames"], json!(["web.example.com"]));
    assert_eq!(route["spec"]["parentRefs"][0]["namespace"], "gateways");

    // As the one who acts on Gateways does.
    let say = |status: &str, generation: &Value| {
        let condition = json!({"type": "Accepted", "status": status, "reason": "NoMatchingListenerHostname",
            "message": "no listener", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation});
        let parent = json!({"parentRef": http["parentRefs"][0], "controllerName": "example.com/gateways",
            "conditions": [condition]});
        let path = format!("{}/web-route/status", support::path("httproutes", &space.name));
        let (code, said) = world.api.ask("PATCH", &path, &json!({"status": {"parents": [parent]}}));
        assert_eq!(code, 200, "{said}");
    };
    say("False", &route["metadata"]["generation"]);
    let seen = space.wait_for_status("web", "to be refused", |seen| reason(seen, "Degraded").1 == "RouteNotAccepted");
    assert!(condition(&seen, "Ready").2.contains("Accepted NoMatchingListenerHostname: no listener"), "{seen}");
    assert_eq!(resource(&seen, "HTTPRoute"), Some((false, "NoMatchingListenerHostname".to_owned())));
    say("True", &route["metadata"]["generation"]);
    space.wait_until_ready("web");

    // One that starts over what is there writes nothing, not even that it does not know yet.
    let before = space.writes().len();
    let another = world.operator(&["--namespace", &space.name]);
    let_time_pass(std::time::Duration::from_secs(2));
    assert_eq!(space.writes().len(), before);
    drop(another);

    // There and back.
    space.edit("applications", "web", &json!({"spec": {"http": {"parentRefs": null}}}));
    wait_for("an Ingress in place of the HTTPRoute", || {
        (routes().is_none() && space.get("ingresses", "web-ingress").is_some()).then_some(())
    });
    space.wait_until_ready("web");
    space.edit("applications", "web", &json!({"spec": {"http": {"parentRefs": [{"name": "public"}]}}}));
    wait_for("an HTTPRoute in place of the Ingress", || {
        (routes().is_some() && space.get("ingresses", "web-ingress").is_none()).then_some(())
    });
    space.wait_until_ready("web");
    space.delete("httproutes", "web-route");
    wait_for("the HTTPRoute to be back", || routes().filter(|back| uid(back) != uid(&route)).map(drop));

    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    world.api.delete(&format!("{definitions}/httproutes.gateway.networking.k8s.io"));
    space.wait_for_status("web", "to be told", absent);
    let seen = space.get("applications", "other").expect("it is there");
    assert_eq!(reason(&seen, "Degraded"), ("False", "AsExpected"), "others are not concerned");
    assert!(install_gateway_api(world));
    space.wait_until_ready("web");
    assert!(routes().is_some());
}
