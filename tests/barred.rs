//! What somebody else has set, and the API server does not have beside what an Application says, goes; all else stays.
//!
//! An apply leaves what others own where it is. Where one thing excludes another (a variable's value its source, one handler
//! of a probe any other), the server refuses every apply, so that an edit would never be undone.

mod support;

use serde_json::{Value, json};

use crate::support::{Operator, Space, condition, path, wait_until_good};

/// What somebody does to a child, and what its Application asks for then.
struct Case {
    what: &'static str,
    spec: Value,
    /// The suffix of the child's name.
    child: &'static str,
    /// Fields by their paths below the child's `spec`; those that begin with `container/`, below the first container.
    edit: Value,
    then: Value,
}

/// Edits in the place of what is wished.
fn edits() -> Vec<Case> {
    let case = |what, spec, child, edit| Case { what, spec, child, edit, then: json!({}) };
    let of_map = || json!({"configMapKeyRef": {"name": "settings", "key": "k"}});
    let of_secret = || json!({"secretKeyRef": {"name": "settings", "key": "k"}});
    let volume = || {
        json!({"volumes": [{"name": "v", "configMap": {"name": "settings"}}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}]})
    };
    vec![
        case(
            "value-sourced",
            json!({"env": [{"name": "A", "value": "1"}]}),
            "deployment",
            json!({"container/env": [{"name": "A", "valueFrom": of_map()}]}),
        ),
        case(
            "source-changed",
            json!({"env": [{"name": "A", "valueFrom": of_map()}]}),
            "deployment",
            json!({"container/env": [{"name": "A", "valueFrom": of_secret()}]}),
        ),
        case(
            "source-valued",
            json!({"env": [{"name": "A", "valueFrom": of_map()}]}),
            "deployment",
            json!({"container/env": [{"name": "A", "value": "2"}]}),
        ),
        case(
            "handler",
            json!({"livenessProbe": {"httpGet": {"path": "/", "port": 80}}}),
            "deployment",
            json!({"container/livenessProbe": {"exec": {"command": ["true"]}}}),
        ),
        case(
            "hook",
            json!({"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}),
            "deployment",
            json!({"container/lifecycle/preStop": {"exec": {"command": ["true"]}}}),
        ),
        case(
            "mounted",
            volume(),
            "deployment",
            json!({"template/spec/volumes": [{"name": "v", "secret": {"secretName": "settings"}}]}),
        ),
        case(
            "rolled",
            json!({"strategy": {"type": "Recreate"}}),
            "deployment",
            json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
        ),
        case(
            "budget",
            json!({"podDisruptionBudget": {"minAvailable": 1}}),
            "budget",
            json!({"minAvailable": null, "maxUnavailable": 1}),
        ),
        case(
            "balanced",
            json!({}),
            "service",
            json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]}),
        ),
    ]
}

/// Additions that are allowed beside what is wished, but not beside what is wished then.
fn additions() -> Vec<Case> {
    vec![
        Case {
            what: "probe-gone",
            spec: json!({"livenessProbe": {"httpGet": {"path": "/", "port": 80}}}),
            child: "deployment",
            edit: json!({"container/livenessProbe/initialDelaySeconds": 5}),
            then: json!({"livenessProbe": null}),
        },
        Case {
            what: "probe-changed",
            spec: json!({"livenessProbe": {"httpGet": {"path": "/", "port": 80}}}),
            child: "deployment",
            edit: json!({"container/livenessProbe/httpGet/host": "a.example"}),
            then: json!({"livenessProbe": {"httpGet": null, "tcpSocket": {"port": 80}}}),
        },
        Case {
            what: "remounted",
            spec: json!({"volumes": [{"name": "v", "configMap": {"name": "settings"}}],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
            child: "deployment",
            edit: json!({"template/spec/volumes/0/configMap/optional": true}),
            then: json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        },
        Case {
            what: "limited",
            spec: json!({}),
            child: "deployment",
            edit: json!({"container/resources": {"requests": {"cpu": "2"}}}),
            then: json!({"resources": {"limits": {"cpu": "1"}}}),
        },
        Case {
            what: "recreated",
            spec: json!({}),
            child: "deployment",
            edit: json!({"strategy/rollingUpdate/maxSurge": 2}),
            then: json!({"strategy": {"type": "Recreate"}}),
        },
        Case {
            what: "hurried",
            spec: json!({}),
            child: "deployment",
            edit: json!({"minReadySeconds": 20}),
            then: json!({"progressDeadlineSeconds": 15}),
        },
        Case {
            what: "in-cluster",
            spec: json!({"service": {"type": "LoadBalancer"}}),
            child: "service",
            edit: json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]}),
            then: json!({"service": {"type": "ClusterIP"}}),
        },
    ]
}

#[test]
fn an_edit_that_cannot_stand_beside_the_wish_is_undone() {
    let Some((space, _operator)) = operated("instead") else { return };
    let cases = edits();
    create(&space, &cases);
    edit_all(&space, &cases);
    wait_until_as_new(&space, &cases);
}

#[test]
fn an_addition_that_cannot_stand_beside_a_later_wish_goes() {
    let Some((space, _operator)) = operated("added") else { return };
    let cases = additions();
    create(&space, &cases);
    edit_all(&space, &cases);
    change(&space, &cases);
    wait_until_as_new(&space, &cases);
}

#[test]
fn an_edit_and_a_change_that_are_seen_at_once_end_as_the_change_says() {
    let Some((space, operator)) = operated("at-once") else { return };
    let cases: Vec<Case> = edits().into_iter().chain(additions()).collect();
    create(&space, &cases);
    drop(operator);
    edit_all(&space, &cases);
    change(&space, &cases);
    let _operator = operator_of(&space);
    wait_until_as_new(&space, &cases);
}

#[test]
fn what_others_have_set_stays_where_it_can_and_what_goes_is_told() {
    let Some((space, _operator)) = operated("elsewhere") else { return };
    let of_map = |name: &str| json!({"name": name, "configMap": {"name": "settings"}});
    let spec = json!({"env": [{"name": "A", "value": "1"}], "volumes": [of_map("v"), of_map("w")],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w"}]});
    let sourced =
        |name: &str| json!({"name": name, "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k"}}});
    let case = Case {
        what: "web",
        spec,
        child: "deployment",
        edit: json!({"container/env": [sourced("A"), sourced("B")], "container/volumeMounts/1/readOnly": true,
            "container/resources": {"requests": {"memory": "1Mi"}}, "template/spec/volumes/1/configMap/optional": true,
            "template/spec/volumes/0/configMap": null, "template/spec/volumes/0/secret": {"secretName": "settings"}}),
        then: json!({}),
    };
    create(&space, std::slice::from_ref(&case));
    edit(&space, &case);
    // Refused for itself, a wish takes nothing away.
    space.edit("applications", "web", &json!({"spec": {"resources": {"requests": {"example.com/gpu": 1}}}}));
    space.wait_for_status("web", "to be refused", |seen| condition(seen, "Ready").1 == "ApplyRejected");
    space.edit("applications", "web", &json!({"spec": {"resources": null}}));
    wait_until_good("the edits to be undone, and no more", || {
        let spec = spec_of(&space, "web", "deployment");
        let at = |place: &str| spec.pointer(&format!("/template/spec/{place}")).cloned().unwrap_or_default();
        let of_container = |field: &str| at(&format!("containers/0/{field}"));
        let seen = json!([of_container("env"), of_container("resources"), of_container("volumeMounts"), at("volumes")]);
        let good = json!([
            [{"name": "A", "value": "1"}, sourced("B")],
            {"requests": {"memory": "1Mi"}},
            [{"mountPath": "/v", "name": "v"}, {"mountPath": "/w", "name": "w", "readOnly": true}],
            [{"name": "v", "configMap": {"name": "settings", "defaultMode": 420}},
                {"name": "w", "configMap": {"name": "settings", "defaultMode": 420, "optional": true}}],
        ]);
        if seen == good { vec![] } else { vec![seen.to_string()] }
    });
    let removed = "Removed spec.template.spec.containers[web-container].env[A].valueFrom.configMapKeyRef, \
                   spec.template.spec.volumes[v].secret.defaultMode, spec.template.spec.volumes[v].secret.secretName of \
                   Deployment web-deployment";
    wait_until_good("the event that says so", || {
        let notes: Vec<String> = space.list("events").iter().map(|event| event["note"].to_string()).collect();
        if notes.iter().any(|seen| seen.contains(removed)) { vec![] } else { notes }
    });
}

#[test]
fn an_entry_of_somebody_else_that_cannot_stay_is_told_and_left_to_them() {
    let Some((space, _operator)) = operated("entry") else { return };
    let spec = json!({"volumes": [{"name": "v", "configMap": {"name": "settings"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
    let mounts = json!([{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/w"}]);
    let case = Case {
        what: "web",
        spec,
        child: "deployment",
        edit: json!({"container/volumeMounts": mounts}),
        then: json!({"volumes": [], "volumeMounts": []}),
    };
    create(&space, std::slice::from_ref(&case));
    edit(&space, &case);
    change(&space, std::slice::from_ref(&case));
    space.wait_for_status("web", "to be refused", |seen| {
        let (_, reason, message) = condition(seen, "Ready");
        reason == "ApplyRejected" && message.contains(r#"volumeMounts[0].name: Not found: "v""#)
    });
    let theirs = Case { edit: json!({"container/volumeMounts": [{"name": "v", "mountPath": "/v"}]}), ..case };
    edit(&space, &theirs);
    wait_until_as_new(&space, &[theirs]);
}

/// A namespace with what the edits refer to, and an operator of its own.
fn operated(name: &str) -> Option<(Space<'static>, Operator)> {
    let space = Space::new(name)?;
    let operator = operator_of(&space);
    Some((space, operator))
}

fn operator_of(space: &Space<'_>) -> Operator {
    space.world.operator(&["--namespace", &space.name, "--allow-volumes=all"])
}

/// An Application for each case, and one that says from the beginning what that says in the end.
fn create(space: &Space<'_>, cases: &[Case]) {
    for Case { what, spec, then, .. } in cases {
        let whole = |parts: &[&Value]| {
            let mut whole = json!({"image": "nginx", "replicas": 0, "port": 80});
            for part in parts {
                whole.as_object_mut().expect("a spec").extend(part.as_object().expect("fields").clone());
            }
            whole
        };
        space.application(what, &whole(&[spec]));
        let mut end = whole(&[spec, then]);
        end.as_object_mut().expect("a spec").retain(|_, value| !value.is_null());
        space.application(&format!("{what}-new"), &end);
    }
    for Case { what, child, .. } in cases {
        for application in [(*what).to_owned(), format!("{what}-new")] {
            space.wait_for_status(&application, "to be told", |seen| condition(seen, "Ready").1 == "ScaledToZero");
            wait_until_good("the child", || {
                let child = child_of(space, &application, child);
                if child.is_some() { vec![] } else { vec![application.clone()] }
            });
        }
    }
}

fn change(space: &Space<'_>, cases: &[Case]) {
    for Case { what, then, .. } in cases {
        space.edit("applications", what, &json!({"spec": then}));
    }
}

fn edit_all(space: &Space<'_>, cases: &[Case]) {
    for case in cases {
        edit(space, case);
    }
}

/// Changes a child as `kubectl edit` does, in whatever state it is.
fn edit(space: &Space<'_>, case: &Case) {
    let name = format!("{}-{}", case.what, case.child);
    wait_until_good(&format!("{name} to be edited"), || {
        let mut child = child_of(space, case.what, case.child).expect("the child");
        for (field, value) in case.edit.as_object().expect("fields") {
            let at = format!("/spec/{}", field.replace("container/", "template/spec/containers/0/"));
            let (above, last) = at.rsplit_once('/').expect("a path");
            child.pointer_mut(above).expect("what stands above it")[last] = value.clone();
        }
        let at = format!("{}/{name}?fieldManager=kubectl-edit", path(resource(case.child), &space.name));
        let (code, said) = space.world.api.ask("PUT", &at, &child);
        assert!(matches!(code, 200 | 409), "{name}: {said}");
        if code == 200 { vec![] } else { vec![said.to_string()] }
    });
}

/// Waits until the child of each case is as that of an Application that nobody has ever touched.
fn wait_until_as_new(space: &Space<'_>, cases: &[Case]) {
    for Case { what, child, .. } in cases {
        wait_until_good(&format!("{what} to be as new"), || {
            let [seen, new] = [(*what).to_owned(), format!("{what}-new")].map(|name| spec_of(space, &name, child));
            let ready = space.get("applications", what).map(|seen| condition(&seen, "Ready").1.to_owned());
            if seen == new && ready.as_deref() == Some("ScaledToZero") {
                return vec![];
            }
            vec![format!("{ready:?}\n{seen:#}\n{new:#}")]
        });
    }
}

/// The spec of a child, without the name and what the server hands out.
fn spec_of(space: &Space<'_>, application: &str, child: &str) -> Value {
    let mut spec = child_of(space, application, child).expect("the child")["spec"].clone();
    for given in ["clusterIP", "clusterIPs", "healthCheckNodePort"] {
        spec.as_object_mut().expect("a spec").remove(given);
    }
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        port.as_object_mut().expect("a port").remove("nodePort");
    }
    serde_json::from_str(&spec.to_string().replace(application, "NAME")).expect("JSON")
}

fn child_of(space: &Space<'_>, application: &str, child: &str) -> Option<Value> {
    space.get(resource(child), &format!("{application}-{child}"))
}

fn resource(child: &str) -> &'static str {
    match child {
        "deployment" => "deployments",
        "service" => "services",
        _ => "poddisruptionbudgets",
    }
}
