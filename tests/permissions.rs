//! The operator may do what it does, and no more: its role is held against the audit log.

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testbed::Feature;

use crate::support::{FORMER_FINALIZER, Space, install_gateway_api, reason, wait_for, wait_until_good};

/// Rights that no request bears the name of, and why the operator has them all the same.
const UNSEEN: [(&str, &str); 26] = [
    ("create deployments", "an apply of an object that is absent is logged as a patch"),
    ("create services", "the same"),
    ("create poddisruptionbudgets", "the same"),
    ("create horizontalpodautoscalers", "the same"),
    ("create ingresses", "the same"),
    ("create httproutes", "the same"),
    ("create leases", "the same"),
    ("create controllerrevisions", "the same"),
    ("create jobs", "the same"),
    ("get jobs", "only a write whose answer was lost is settled by it"),
    ("delete deployments", "OwnerReferencesPermissionEnforcement asks for it where an owner is given to what exists"),
    ("update applications/finalizers", "OwnerReferencesPermissionEnforcement asks for it where a deletion is to wait"),
    ("patch events", "only an event that repeats is changed"),
    ("list applications", "servers before 1.32 do not stream lists"),
    ("list deployments", "the same"),
    ("list services", "the same"),
    ("list poddisruptionbudgets", "the same"),
    ("list horizontalpodautoscalers", "the same"),
    ("list controllerrevisions", "the same"),
    ("list jobs", "the same"),
    ("list ingresses", "the same"),
    ("list httproutes", "the same"),
    ("list customresourcedefinitions", "the same"),
    ("list configmaps", "the same"),
    ("list pods", "the same"),
    ("list namespaces", "the same"),
];

#[test]
fn every_right_of_the_operator_is_used_and_none_is_missing() {
    if !testbed::has(Feature::Authorisation) {
        return;
    }
    let Some(space) = Space::new("rights") else { return };
    let has_gateways = install_gateway_api(space.world);
    let _leader = space.world.operator(&["--leader-elect"]);
    let _standby = space.world.operator(&["--leader-elect"]);
    space.application("web", &json!({"image": "nginx", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    space.edit("applications", "web", &json!({"metadata": {"finalizers": [FORMER_FINALIZER]}}));
    wait_for("the former finalizer to go", || {
        space.get("applications", "web").filter(|seen| seen["metadata"].get("finalizers").is_none()).map(drop)
    });
    // Ports of another writer, for which the operator looks at who owns what.
    let ports = json!([{"name": "extra", "port": 9999, "protocol": "TCP"}]);
    let wish = json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": ports}});
    space.apply_as("somebody", "services", "web-service", &wish);
    let containers = json!([{"name": "web-container", "ports": [{"containerPort": 9999, "protocol": "TCP"}]}]);
    let wish = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "spec": {"template": {"spec": {"containers": containers}}}});
    space.apply_as("somebody", "deployments", "web-deployment", &wish);
    space.wait_until_ready("web");
    // Children without an owner, for which the operator looks whether the Application is still there.
    for (resource, name) in [("deployments", "web-deployment"), ("services", "web-service")] {
        space.edit(resource, name, &json!({"metadata": {"ownerReferences": null}}));
        space.wait_until_converged("web");
    }

    // Configuration that is followed.
    space.create("configmaps", &json!({"metadata": {"name": "settings"}, "data": {"a": "1"}}));
    let env_from = json!([{"configMapRef": {"name": "settings"}}]);
    space.edit("applications", "web", &json!({"spec": {"envFrom": env_from, "configRollout": {}}}));

    // Children that come, are refused, and go; of what is refused the operator looks what stands there.
    for wish in [
        json!({"podDisruptionBudget": {}, "autoscaling": {"maxReplicas": 2}}),
        json!({"podDisruptionBudget": {"maxUnavailable": "many"}}),
        json!({"podDisruptionBudget": null}),
        json!({"autoscaling": {"behavior": {"scaleUp": {"stabilizationWindowSeconds": -1}}}}),
        json!({"http": {"hosts": ["web.example.com"]}}),
        json!({"http": {"annotations": {"no key": ""}}}),
        json!({"http": {"annotations": null, "parentRefs": [{"name": "gateway"}]}}),
        json!({"http": {"annotations": {"no key": ""}}}),
        json!({"autoscaling": null, "port": null, "http": null}),
    ] {
        let edited = space.edit("applications", "web", &json!({"spec": wish}));
        space.wait_for_status("web", "to be looked at", |seen| {
            seen["status"]["observedGeneration"] == edited["metadata"]["generation"]
        });
        // It is known a moment later than its definition.
        if has_gateways && wish["http"]["parentRefs"].is_array() {
            wait_for("the HTTPRoute", || space.get("httproutes", "web-route"));
        }
    }

    // Revisions that come and go, and migrations before them.
    for (image, argument) in [("nginx:2", "a"), ("nginx:3", "b")] {
        let migrations = json!([{"name": "schema", "args": [argument]}]);
        let wish = json!({"image": image, "migrations": migrations, "revisionHistoryLimit": 0});
        space.edit("applications", "web", &json!({"spec": wish}));
        space.wait_for_status("web", "to be ready", |seen| reason(seen, "Ready").0 == "True");
    }

    let mut rights = rights(&space);
    if !has_gateways {
        rights.retain(|right| !right.ends_with(" httproutes") || is_unseen(right));
    }
    for (right, why) in UNSEEN {
        assert!(rights.remove(right), "nobody has the right to {right} any more ({why})");
    }
    wait_until_good("every other right to be used", || rights.difference(&used(&space)).cloned().collect());
    let other: Vec<_> = used(&space).difference(&rights).filter(|used| !is_unseen(used)).cloned().collect();
    assert_eq!(other, Vec::<String>::new(), "used, and in no role");
    assert_eq!(space.world.forbidden(), Vec::<String>::new());
}

fn is_unseen(right: &str) -> bool {
    UNSEEN.iter().any(|(unseen, _)| *unseen == right)
}

/// The rights that the operator's roles give.
fn rights(space: &Space<'_>) -> BTreeSet<String> {
    let everywhere = space.kubectl(&["get", "clusterrole", "application-operator", "-o", "json"]);
    let election = "role/application-operator-leader-election";
    let own = space.world.cluster.kubectl_ok(&["get", election, "-n", "application-operator-system", "-o", "json"]);
    [everywhere, own].iter().flat_map(|role| rights_of(role)).collect()
}

fn rights_of(role: &str) -> BTreeSet<String> {
    let role: Value = serde_json::from_str(role).expect("a role");
    let words = |rule: &Value, field: &str| -> Vec<String> {
        serde_json::from_value(rule[field].clone()).expect("a list of words")
    };
    let rules = role["rules"].as_array().expect("rules").iter();
    rules
        .flat_map(|rule| {
            let resources = words(rule, "resources");
            let verbs = words(rule, "verbs").into_iter();
            verbs.flat_map(move |verb| resources.clone().into_iter().map(move |resource| format!("{verb} {resource}")))
        })
        .collect()
}

/// The rights that the operator has used so far; those of watches, which are logged when they end, for certain.
fn used(space: &Space<'_>) -> BTreeSet<String> {
    let requests = space.world.requests_of_operator().into_iter();
    let seen = requests.map(|request| {
        let part = if request.subresource.is_empty() { String::new() } else { format!("/{}", request.subresource) };
        format!("{} {}{part}", request.verb, request.resource)
    });
    let watched = [
        "applications",
        "deployments",
        "services",
        "poddisruptionbudgets",
        "horizontalpodautoscalers",
        "ingresses",
        "httproutes",
        "customresourcedefinitions",
        "configmaps",
        "pods",
        "controllerrevisions",
        "jobs",
        "leases",
        "namespaces",
    ]
    .map(|resource| format!("watch {resource}"));
    seen.chain(watched).collect()
}
