//! Every field of an Application on an API server: what it becomes, and what it becomes when it goes.

mod support;

use std::fs;

use jiff::Timestamp;
use serde_json::{Value, json};
use testbed::Feature;

use crate::support::{
    Operator, Space, World, condition, let_time_pass, path, reason, record, wait_for, wait_until_good,
};

/// A namespace with an operator of its own, which allows what the flags say.
fn operated(name: &str, flags: &[&str]) -> Option<(Space<'static>, Operator)> {
    let space = Space::new(name)?;
    let operator = space.world.operator(&[&["--namespace", name], flags].concat());
    Some((space, operator))
}

/// A namespace whose operator allows everything, and the spec of the corpus that has every field.
fn whole(name: &str) -> Option<(Space<'static>, Operator, Value)> {
    let (space, operator) = operated(name, &["--allow-volumes=all", "--allow-service-accounts"])?;
    space.world.label_nodes();
    space.create("serviceaccounts", &json!({"metadata": {"name": "shop"}}));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/whole.yaml");
    let whole: Value = serde_saphyr::from_str(&fs::read_to_string(file).expect("the corpus")).expect("YAML");
    Some((space, operator, whole["spec"].clone()))
}

/// The specs of all children of an Application, without what the server hands out and what follows from the name.
fn specs(space: &Space<'_>, application: &str) -> Value {
    let mut specs = json!({});
    for (resource, suffix) in [
        ("deployments", "deployment"),
        ("services", "service"),
        ("poddisruptionbudgets", "budget"),
        ("horizontalpodautoscalers", "autoscaler"),
        ("ingresses", "ingress"),
    ] {
        let Some(child) = space.get(resource, &format!("{application}-{suffix}")) else { continue };
        let mut spec = child["spec"].clone();
        for given in ["clusterIP", "clusterIPs", "healthCheckNodePort"] {
            spec.as_object_mut().expect("a spec").remove(given);
        }
        for port in spec["ports"].as_array_mut().into_iter().flatten() {
            port.as_object_mut().expect("a port").remove("nodePort");
        }
        specs[resource] = json!(spec.to_string().replace(application, "NAME"));
    }
    specs
}

#[test]
fn every_field_reaches_the_children_and_then_nothing_is_written() {
    let Some((space, _operator, spec)) = whole("whole") else { return };
    space.application("whole", &spec);
    let seen = space.wait_for_status("whole", "to be ready", |seen| reason(seen, "Ready").0 == "True");
    assert_eq!(reason(&seen, "Degraded"), ("False", "AsExpected"));

    let deployment = space.get("deployments", "whole-deployment").expect("a Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    for field in ["command", "args", "envFrom", "lifecycle", "imagePullPolicy"] {
        assert_eq!(container[field], spec[field], "{field}");
    }
    for field in ["nodeSelector", "tolerations", "affinity", "serviceAccountName", "priorityClassName"] {
        assert_eq!(pod[field], spec[field], "{field}");
    }
    assert_eq!(container["securityContext"]["capabilities"], json!({"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}));
    assert_eq!(pod["initContainers"][0]["securityContext"]["allowPrivilegeEscalation"], false);
    let service = space.get("services", "whole-service").expect("a Service");
    assert_eq!(service["spec"]["loadBalancerSourceRanges"], spec["service"]["loadBalancerSourceRanges"]);
    assert_eq!(service["metadata"]["annotations"]["example.com/balancer"], "internal");

    // What the server wrote in its own way (quantities, defaults, what is empty) is no reason to write again.
    let before = space.writes().len();
    for round in ["1", "2", "3"] {
        space.edit("applications", "whole", &json!({"metadata": {"annotations": {"round": round}}}));
    }
    space.edit("deployments", "whole-deployment", &json!({"metadata": {"annotations": {"round": "1"}}}));
    space.edit("deployments", "whole-deployment", &json!({"spec": {"minReadySeconds": 7}}));
    wait_for("the edit to be undone", || {
        let seen = space.get("deployments", "whole-deployment")?;
        seen["spec"]["minReadySeconds"].as_i64().is_none_or(|seconds| seconds == 0).then_some(())
    });
    // A write that met a newer status was refused, and is made again.
    let children = |request: &&support::Request| request.resource != "applications" && request.code < 400;
    assert_eq!(space.writes()[before..].iter().filter(children).count(), 1, "the edit was undone, and no more");
}

#[test]
fn fields_that_go_leave_nothing_behind() {
    let Some((space, _operator, spec)) = whole("shrunk") else { return };
    space.application("shrunk", &spec);
    space.wait_for_status("shrunk", "to be ready", |seen| reason(seen, "Ready").0 == "True");
    let few = json!({"image": "nginx", "replicas": 1, "port": 80});
    let mut gone: serde_json::Map<String, Value> =
        spec.as_object().expect("a spec").keys().map(|field| (field.clone(), Value::Null)).collect();
    gone.extend(few.as_object().expect("a spec").clone());
    space.edit("applications", "shrunk", &json!({"spec": gone}));
    space.application("fresh", &few);
    for application in ["shrunk", "fresh"] {
        space.wait_for_status(application, "to be ready", |seen| reason(seen, "Ready").0 == "True");
    }
    wait_until_good("both to be the same", || {
        let (shrunk, fresh) = (specs(&space, "shrunk"), specs(&space, "fresh"));
        if shrunk == fresh { Vec::new() } else { vec![format!("{shrunk:#}\n{fresh:#}")] }
    });
}

#[test]
fn without_a_port_there_is_no_service_and_with_one_it_is_back() {
    let Some((space, _operator)) = operated("worker", &[]) else { return };
    space.application("worker", &json!({"image": "nginx", "replicas": 1}));
    space.wait_for_status("worker", "to be ready", |seen| reason(seen, "Ready").0 == "True");
    assert_eq!(space.get("services", "worker-service"), None);
    space.edit("applications", "worker", &json!({"spec": {"port": 80}}));
    space.wait_until_ready("worker");
    space.edit("applications", "worker", &json!({"spec": {"port": null}}));
    wait_for("the Service to go", || space.get("services", "worker-service").is_none().then_some(()));
    space.wait_for_status("worker", "to be ready", |seen| reason(seen, "Ready").0 == "True");
    // Somebody else's Service under that name is none of a worker's business.
    space.create("services", &json!({"metadata": {"name": "worker-service"}, "spec": {"ports": [{"port": 1}]}}));
    space.edit("applications", "worker", &json!({"spec": {"replicas": 2}}));
    space.wait_for_status("worker", "to be ready", |seen| reason(seen, "Ready").0 == "True");
    assert!(space.get("services", "worker-service").is_some());
}

#[test]
fn what_the_operator_does_not_allow_is_said_and_the_application_runs_on() {
    let Some((space, _operator)) = operated("allowed", &[]) else { return };
    space.application("web", &json!({"image": "nginx", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    for (spec, flag) in [
        (json!({"serviceAccountName": "admin"}), "--allow-service-accounts"),
        (json!({"automountServiceAccountToken": true}), "--allow-service-accounts"),
        (json!({"volumes": [{"name": "disk", "hostPath": {"path": "/"}}]}), "--allow-volumes=hostPath"),
        (json!({"securityContext": {"privileged": true}}), "--allow-privileged"),
    ] {
        let mut wish = spec.clone();
        wish["image"] = json!("other");
        space.edit("applications", "web", &json!({"spec": wish}));
        let seen = space.wait_for_status("web", "to be refused", |seen| reason(seen, "Degraded").1 == "NotAllowed");
        assert!(condition(&seen, "Ready").2.ends_with(flag), "{spec}: {seen}");
        let deployment = space.get("deployments", "web-deployment").expect("a Deployment");
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["image"], "nginx", "nothing of it is taken over");
        let mut back: Value = spec.as_object().expect("a spec").keys().map(|f| (f.clone(), Value::Null)).collect();
        back["image"] = json!("nginx");
        space.edit("applications", "web", &json!({"spec": back}));
        space.wait_until_ready("web");
    }
}

#[test]
fn a_child_that_the_server_refuses_is_told_at_once_in_its_words() {
    let Some((space, _operator)) = operated("refusing", &[]) else { return };
    let resources = json!({"requests": {"example.com/gpu": 1}});
    let start = std::time::Instant::now();
    space.application("web", &json!({"image": "nginx", "replicas": 1, "port": 80, "resources": resources}));
    let seen = space.wait_for_status("web", "to be refused", |seen| reason(seen, "Degraded").1 == "ApplyRejected");
    record("a refused child is told", start.elapsed());
    let message = condition(&seen, "Ready").2;
    assert!(message.contains("Limit must be set for non overcommitable resources"), "{message}");
    space.edit("applications", "web", &json!({"spec": {"resources": null}}));
    space.wait_until_ready("web");
}

#[test]
fn nothing_is_told_of_a_change_by_what_was_tried_before_it() {
    let Some((space, _operator)) = operated("since", &[]) else { return };
    space.application("web", &json!({"image": "nginx", "replicas": 0, "port": 80}));
    space.wait_for_status("web", "to be scaled to zero", |seen| reason(seen, "Ready").0 == "True");
    // A refusal is tried again at once, and so as likely as not while the change comes.
    for _ in 0..20 {
        let resources = json!({"requests": {"example.com/gpu": 1}});
        space.edit("applications", "web", &json!({"spec": {"resources": resources}}));
        let seen = space.wait_for_status("web", "to be seen", |_| true);
        assert_eq!(reason(&seen, "Degraded").1, "ApplyRejected", "it was ready before");
        space.edit("applications", "web", &json!({"spec": {"resources": null}}));
        let seen = space.wait_for_status("web", "to be seen", |_| true);
        assert_eq!(reason(&seen, "Degraded").0, "False", "it was refused before");
    }
}

#[test]
fn what_is_left_to_the_server_by_zero_or_by_nothing_is_no_fight() {
    let Some((space, _operator)) = operated("filled", &[]) else { return };
    let ports = json!([{"name": "http", "port": 80, "nodePort": 0, "targetPort": 0}]);
    let probe = json!({"httpGet": {"path": "", "scheme": "", "port": 80}});
    let behavior = json!({"scaleDown": {"stabilizationWindowSeconds": 0}});
    space.application(
        "web",
        &json!({"image": "nginx", "replicas": 1, "port": 80, "service": {"ports": ports},
        "readinessProbe": probe, "autoscaling": {"maxReplicas": 1, "behavior": behavior}}),
    );
    space.wait_until_ready("web");
    let seen = space.get("applications", "web").expect("it is there");
    assert_eq!(reason(&seen, "Degraded"), ("False", "AsExpected"));
    let before = space.writes().len();
    space.edit("applications", "web", &json!({"metadata": {"annotations": {"look": "again"}}}));
    space.edit("services", "web-service", &json!({"metadata": {"labels": {"look": "again"}}}));
    let_time_pass(std::time::Duration::from_secs(1));
    assert_eq!(space.writes().len(), before, "nothing is put back");
}

#[test]
fn quantities_and_percentages_are_taken_in_every_form_that_kubernetes_takes() {
    let Some(world) = World::shared() else { return };
    let space = world.space("quantities");
    let send = |spec: &Value| {
        let mut whole = spec.clone();
        (whole["image"], whole["port"]) = (json!("nginx"), json!(80));
        let application = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
            "metadata": {"name": "web"}, "spec": whole});
        let path = format!("{}?dryRun=All", path("applications", &space.name));
        let (code, said) = world.api.ask("POST", &path, &application);
        (code, said["message"].as_str().unwrap_or_default().to_owned())
    };
    for good in [
        json!(1),
        json!("+1"),
        json!("0.5"),
        json!(".5"),
        json!("1."),
        json!("100m"),
        json!("1e3"),
        json!("1E-3"),
        json!("1.5Gi"),
        json!("2E"),
        json!("9999Ei"),
    ] {
        let (code, said) = send(&json!({"resources": {"limits": {"memory": good}}}));
        assert_eq!(code, 201, "{good}: {said}");
    }
    for bad in
        [json!(""), json!("abc"), json!("512MB"), json!("1 Gi"), json!("50%"), json!("-1"), json!(-1), json!("1e999")]
    {
        for (field, spec) in [
            ("spec.resources.limits.memory", json!({"resources": {"limits": {"memory": bad}}})),
            ("spec.volumes[0].emptyDir.sizeLimit", json!({"volumes": [{"name": "a", "emptyDir": {"sizeLimit": bad}}]})),
        ] {
            let (code, said) = send(&spec);
            assert!(code == 422 && said.contains(field), "{spec}: {code} {said}");
        }
    }
    for (request, limit, is_good) in [
        (json!("500m"), json!(1), true),
        (json!(1), json!("1"), true),
        (json!("1Gi"), json!("1024Mi"), true),
        (json!(2), json!("1999m"), false),
        (json!("1Gi"), json!("1G"), false),
        (json!("0.5"), json!(0), false),
    ] {
        for name in ["cpu", "memory", "ephemeral-storage"] {
            let (code, said) = send(&json!({"resources": {"requests": {name: request}, "limits": {name: limit}}}));
            let told = said.contains("must not be greater than their limits");
            assert_eq!((code, told), if is_good { (201, false) } else { (422, true) }, "{request} {limit}: {said}");
        }
    }
    for share in [json!("25%"), json!(1), json!(0), json!("100%")] {
        let update = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": share}});
        let (code, said) = send(&json!({"strategy": update, "podDisruptionBudget": {"maxUnavailable": share}}));
        assert_eq!(code, 201, "{share}: {said}");
    }
}

#[test]
fn an_init_container_has_a_name_of_its_own() {
    let Some(world) = World::shared() else { return };
    let space = world.space("names");
    let spec = |name: &str| json!({"image": "nginx", "port": 80, "initContainers": [{"name": name, "image": "a"}]});
    let own = "must not have one called <name>-container";
    let application = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
        "metadata": {"name": "web"}, "spec": spec("web-container")});
    let (code, said) = world.api.ask("POST", &path("applications", &space.name), &application);
    assert!(code == 422 && said["message"].as_str().is_some_and(|said| said.contains(own)), "{said}");
    for name in ["container", "web", "a-container", "web-container-a", "other-web-container"] {
        space.application(&format!("with-{name}"), &spec(name));
    }
    space.application("web", &spec("other-container"));
    let at = format!("{}/web", path("applications", &space.name));
    let (code, said) = world.api.ask("PATCH", &at, &json!({"spec": spec("web-container")}));
    assert!(code == 422 && said["message"].as_str().is_some_and(|said| said.contains(own)), "{said}");
    let twice = json!([{"name": "a", "image": "a"}, {"name": "a", "image": "b"}]);
    let (code, said) = world.api.ask("PATCH", &at, &json!({"spec": {"initContainers": twice}}));
    let message = said["message"].as_str().unwrap_or_default();
    assert!(code == 422 && message.contains("spec.initContainers[1]: Duplicate value"), "{said}");
}

#[test]
fn a_running_application_can_change_its_strategy_there_and_back() {
    let Some((space, _operator)) = operated("strategy", &[]) else { return };
    space.application("web", &json!({"image": "nginx", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    for strategy in [
        json!({"type": "Recreate"}),
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}),
        json!({"type": "Recreate", "rollingUpdate": null}),
    ] {
        space.edit("applications", "web", &json!({"spec": {"strategy": strategy}}));
        wait_for("the strategy", || {
            let deployment = space.get("deployments", "web-deployment")?;
            (deployment["spec"]["strategy"]["type"] == strategy["type"]).then_some(())
        });
        space.wait_until_ready("web");
    }
}

#[test]
fn an_autoscaler_and_a_budget_find_the_application() {
    if !testbed::has(Feature::Scalers) {
        return;
    }
    let Some((space, _operator)) = operated("scaled", &[]) else { return };
    let spec = json!({"image": "nginx", "replicas": 2, "port": 80, "podDisruptionBudget": {},
        "autoscaling": {"minReplicas": 2, "maxReplicas": 4}});
    space.application("web", &spec);
    space.wait_until_ready("web");
    let budget = wait_for("the budget to count the pods", || {
        space.get("poddisruptionbudgets", "web-budget").filter(|budget| budget["status"]["expectedPods"] == 2)
    });
    assert_eq!((&budget["spec"]["maxUnavailable"], &budget["status"]["disruptionsAllowed"]), (&json!(1), &json!(1)));
    // The autoscaler's own controller reads the Application's scale, and says so.
    wait_for("the autoscaler to be able to scale", || {
        let seen = space.get("horizontalpodautoscalers", "web-autoscaler")?;
        (condition(&seen, "AbleToScale").0 == "True").then_some(())
    });
    // As it would do, and as kubectl does.
    space.kubectl(&["scale", "application", "web", "--replicas=3"]);
    space.wait_until_ready("web");
    assert_eq!(space.get("deployments", "web-deployment").expect("a Deployment")["spec"]["replicas"], 3);

    space.delete("poddisruptionbudgets", "web-budget");
    space.edit("horizontalpodautoscalers", "web-autoscaler", &json!({"spec": {"maxReplicas": 9}}));
    wait_for("both to be as wished", || {
        let most = space.get("horizontalpodautoscalers", "web-autoscaler")?["spec"]["maxReplicas"] == 4;
        (most && space.get("poddisruptionbudgets", "web-budget").is_some()).then_some(())
    });
    space.edit("applications", "web", &json!({"spec": {"podDisruptionBudget": null, "autoscaling": null}}));
    wait_for("both to go", || {
        let budget = space.get("poddisruptionbudgets", "web-budget");
        (budget.is_none() && space.get("horizontalpodautoscalers", "web-autoscaler").is_none()).then_some(())
    });
}

#[test]
fn a_pod_that_does_not_run_is_told_of_in_seconds_with_its_container_and_exit_code() {
    let Some((space, _operator)) = operated("failing", &[]) else { return };
    // No node is like that, so that nobody plays the kubelet for this pod but the test.
    let probe = json!({"tcpSocket": {"port": 80}, "periodSeconds": 2, "failureThreshold": 1});
    let spec = json!({"image": "nginx", "replicas": 1, "port": 80, "readinessProbe": probe,
        "nodeSelector": {"example.com/none": "here"}});
    space.application("web", &spec);
    let told = |what: &str, reason_of_pod: &str| {
        let start = std::time::Instant::now();
        let seen = space.wait_for_status("web", what, |seen| {
            seen["status"]["failure"]["reason"] == reason_of_pod && reason(seen, "Degraded") == ("True", "PodFailing")
        });
        record(what, start.elapsed());
        seen
    };
    let seen = told("to be unschedulable", "Unschedulable");
    assert!(condition(&seen, "Ready").2.contains("didn't match Pod's node affinity/selector"), "{seen}");

    let pod = seen["status"]["failure"]["pod"].as_str().expect("a pod").to_owned();
    let say = |state: Value, last: Value| {
        let container = json!({"name": "web-container", "image": "nginx", "imageID": "", "ready": false,
            "restartCount": 1, "state": state, "lastState": last});
        let path = format!("{}/{pod}/status", path("pods", &space.name));
        let status = json!({"status": {"containerStatuses": [container], "conditions": []}});
        let (code, said) = space.world.api.ask("PATCH", &path, &status);
        assert_eq!(code, 200, "{said}");
    };
    say(json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}}), json!({}));
    let seen = told("to miss its image", "ErrImagePull");
    assert_eq!(seen["status"]["failure"]["container"], "web-container");
    let ended = json!({"exitCode": 3, "reason": "Error", "message": "no database",
        "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z"});
    say(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}), json!({"terminated": ended}));
    let seen = told("to crash", "CrashLoopBackOff");
    let failure = &seen["status"]["failure"];
    assert_eq!((&failure["exitCode"], &failure["message"]), (&json!(3), &json!("no database")));

    // What fails without ending shows in events alone; it is told once the probe had the time to fail as often as counts.
    let now = Timestamp::now();
    let started = Timestamp::from_second(now.as_second()).expect("a time");
    say(json!({"running": {"startedAt": started.to_string()}}), json!({}));
    let seen = space.wait_for_status("web", "to be unready", |seen| seen["status"]["failure"]["reason"] == "Unhealthy");
    let late = Timestamp::now().duration_since(now);
    assert!(late.as_secs() >= 1, "a probe every 2 s has not failed {late:?} after the start");
    assert_eq!(reason(&seen, "Progressing"), ("True", "RollingOut"), "a slow start looks the same");
    assert!(condition(&seen, "Ready").2.contains("container web-container: Unhealthy: it has run since"), "{seen}");

    space.edit("applications", "web", &json!({"spec": {"nodeSelector": null}}));
    let seen = space.wait_until_ready("web");
    assert_eq!(seen["status"].get("failure"), None, "nothing of it stays");
}
