//! `application-operator plan` as its users run it: what it foretells is what then happens, it writes nothing, and it says in
//! one line what is wrong with what it is given.

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use testbed::{Feature, Options};

use crate::support::{Operator, Space, World, uid, wait_for};

/// A cluster without controllers, in which no pod ever runs: nothing here is about pods that do.
fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    let world = WORLD.get_or_init(|| {
        let users = ["limited", "other"].map(str::to_owned).into();
        let world = World::bare(Options { users, ..Options::api_only() })?;
        // Before it knows what an Application is.
        let plan = Plan::of(&world, "default", "unknown", &[APPLICATION]);
        plan.is_refused("the cluster does not know Applications: apply crds/ first, or use --offline");
        world.install();
        Some(world)
    });
    world.as_ref()
}

/// A namespace, which an operator of its own looks after.
fn operated(name: &str) -> Option<(Space<'static>, Operator)> {
    let space = world()?.space(name).with_kubectl()?;
    let operator = space.operator();
    Some((space, operator))
}

const APPLICATION: &str = "apiVersion: minetto.dev/v1alpha1\nkind: Application\nmetadata: {name: web}\n\
    spec: {image: 'nginx:1', port: 80, replicas: 3}\n";

/// The manifest of an Application.
fn manifest(name: &str, spec: &Value) -> String {
    json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "metadata": {"name": name}, "spec": spec})
        .to_string()
}

/// What `plan` said, and how it ended.
struct Plan {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Plan {
    fn run(args: &[&str], input: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_application-operator"));
        command.arg("plan").args(args).env_clear();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        // It fails only if nobody reads it, as with a wrong flag.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: status.code(), out: text(stdout), said: text(stderr) }
    }

    /// What is planned of files with these contents, in a namespace.
    fn of(world: &World, namespace: &str, name: &str, contents: &[&str]) -> Self {
        Self::with(world.cluster.kubeconfig(), &["-n", namespace], name, contents)
    }

    fn with(kubeconfig: &Path, args: &[&str], name: &str, contents: &[&str]) -> Self {
        let files: Vec<String> = contents
            .iter()
            .enumerate()
            .map(|(index, content)| file(&format!("{name}-{index}.yaml"), content).display().to_string())
            .collect();
        let mut all = vec!["--kubeconfig", kubeconfig.to_str().expect("UTF-8")];
        all.extend(files.iter().flat_map(|file| ["-f", file]));
        all.extend(args);
        Self::run(&all, "")
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {} {}", self.out, self.said))
    }

    /// It has ended with 1, and one line that contains `expected`.
    #[track_caller]
    fn is_refused(&self, expected: &str) {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.said);
        assert_eq!(self.said.lines().count(), 1, "{}", self.said);
        assert!(self.said.starts_with("application-operator: ") && self.said.contains(expected), "{}", self.said);
    }

    /// It has ended with `code`, and printed each of `expected`.
    #[track_caller]
    fn shows(&self, code: i32, expected: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.said);
        for expected in expected {
            assert!(self.out.contains(expected), "{expected} in:\n{}", self.out);
        }
    }
}

fn file(name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("plan-{}-{name}", std::process::id()));
    fs::write(&path, content).expect("a file");
    path
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
fn nothing_is_written_and_no_more_is_needed_than_to_read_and_to_try() {
    if !testbed::has(Feature::Authorisation) {
        return;
    }
    let Some((space, _operator)) = operated("readonly") else { return };
    let kubeconfig = space.world.cluster.kubeconfig_for("limited");
    let children = "deployments.apps,services,poddisruptionbudgets.policy,horizontalpodautoscalers.autoscaling";
    let resources = format!("--resource=applications.minetto.dev,{children}");
    space.kubectl(&["create", "role", "planner", "--verb=get,create,patch", &resources]);
    let owners = ["create", "role", "owner", "--verb=update", "--resource=applications.minetto.dev/finalizers"];
    space.kubectl(&owners);
    space.kubectl(&["create", "rolebinding", "owner", "--role=owner", "--user=limited"]);
    space.kubectl(&["create", "rolebinding", "planner", "--role=planner", "--user=limited"]);
    wait_for("the rights to count", || {
        let plan = Plan::with(&kubeconfig, &["-n", "readonly"], "readonly", &[APPLICATION]);
        (plan.code == Some(2)).then_some(())
    });
    let applied = manifest("web", &json!({"image": "nginx:1", "port": 80, "podDisruptionBudget": {}}));
    space.kubectl(&["apply", "-f", file("readonly.yaml", &applied).to_str().expect("UTF-8")]);
    space.wait_until_converged("web");
    // The last that the operator writes, where no other controller acts.
    space.wait_for_status("web", "to be looked at", |_| true);
    let before: Vec<_> = ["applications", "deployments", "services"].map(|kind| space.list(kind)).into();
    let plan = Plan::with(&kubeconfig, &["-n", "readonly"], "readonly", &[APPLICATION]);
    plan.shows(2, &["you may not read the namespace", "+  replicas: 3\n", "- PodDisruptionBudget web-budget"]);
    let after: Vec<_> = ["applications", "deployments", "services"].map(|kind| space.list(kind)).into();
    assert_eq!(before, after);
    let asked: Vec<_> = space.world.requests().into_iter().filter(|request| request.user == "limited").collect();
    assert!(asked.iter().any(|request| request.uri.contains("dryRun=All")), "{asked:#?}");
    let written: Vec<_> =
        asked.iter().filter(|request| !request.is_read() && !request.uri.contains("dryRun=All")).collect();
    assert!(written.is_empty(), "{written:#?}");
}

#[test]
fn without_the_right_to_try_a_child_it_is_foretold_all_the_same() {
    if !testbed::has(Feature::Authorisation) {
        return;
    }
    let Some((space, _operator)) = operated("rights") else { return };
    let spec = json!({"image": "nginx:1", "port": 80, "replicas": 2, "env": [{"name": "A", "value": "1"}]});
    space.kubectl(&["apply", "-f", file("applied.yaml", &manifest("web", &spec)).to_str().expect("UTF-8")]);
    space.wait_until_converged("web");
    let kubeconfig = space.world.cluster.kubeconfig_for("other");
    let plan = || {
        Plan::with(
            &kubeconfig,
            &["-n", "rights"],
            "rights",
            &[&manifest("web", &json!({"image": "nginx:1", "port": 80, "replicas": 2}))],
        )
    };
    plan().is_refused("can't read Application web: the API server answered 403 Forbidden");

    let rules = ["create", "role", "app", "--verb=get,create,patch", "--resource=applications.minetto.dev"];
    space.kubectl(&rules);
    space.kubectl(&["create", "rolebinding", "app", "--role=app", "--user=other"]);
    wait_for("the rights to count", || (!plan().said.contains("Application web: the API")).then_some(()));
    plan().is_refused("can't read Deployment web-deployment");

    let children = "deployments.apps,services,poddisruptionbudgets.policy,horizontalpodautoscalers.autoscaling";
    space.kubectl(&["create", "role", "children", "--verb=get", &format!("--resource={children}")]);
    space.kubectl(&["create", "rolebinding", "children", "--role=children", "--user=other"]);
    let plan = wait_for("the rights to count", || Some(plan()).filter(|plan| plan.code == Some(2)));
    plan.shows(
        2,
        &[
            "you may not write deployments.apps: what becomes of Deployment web-deployment is told without the server",
            "-      - env:\n-        - name: A\n",
            "replaces 2 pods",
        ],
    );
}

#[test]
fn what_stands_in_the_way_is_told_and_ends_with_1() {
    let Some((space, _operator)) = operated("way") else { return };
    space.create("services", &json!({"metadata": {"name": "web-service"}, "spec": {"ports": [{"port": 1}]}}));
    let plan = Plan::of(space.world, "way", "way", &[APPLICATION]);
    plan.is_refused("Application way/web: Service web-service is not owned by this Application");
    plan.shows(1, &["! Service web-service        contested", "+ Deployment web-deployment", "1 contested"]);

    let refused = Plan::of(
        space.world,
        "way",
        "refused",
        &[&manifest(
            "a",
            // Which the definition's rules hold the application's own container to, and no other.
            &json!({"image": "nginx", "initContainers": [{"name": "first", "image": "nginx", "resources": {
        "requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}]}),
        )],
    );
    refused.is_refused("Deployment a-deployment would be refused: Deployment.apps \"a-deployment\" is invalid");
    let disallowed = manifest("a", &json!({"image": "nginx", "volumes": [{"name": "v", "hostPath": {"path": "/"}}]}));
    Plan::of(space.world, "way", "disallowed", &[&disallowed]).is_refused("--allow-volumes=hostPath");
    let allowed = ["-n", "way", "--allow-volumes=all"];
    Plan::with(space.world.cluster.kubeconfig(), &allowed, "allowed", &[&disallowed]).shows(2, &["hostPath"]);
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

#[test]
fn input_of_no_use_is_told_in_one_line() {
    let Some((space, _operator)) = operated("input") else { return };
    let of = |content: &str| Plan::of(space.world, "input", "input", &[content]);
    of("").is_refused("no Application in ");
    of("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").is_refused(", only a ConfigMap");
    of(&format!("{APPLICATION}---\n{APPLICATION}")).is_refused("Application input/web stands in ");
    of(&format!("{APPLICATION}---\nkind: [\n")).is_refused("input-0.yaml:6: no YAML: ");
    of(&APPLICATION.replace("port", "prot")).is_refused("input-0.yaml:1: Application input/web: ");
    of(&APPLICATION.replace("port", "prot")).is_refused(r#"unknown field "spec.prot""#);
    of(&APPLICATION.replace("80", "0"))
        .is_refused("spec.port: Invalid value: 0: spec.port in body should be greater than or equal to 1");
    of(&APPLICATION.replace("name: web", "name: web, namespace: other"))
        .is_refused("names another namespace than input");
    Plan::of(space.world, "nowhere", "nowhere", &[APPLICATION]).is_refused("there is no namespace nowhere");
    let kubeconfig = space.world.cluster.kubeconfig().to_str().expect("UTF-8");
    Plan::run(&["--kubeconfig", kubeconfig, "-f", "/nonexistent/a.yaml"], "")
        .is_refused("cannot read /nonexistent/a.yaml");
    Plan::run(&["--kubeconfig", "/nonexistent/config", "-f", "-"], APPLICATION)
        .is_refused("--offline plans without one");
    let dead = fs::read_to_string(space.world.cluster.kubeconfig()).expect("a kubeconfig");
    let server = dead.lines().find(|line| line.trim().starts_with("server:")).expect("a server");
    let dead = file("dead", &dead.replace(server, "    server: https://127.0.0.1:1"));
    Plan::with(&dead, &["-n", "input"], "dead", &[APPLICATION])
        .is_refused("can't read Namespace input: the request did not complete");
    Plan::run(&[], "").is_refused("required arguments were not provided");
}

#[test]
fn a_plan_without_a_cluster_shows_all_as_created_and_checks_what_it_can() {
    let offline = |content: &str| Plan::run(&["--offline", "-f", "-"], content);
    let labels = "{name: shop, labels: {pod-security.kubernetes.io/enforce: restricted}}";
    let several = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {labels}\n---\n{}---\n{APPLICATION}",
        APPLICATION.replace("name: web", "name: web, namespace: shop")
    );
    let plan = offline(&several);
    plan.shows(
        2,
        &[
            "+++ shop/Deployment/web-deployment (planned)",
            "+++ default/Deployment/web-deployment (planned)",
            "Application shop/web (standard input:5)",
            "Skipped Namespace shop (standard input:1)",
            "Plan: 6 created; 6 pods start\n",
        ],
    );
    assert_eq!(
        plan.out.matches("+        runAsNonRoot: true").count(),
        1,
        "where the namespace asks for it: {}",
        plan.out
    );
    offline(&APPLICATION.replace("port", "prot"))
        .is_refused("standard input:1: Application default/web: spec.prot: unknown field");
    assert!(!plan.out.contains('\u{1b}'), "no colours where nobody looks");
    let forced = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_application-operator"));
        let file = file("colours.yaml", APPLICATION);
        command.args(["plan", "--offline", "-f"]).arg(file).env_clear().envs(variables.iter().copied());
        String::from_utf8(command.output().expect("it runs").stdout).expect("UTF-8")
    };
    assert!(forced(&[("CLICOLOR_FORCE", "1")]).contains("\u{1b}[32m+kind: Deployment"));
    assert!(!forced(&[("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[test]
fn what_the_guide_shows_of_a_plan_is_what_is_printed() {
    let Some((space, _operator)) = operated("shop") else { return };
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/plan.md");
    let page = fs::read_to_string(page).expect("the guide");
    let block = |start: &str, rest: &str| {
        rest.split_once(start).map(|(_, rest)| rest.split("```").next().expect("an end").to_owned())
    };
    let manifest = block("```yaml\n", &page).expect("an Application");
    let mut runs = 0;
    for (index, part) in page.split("```console\n$ application-operator plan -f kiosk.yaml").enumerate().skip(1) {
        let (args, rest) = part.split_once('\n').expect("lines");
        let expected = rest.split("```").next().expect("an end");
        let manifest = if index == 1 { manifest.clone() } else { manifest.replace("nginx:1.29", "nginx:1.30") };
        let path = file("kiosk.yaml", &manifest);
        let kubeconfig = space.world.cluster.kubeconfig().to_str().expect("UTF-8");
        let mut all = vec!["--kubeconfig", kubeconfig, "-n", "shop", "-f", path.to_str().expect("UTF-8")];
        all.extend(args.split_whitespace());
        let plan = Plan::run(&all, "");
        let printed = plan.out.replace(path.to_str().expect("UTF-8"), "kiosk.yaml");
        // Of what is long, the page shows the parts that it talks of.
        let parts: Vec<&str> = expected.split("…\n").collect();
        for part in parts {
            assert!(printed.contains(part), "{part}\nis not in\n{printed}");
        }
        space.kubectl(&[
            "apply",
            "-f",
            file("kiosk.yaml", &block("```yaml\n", &page).expect("one")).to_str().expect("UTF-8"),
        ]);
        space.wait_until_converged("kiosk");
        runs += 1;
    }
    assert!(runs >= 2, "the guide shows what it prints");
}
