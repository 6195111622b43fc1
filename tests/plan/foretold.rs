//! What a plan foretells is what then happens.

use serde_json::{Value, json};

use crate::command::{Plan, file};
use crate::support::{Space, uid, wait_for};
use crate::{manifest, operated, world};

#[test]
fn what_is_foretold_is_what_happens() {
    let Some((space, _operator)) = operated("foretold") else { return };
    let web = |image: &str, more: Value| {
        let mut spec = json!({"image": image, "port": 80, "replicas": 4});
        for (field, value) in more.as_object().expect("fields") {
            spec[field] = value.clone();
        }
        spec
    };
    let env = json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
    let steps = [
        (web("nginx:1", json!({})), "3 created; 4 pods start"),
        (web("nginx:2", json!({})), "2 changed; 4 pods restart"),
        (web("nginx:2", json!({"replicas": 6})), "2 changed; 2 pods start"),
        (web("nginx:2", json!({"replicas": 4, "minReadySeconds": 3})), "2 changed; 2 pods stop"),
        (
            web("nginx:2", json!({"env": env, "podDisruptionBudget": {}, "resources": {"limits": {"cpu": "0.5"}}})),
            "1 created, 2 changed; 4 pods restart",
        ),
        (
            web("nginx:2", json!({"env": [env[1]], "service": {"type": "ClusterIP"}})),
            "3 changed, 1 deleted; 4 pods restart",
        ),
        (
            web("nginx:3", json!({"strategy": {"type": "Recreate"}, "service": {"type": "ClusterIP"}})),
            "2 changed; 4 pods restart; 1 application stands still for a time",
        ),
        (web("nginx:4", json!({"paused": true, "port": 8080})), "3 changed; no pod restarts"),
        (json!({"image": "nginx:4"}), "2 changed, 1 deleted; 1 pod restarts, 3 pods stop"),
        (
            json!({"image": "nginx:5", "migrations": [{"name": "schema", "args": ["a"]}, {"name": "seed", "args": ["b"]}]}),
            "2 created, 2 changed; 1 pod restarts; 2 migrations run first",
        ),
        // The Jobs would be the same to the letter, and have succeeded.
        (
            json!({"image": "nginx:5", "http": {"hosts": ["web.example.com"]}, "port": 80,
                "migrations": [{"name": "schema", "args": ["a"]}, {"name": "seed", "args": ["b"]}]}),
            "2 created, 2 changed; 1 pod restarts",
        ),
    ];
    for (index, (spec, summary)) in steps.iter().enumerate() {
        let manifest = manifest("web", spec);
        let text = Plan::of(space.world, &space.name, "foretold", &[&manifest]);
        text.shows(2, &[&format!("Plan: {summary}")]);
        let path = file("foretold-0.yaml", &manifest);
        let plan =
            Plan::with(space.world.cluster.kubeconfig(), &["-n", &space.name, "-o", "json"], "foretold", &[&manifest]);
        let plan = plan.json();

        space.kubectl(&["apply", "-f", path.to_str().expect("UTF-8")]);
        space.wait_for_status("web", "to be looked at", |_| true);
        let objects = plan["applications"][0]["objects"].as_array().expect("objects").clone();
        for object in objects {
            let (kind, name) = (object["kind"].as_str().expect("a kind"), object["name"].as_str().expect("a name"));
            let what = format!("step {index}: {kind} {name} to be as foretold");
            wait_for(&what, || {
                play_jobs(&space);
                match (space.get(resource(kind), name), &object["action"]) {
                    (None, action) => (action == "delete").then_some(()),
                    (Some(live), action) if action == "create" => has(&live, &object["after"]).then_some(()),
                    // The node port of a Service that becomes one with node ports is yet to be handed out.
                    (Some(live), _) if kind == "Service" => has(&shown(live), &object["after"]).then_some(()),
                    (Some(live), _) => (shown(live) == object["after"]).then_some(()),
                }
            });
        }
        Plan::of(space.world, &space.name, "foretold", &[&manifest]).shows(0, &["Plan: nothing changes\n"]);
    }
}

#[test]
fn what_keeps_the_wished_pods_back_is_foretold() {
    let Some((space, _operator)) = operated("held") else { return };
    let image = || {
        let deployment = space.get("deployments", "web-deployment").unwrap_or_default();
        deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
    };
    // Nothing is rolled out here to its end.
    let apply = |spec: &Value, running: &str| {
        let path = file("held.yaml", &manifest("web", spec));
        space.kubectl(&["apply", "-f", path.to_str().expect("UTF-8")]);
        space.wait_for_status("web", "to be looked at", |_| true);
        wait_for("the Deployment to follow", || {
            play_jobs(&space);
            (image() == running).then_some(())
        });
    };
    let plan = |spec: &Value| Plan::of(space.world, &space.name, "held", &[&manifest("web", spec)]);
    let spec = |image: &str, more: &Value| {
        let mut spec = json!({"image": image, "replicas": 1});
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        spec
    };
    apply(&spec("nginx:1", &json!({})), "nginx:1");
    apply(&spec("nginx:2", &json!({})), "nginx:2");
    let pin = |number: i64| json!({"rollback": {"toRevision": number}});
    let back = plan(&spec("nginx:2", &pin(1)));
    let held = "held back: spec.rollback.toRevision is 1: its pods run, whatever else the spec says of them";
    back.shows(2, &["-      - image: nginx:2\n+      - image: nginx:1\n", held, "Plan: 2 changed; 1 pod restarts\n"]);
    plan(&spec("nginx:2", &pin(9))).shows(1, &["there is no such revision; there are: 1, 2"]);

    apply(&spec("nginx:2", &pin(1)), "nginx:1");
    plan(&spec("nginx:3", &pin(1)))
        .shows(2, &["= Deployment web-deployment", held, "Plan: 1 changed; no pod restarts\n"]);
    let forward = plan(&spec("nginx:3", &json!({})));
    forward.shows(2, &["-      - image: nginx:1\n+      - image: nginx:3\n", "Plan: 2 changed; 1 pod restarts\n"]);

    let migrated = json!({"migrations": [{"name": "schema", "args": ["a"]}]});
    let first = plan(&spec("nginx:3", &migrated));
    let words = "created: runs migration schema, once, before pods of another template";
    first.shows(2, &[words, "Plan: 1 created, 2 changed; 1 pod restarts; 1 migration runs first\n"]);
    apply(&spec("nginx:3", &migrated), "nginx:3");
    plan(&spec("nginx:3", &migrated)).shows(0, &["Plan: nothing changes\n"]);
    let mut across = migrated.clone();
    across["rollback"] = json!({"toRevision": 2});
    plan(&spec("nginx:3", &across)).shows(1, &["Migrations of revision 3 have run, or may have"]);
    let mut paused = migrated;
    paused["paused"] = json!(true);
    let waits = "held back: Migration schema waits until spec.paused is no longer set";
    plan(&spec("nginx:4", &paused)).shows(2, &[waits]);
}

#[test]
fn an_apply_on_the_servers_side_is_foretold_as_it_happens() {
    let Some((space, _operator)) = operated("serverside") else { return };
    let env = json!([{"name": "A", "value": "1"}]);
    let apply = |spec: &Value| {
        let path = file("serverside.yaml", &manifest("web", spec));
        let path = path.to_str().expect("UTF-8");
        space.kubectl(&["apply", "--server-side", "--force-conflicts", "--field-manager=ci", "-f", path]);
    };
    apply(&json!({"image": "nginx:1", "port": 80, "replicas": 1, "env": env, "podLabels": {"team": "a"}}));
    space.wait_until_converged("web");
    // What somebody else has set stays, though the manifest says nothing of it any more.
    space.kubectl(&["scale", "application", "web", "--replicas=2"]);
    space.edit("applications", "web", &json!({"spec": {"podLabels": {"tier": "front"}}}));
    space.wait_until_converged("web");
    let wish = json!({"image": "nginx:2", "port": 80, "podLabels": {"team": "b"}});
    let flags = ["-n", &*space.name, "--server-side", "--field-manager=ci", "-o", "json"];
    let kubeconfig = space.world.cluster.kubeconfig();
    let plan = Plan::with(kubeconfig, &flags, "serverside", &[&manifest("web", &wish)]).json();
    let object = |kind: &str| {
        let objects = plan["applications"][0]["objects"].as_array().expect("objects");
        objects.iter().find(|object| object["kind"] == kind).expect("it")["after"].clone()
    };
    let spec = &object("Application")["spec"];
    assert_eq!((&spec["replicas"], &spec["env"], &spec["image"]), (&json!(2), &Value::Null, &json!("nginx:2")));
    assert_eq!(spec["podLabels"], json!({"team": "b", "tier": "front"}));
    apply(&wish);
    space.wait_until_converged("web");
    assert_eq!(shown(space.get("applications", "web").expect("it")), object("Application"));
    wait_for("the Deployment to be as foretold", || {
        (shown(space.get("deployments", "web-deployment")?) == object("Deployment")).then_some(())
    });
    let flags = ["-n", &*space.name, "--field-manager=ci"];
    let alone = Plan::with(kubeconfig, &flags, "serverside", &[&manifest("web", &wish)]);
    alone.is_refused("--server-side");
}

#[test]
fn the_former_operators_children_are_adopted_and_foreign_ports_go() {
    let Some(world) = world() else { return };
    let space = world.space("former");
    let application = space.application("web", &json!({"image": "nginx:1", "port": 80, "replicas": 2}));
    let owner =
        json!([{"apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "name": "web", "uid": uid(&application)}]);
    let labels = json!({"app": "web", "label": "web"});
    space.create("deployments", &json!({"metadata": {"name": "web-deployment", "ownerReferences": owner},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"label": "web"}}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web-container", "image": "nginx:1", "ports": [{"containerPort": 80}]}]}}}}));
    space.create(
        "services",
        &json!({"metadata": {"name": "web-service", "ownerReferences": owner},
        "spec": {"type": "NodePort", "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 9999}, {"name": "old", "port": 80}]}}),
    );
    let plan = Plan::of(world, "former", "former", &[&manifest("web", &json!({"image": "nginx:1", "port": 80}))]);
    plan.shows(
        2,
        &[
            "= Application web            unchanged",
            "~ Deployment web-deployment  adopted from the former operator: replaces 2 pods",
            "~ Service web-service        adopted from the former operator: no longer offers 9999/TCP",
        ],
    );
    let operator = space.operator();
    space.wait_until_converged("web");
    drop(operator);
}

#[test]
fn what_others_have_set_and_the_server_will_not_have_beside_a_change_is_foretold_to_go() {
    let Some((space, operator)) = operated("barred") else { return };
    let web =
        |value: &str| json!({"image": "nginx:1", "port": 80, "replicas": 1, "env": [{"name": "A", "value": value}]});
    space.application("web", &web("1"));
    space.wait_until_converged("web");
    drop(operator);
    let sourced = json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k"}}}]);
    let container = json!({"name": "web-container", "image": "nginx:1", "env": sourced});
    space.edit("deployments", "web-deployment", &json!({"spec": {"template": {"spec": {"containers": [container]}}}}));
    let plan = Plan::with(
        space.world.cluster.kubeconfig(),
        &["-n", &space.name, "-o", "json"],
        "barred",
        &[&manifest("web", &web("2"))],
    );
    let objects = plan.json()["applications"][0]["objects"].as_array().expect("objects").clone();
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").expect("the Deployment");
    let env = |deployment: &Value| deployment["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    let wished = json!([{"name": "A", "value": "2"}]);
    assert_eq!(env(&deployment["after"]), wished, "{deployment:#}");
    space.edit("applications", "web", &json!({"spec": web("2")}));
    let _operator = space.operator();
    wait_for("what was foretold", || {
        let deployment = space.get("deployments", "web-deployment")?;
        (env(&deployment) == wished).then_some(())
    });
}

/// Path of a child, from the kind that the plan names.
fn resource(kind: &str) -> &'static str {
    match kind {
        "Application" => "applications",
        "Deployment" => "deployments",
        "Service" => "services",
        "PodDisruptionBudget" => "poddisruptionbudgets",
        "HorizontalPodAutoscaler" => "horizontalpodautoscalers",
        "Ingress" => "ingresses",
        "Job" => "jobs",
        other => panic!("{other} is a new kind"),
    }
}

/// Lets every Job of a namespace succeed that runs.
fn play_jobs(space: &Space<'_>) {
    const NOW: &str = "2026-01-01T00:00:00Z";
    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "CompletionsReached", "lastProbeTime": NOW, "lastTransitionTime": NOW});
    for job in space.list("jobs").iter().filter(|job| job["status"]["conditions"].is_null()) {
        let name = job["metadata"]["name"].as_str().expect("a name");
        let done = json!({"startTime": NOW, "completionTime": NOW, "succeeded": 1,
            "conditions": [condition("SuccessCriteriaMet"), condition("Complete")]});
        let patch = json!({"status": done}).to_string();
        space.kubectl(&["patch", "job", name, "--subresource=status", "--type=merge", "-p", &patch]);
    }
}

/// An object as a plan shows it.
fn shown(mut object: Value) -> Value {
    let marks = ["kubectl.kubernetes.io/last-applied-configuration", "minetto.dev/applied-hash"];
    object.as_object_mut().expect("an object").remove("status");
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for field in ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| !marks.contains(&name.as_str()));
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    object
}

/// Whether `live` has all that `wish` has.
fn has(live: &Value, wish: &Value) -> bool {
    match (live, wish) {
        (Value::Object(live), Value::Object(wish)) => {
            wish.iter().all(|(field, wish)| live.get(field).is_some_and(|live| has(live, wish)))
        }
        (Value::Array(live), Value::Array(wish)) => {
            live.len() == wish.len() && live.iter().zip(wish).all(|(live, wish)| has(live, wish))
        }
        (live, wish) => live == wish,
    }
}
