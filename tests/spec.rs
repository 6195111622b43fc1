//! Every field of an Application on an API server: what it becomes, what it becomes when it goes, and what is said to
//! bad input.

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

/// What is wrong with a field, and what the API server says to it.
fn bad_input() -> Vec<(Value, &'static str)> {
    let probe = |probe: Value| json!({"livenessProbe": probe});
    vec![
        (json!({"imagePullPolicy": "Sometimes"}), "spec.imagePullPolicy: Unsupported value"),
        (json!({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}), "spec.imagePullSecrets[1]: Duplicate value"),
        (
            json!({"imagePullSecrets": [{"name": ""}]}),
            "imagePullSecrets[0].name in body should be at least 1 chars long",
        ),
        (json!({"command": "sh"}), "spec.command in body must be of type array"),
        (json!({"args": vec!["a"; 257]}), "spec.args: Too many: 257: must have at most 256 items"),
        (json!({"env": [{"value": "a"}]}), "spec.env[0].name: Required value"),
        (json!({"env": [{"name": "A"}, {"name": "A"}]}), "spec.env[1]: Duplicate value"),
        (
            json!({"env": [{"name": "A", "value": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
            "give either value or valueFrom, not both",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "", "fieldPath": "metadata.name"}}}]}),
            "fieldRef.apiVersion in body should be at least 1 chars long",
        ),
        (json!({"envFrom": {}}), "spec.envFrom in body must be of type array"),
        (json!({"resources": {"limits": {"cpu": true}}}), "spec.resources.limits.cpu"),
        (probe(json!({})), "a probe needs exactly one of exec, httpGet, tcpSocket and grpc"),
        (
            probe(json!({"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}})),
            "a probe needs exactly one of exec, httpGet, tcpSocket and grpc",
        ),
        (
            probe(json!({"tcpSocket": {"port": 1}, "successThreshold": 2})),
            "successThreshold must be 1 for all but readinessProbe",
        ),
        (
            json!({"readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 0}}),
            "spec.readinessProbe.periodSeconds in body should be greater than or equal to 1",
        ),
        (json!({"startupProbe": {"httpGet": {}}}), "spec.startupProbe.httpGet.port: Required value"),
        (json!({"lifecycle": {"preStop": {"sleep": {}}}}), "spec.lifecycle.preStop.sleep.seconds: Required value"),
        (json!({"volumes": [{"emptyDir": {}}]}), "spec.volumes[0].name: Required value"),
        (
            json!({"volumeMounts": [{"name": "a", "mountPath": "/a"}]}),
            "each of volumeMounts needs a volume of the same name in volumes",
        ),
        (json!({"initContainers": [{"image": "a"}]}), "spec.initContainers[0].name: Required value"),
        (json!({"serviceAccountName": ""}), "spec.serviceAccountName in body should be at least 1 chars long"),
        (json!({"automountServiceAccountToken": "yes"}), "must be of type boolean"),
        (json!({"terminationGracePeriodSeconds": -1}), "should be greater than or equal to 0"),
        (json!({"nodeSelector": {"a": 1}}), "spec.nodeSelector.a in body must be of type string"),
        (json!({"affinity": []}), "spec.affinity in body must be of type object"),
        (json!({"tolerations": {}}), "spec.tolerations in body must be of type array"),
        (json!({"topologySpreadConstraints": [{"maxSkew": 1}]}), "topologyKey: Required value"),
        (json!({"priorityClassName": "a".repeat(254)}), "spec.priorityClassName: Too long"),
        (json!({"podLabels": {"app": "mine"}}), "the labels app and label are the operator's own"),
        (json!({"podAnnotations": {"a": true}}), "spec.podAnnotations.a in body must be of type string"),
        (json!({"podSecurityContext": {"fsGroup": "a"}}), "spec.podSecurityContext.fsGroup in body must be of type"),
        (json!({"securityContext": {"privileged": "no"}}), "spec.securityContext.privileged in body must be of type"),
        (json!({"securityProfile": "Tight"}), "spec.securityProfile: Unsupported value"),
        (json!({"strategy": {"type": "Canary"}}), "spec.strategy.type: Unsupported value"),
        (
            json!({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}),
            "rollingUpdate is of no use with type Recreate",
        ),
        (json!({"minReadySeconds": 600}), "progressDeadlineSeconds (600 by default) must be greater"),
        (json!({"progressDeadlineSeconds": 0}), "should be greater than or equal to 1"),
        (json!({"revisionHistoryLimit": -1}), "should be greater than or equal to 0"),
        (json!({"paused": "yes"}), "spec.paused in body must be of type boolean"),
        (json!({"service": {"type": "ExternalName"}}), "spec.service.type: Unsupported value"),
        (json!({"service": {"ports": []}}), "spec.service.ports in body should have at least 1 items"),
        (json!({"service": {"ports": [{"port": 1}, {"port": 2}]}}), "each of several ports needs a name"),
        (json!({"service": {"ports": [{"port": 0}]}}), "should be greater than or equal to 1"),
        (
            json!({"service": {"type": "ClusterIP", "externalTrafficPolicy": "Local"}}),
            "externalTrafficPolicy is of no use with type ClusterIP",
        ),
        (json!({"service": {"loadBalancerClass": "a"}}), "need type: LoadBalancer"),
        (
            json!({"service": {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 1}}}}),
            "sessionAffinityConfig needs sessionAffinity: ClientIP",
        ),
        (
            json!({"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}),
            "give either minAvailable or maxUnavailable, not both",
        ),
        (json!({"port": null, "service": {}}), "service needs something to offer: give port, or service.ports"),
        (json!({"autoscaling": {}}), "spec.autoscaling.maxReplicas: Required value"),
        (
            json!({"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}),
            "minReplicas must not be greater than maxReplicas",
        ),
    ]
}

/// The same of what brings a change of the pods about.
fn bad_rollouts() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"migrations": [{"args": ["a"]}]}), "spec.migrations[0].name: Required value"),
        (json!({"migrations": [{"name": "Schema", "args": ["a"]}]}), "name must consist of lower-case letters, digits"),
        (
            json!({"migrations": [{"name": "a", "args": ["a"]}, {"name": "a", "args": ["b"]}]}),
            "spec.migrations[1]: Duplicate value",
        ),
        (json!({"migrations": [{"name": "a"}]}), "a migration needs command, args or an image of its own"),
        (json!({"migrations": [{"name": "a", "image": "a b"}]}), "must be an image reference without spaces"),
        (
            json!({"migrations": [{"name": "a", "command": "sh"}]}),
            "spec.migrations[0].command in body must be of type array",
        ),
        (
            json!({"migrations": [{"name": "a", "args": ["a"], "env": [{"name": "A"}, {"name": "A"}]}]}),
            "spec.migrations[0].env[1]: Duplicate value",
        ),
        (
            json!({"migrations": [{"name": "a", "args": ["a"], "backoffLimit": -1}]}),
            "spec.migrations[0].backoffLimit in body should be greater than or equal to 0",
        ),
        (
            json!({"migrations": [{"name": "a", "args": ["a"], "activeDeadlineSeconds": 0}]}),
            "spec.migrations[0].activeDeadlineSeconds in body should be greater than or equal to 1",
        ),
        (json!({"rollback": {}}), "rollback needs onFailure (None or Automatic), or toRevision"),
        (json!({"rollback": {"onFailure": "Always"}}), "spec.rollback.onFailure: Unsupported value"),
        (
            json!({"rollback": {"toRevision": 0}}),
            "spec.rollback.toRevision in body should be greater than or equal to 1",
        ),
    ]
}

/// The same of `http` and `configRollout`.
fn bad_http() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"configRollout": {"mode": "Restart"}}), "spec.configRollout.mode: Unsupported value"),
        (
            json!({"configRollout": {"minInterval": "soon"}}),
            "minInterval must be between 1s and 24h, such as 30s or 5m",
        ),
        (json!({"configRollout": {"minInterval": "48h"}}), "minInterval must be between 1s and 24h, such as 30s or 5m"),
        (
            json!({"http": {"hosts": ["https://a.example.com"]}}),
            "a host is a name in lower-case letters, without scheme",
        ),
        (json!({"http": {"hosts": ["a.example.com", "a.example.com"]}}), "spec.http.hosts[1]: Duplicate value"),
        (json!({"http": {"hosts": []}}), "spec.http.hosts in body should have at least 1 items"),
        (json!({"http": {"paths": [{"path": "api"}]}}), "a path begins with / and has neither spaces"),
        (json!({"http": {"paths": [{"path": "/a/../b"}]}}), "a path begins with / and has neither spaces"),
        (json!({"http": {"paths": [{"pathType": "Regex"}]}}), "spec.http.paths[0].pathType: Unsupported value"),
        (json!({"http": {"paths": [{}, {"path": "/", "pathType": "Prefix"}]}}), "spec.http.paths[1]: Duplicate value"),
        (json!({"http": {"parentRefs": [{"namespace": "a"}]}}), "spec.http.parentRefs[0].name: Required value"),
        (json!({"http": {"parentRefs": [{"name": "a", "port": 0}]}}), "should be greater than or equal to 1"),
        (
            json!({"http": {"parentRefs": [{"name": "a"}], "ingressClassName": "b"}}),
            "parentRefs make an HTTPRoute, and ingressClassName is of an Ingress",
        ),
        (
            json!({"http": {"parentRefs": [{"name": "a"}], "tls": {"secretName": "b"}}}),
            "leave tls.secretName out, and write tls: {} where the Gateway serves https",
        ),
        (
            json!({"http": {"parentRefs": [{"name": "a"}], "paths": [{"pathType": "ImplementationSpecific"}]}}),
            "pathType ImplementationSpecific is of an Ingress",
        ),
        (json!({"http": {"ingressClassName": ""}}), "spec.http.ingressClassName in body should be at least 1 chars"),
        (json!({"http": {"tls": {"secretName": ""}}}), "spec.http.tls.secretName in body should be at least 1 chars"),
        (json!({"http": {"annotations": {"a": 1}}}), "spec.http.annotations.a in body must be of type string"),
        (json!({"port": null, "http": {}}), "http needs a TCP port of a Service to lead to: give port, or one in"),
        (
            json!({"http": {}, "service": {"ports": [{"port": 53, "protocol": "UDP"}]}}),
            "http needs a TCP port of a Service to lead to",
        ),
    ]
}

#[test]
fn bad_input_in_any_field_is_refused_with_a_sentence() {
    let Some(world) = World::shared() else { return };
    let space = world.space("bad-input");
    let mut amiss = Vec::new();
    for (spec, sentence) in bad_input().into_iter().chain(bad_rollouts()).chain(bad_http()) {
        let mut whole = json!({"image": "nginx", "port": 80});
        for (field, value) in spec.as_object().expect("a spec") {
            whole[field] = value.clone();
        }
        // What is left out says so by null.
        whole.as_object_mut().expect("a spec").retain(|_, value| !value.is_null());
        let application = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
            "metadata": {"name": "bad"}, "spec": whole});
        let (code, said) = world.api.ask("POST", &path("applications", &space.name), &application);
        let message = said["message"].as_str().unwrap_or_default();
        if code != 422 || !message.contains(sentence) {
            amiss.push(format!("{spec}: {code} {message}"));
        }
    }
    assert!(amiss.is_empty(), "{}", amiss.join("\n"));
    // A field that nobody knows is pruned, and kubectl refuses it before that.
    if !testbed::has_kubectl() {
        return;
    }
    let unknown = "apiVersion: minetto.dev/v1alpha1\nkind: Application\nmetadata: {name: bad}\n\
        spec: {image: nginx, replica: 2}\n";
    let file = world.cluster.folder().join("unknown.yaml");
    fs::write(&file, unknown).expect("a file in the cluster's folder");
    let said = space.kubectl_refused(&["apply", "-f", file.to_str().expect("a path in UTF-8")]);
    assert!(said.contains("unknown field \"spec.replica\""), "{said}");
}
