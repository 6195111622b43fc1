//! `kubectl application …`, run by the real kubectl against a control plane, as users do.

// Not every file of tests is to be linked with a server's half of TLS.
#[path = "support/kubelet.rs"]
mod kubelet;
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::{Value, json};
use simulator::port::Port;
use simulator::service::Simulator;
use testbed::Feature;

use crate::kubelet::Kubelet;
use crate::support::{PATIENCE, Space, reason, wait_until_good};

/// What came of a command: its exit code, and what it wrote on each output.
struct Told {
    code: i32,
    out: String,
    err: String,
}

/// Runs `kubectl application`, which kubectl looks for on its `PATH`.
fn run(kubectl: &Path, kubeconfig: &Path, args: &[&str]) -> Told {
    let plugins = Path::new(env!("CARGO_BIN_EXE_kubectl-application")).parent().expect("a folder");
    let output: Output = Command::new(kubectl)
        .arg("application")
        .args(args)
        .env_clear()
        .env("PATH", plugins)
        .env("KUBECONFIG", kubeconfig)
        .env("KUBERC", "off")
        .output()
        .expect("kubectl can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Told { code: output.status.code().expect("an exit code"), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs it in the namespace of a test.
fn told(space: &Space<'_>, args: &[&str]) -> Told {
    let cluster = &space.world.cluster;
    run(cluster.kubectl_program(), cluster.kubeconfig(), &[args, &["-n", &space.name]].concat())
}

/// What a command prints that succeeds.
#[track_caller]
fn done(space: &Space<'_>, args: &[&str]) -> String {
    let Told { code, out, err } = told(space, args);
    assert_eq!(code, 0, "{args:?}: {out}{err}");
    out
}

/// The line in which a command says why it fails.
#[track_caller]
fn refused(space: &Space<'_>, args: &[&str]) -> String {
    let Told { code, out, err } = told(space, args);
    assert_eq!((code, err.lines().count()), (1, 1), "{args:?}: {out}{err}");
    err.trim_end().to_owned()
}

fn image(space: &Space<'_>, application: &str) -> Value {
    let deployment = space.get("deployments", &format!("{application}-deployment")).unwrap_or_default();
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

fn patch(space: &Space<'_>, application: &str, spec: &Value) {
    let patch = json!({"spec": spec}).to_string();
    space.kubectl(&["patch", "application", application, "--type=merge", "-p", &patch]);
}

const WATCH: [&str; 2] = ["--watch", "--timeout=60s"];

#[test]
fn a_rollout_is_followed_to_its_end_and_shown_as_a_tree() {
    let Some(space) = Space::operated("seen").and_then(Space::with_kubectl) else { return };
    let spec = json!({"image": "nginx:1", "replicas": 3, "port": 80, "podDisruptionBudget": {}, "autoscaling": {"maxReplicas": 5},
        "http": {"hosts": ["web.example.com"]}, "migrations": [{"name": "schema", "args": ["migrate"]}]});
    space.application("web", &spec);
    let followed = done(&space, &[&["status", "web"], &WATCH[..]].concat());
    let last = followed.lines().last().unwrap_or_default();
    assert_eq!(last, "application web is rolled out, revision 1: 3 of 3 pods are ready", "{followed}");

    let tree = done(&space, &["status", "application/web"]);
    let lines: Vec<&str> = tree.lines().collect();
    assert_eq!(lines[..3], ["seen/web  Available", "3 of 3 pods are ready", "revision 1, http://web.example.com"]);
    let find = |start: &str| {
        let found = lines.iter().find(|line| line.trim_start().starts_with(start));
        found.unwrap_or_else(|| panic!("{start} in {tree}")).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(find("Application web")[2..4], ["Available", "3/3"]);
    assert_eq!(find("Job web-mig-schema-")[2], "Complete");
    assert_eq!(find("Deployment web-deployment")[2..4], ["Available", "3/3"]);
    let set = find("ReplicaSet web-deployment-");
    assert_eq!(
        (&set[2..4], &set[5..]),
        (&["Current", "3/3"].map(String::from)[..], &["revision", "1,", "nginx:1"].map(String::from)[..])
    );
    assert_eq!(lines.iter().filter(|line| line.contains("Pod web-deployment-") && line.contains("Running")).count(), 3);
    for start in ["Service web-service", "PodDisruptionBudget web-budget", "HorizontalPodAutoscaler web-autoscaler"] {
        find(start);
    }
    assert!(find("Ingress web-ingress").contains(&"web.example.com".to_owned()));
    assert!(!tree.contains(['\u{1b}', '├', '█']), "no terminal: {tree}");

    let seen: Value = serde_json::from_str(&done(&space, &["status", "web", "-o", "json"])).expect("JSON");
    assert_eq!(
        (&seen["summary"]["reason"], &seen["tree"]["ready"]),
        (&json!("Available"), &json!({"done": 3, "of": 3}))
    );
    let steps = done(&space, &[&["status", "web", "-o", "json"], &WATCH[..]].concat());
    assert!(steps.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{steps}");

    let listed = done(&space, &["list"]);
    let row: Vec<&str> = listed.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!((&row[..5], row[6]), (&["web", "True", "Available", "3/3", "1"][..], "nginx:1"), "{listed}");
    let all = run(
        space.world.cluster.kubectl_program(),
        space.world.cluster.kubeconfig(),
        &["list", "--all-namespaces", "-o", "json"],
    );
    let all: Vec<Value> = serde_json::from_str(&all.out).expect("JSON");
    assert!(all.iter().any(|row| row["namespace"] == "seen" && row["name"] == "web"), "{all:?}");
    let none = told(&space, &["list", "-l", "nobody=has"]);
    assert_eq!((none.code, &*none.out, &*none.err), (0, "", "no Applications found in namespace seen\n"));
}

#[test]
fn an_earlier_revision_runs_until_that_is_taken_back() {
    let Some(space) = Space::operated("back").and_then(Space::with_kubectl) else { return };
    space.application("web", &json!({"image": "nginx:1", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    let refusal = refused(&space, &["rollback", "web"]);
    assert_eq!(refusal, "error: there is no revision before 1, which runs; there are: 1");
    patch(&space, "web", &json!({"image": "nginx:2", "env": [{"name": "LEVEL", "value": "debug"}]}));
    space.wait_for_status("web", "to run the second", |seen| {
        reason(seen, "Ready").0 == "True" && seen["status"]["lastGoodRevision"] == 2
    });
    let history = done(&space, &["history", "web"]);
    let rows: Vec<Vec<&str>> = history.lines().map(|line| line.split("   ").map(str::trim).collect()).collect();
    assert_eq!(rows.len(), 3, "{history}");
    assert!(
        history.lines().nth(2).is_some_and(|row| row.contains("current,last good   nginx:2   +env LEVEL, image")),
        "{history}"
    );
    let template = done(&space, &["history", "web", "--revision=1"]);
    assert!(template.contains("image: nginx:1"), "{template}");
    assert_eq!(refused(&space, &["history", "web", "--revision=9"]), "error: there is no revision 9; there are: 1, 2");

    let generation =
        |space: &Space<'_>| space.get("applications", "web").expect("it")["metadata"]["generation"].clone();
    let before = generation(&space);
    let tried = done(&space, &["rollback", "web", "--dry-run"]);
    assert_eq!(tried, "application.minetto.dev/web rolled back to revision 1 (nginx:1) (server dry run)\n");
    assert_eq!(generation(&space), before);
    let wrong = refused(&space, &["rollback", "web", "--to-revision=7"]);
    assert_eq!(wrong, "error: asked for revision 7, and there is no such revision; there are: 1, 2");
    assert_eq!(generation(&space), before);

    let back = told(&space, &["rollback", "web"]);
    assert_eq!((back.code, &*back.out), (0, "application.minetto.dev/web rolled back to revision 1 (nginx:1)\n"));
    assert!(back.err.contains("until: kubectl application rollback web --to-revision=0 -n back"), "{}", back.err);
    done(&space, &[&["status", "web"], &WATCH[..]].concat());
    assert_eq!(image(&space, "web"), "nginx:1");
    let history = done(&space, &["history", "web"]);
    assert!(history.lines().nth(1).is_some_and(|row| row.contains("current,last good,pinned")), "{history}");
    let status = done(&space, &["status", "web"]);
    assert!(status.contains("! pinned to revision 1: "), "{status}");
    let again = done(&space, &["rollback", "web", "--to-revision=1"]);
    assert_eq!(again, "application.minetto.dev/web is rolled back to revision 1 already\n");

    let ended = done(&space, &["rollback", "web", "--to-revision=0"]);
    assert!(ended.contains("runs what its spec says again (it was rolled back to revision 1)"), "{ended}");
    done(&space, &[&["status", "web"], &WATCH[..]].concat());
    assert_eq!(image(&space, "web"), "nginx:2");
    let seen = space.get("applications", "web").expect("it");
    assert_eq!(seen["spec"]["rollback"], Value::Null);
}

#[test]
fn a_pause_holds_changes_back_and_its_owner_is_named() {
    let Some(space) = Space::operated("held").and_then(Space::with_kubectl) else { return };
    space.application("web", &json!({"image": "nginx:1", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    let paused = told(&space, &["pause", "web"]);
    assert_eq!((paused.code, &*paused.out), (0, "application.minetto.dev/web paused\n"));
    assert_eq!(paused.err, "changes of its pods wait until: kubectl application resume web -n held\n");
    assert_eq!(done(&space, &["pause", "web"]), "application.minetto.dev/web is paused already\n");
    patch(&space, "web", &json!({"image": "nginx:2"}));
    wait_until_good("the Deployment to be paused with the new image", || {
        let deployment = space.get("deployments", "web-deployment").unwrap_or_default();
        let is_held = deployment["spec"]["paused"] == true && image(&space, "web") == "nginx:2";
        if is_held { Vec::new() } else { vec![deployment.to_string()] }
    });
    let status = done(&space, &["status", "web"]);
    assert!(status.contains("! paused: "), "{status}");
    assert_eq!(done(&space, &["resume", "web"]), "application.minetto.dev/web resumed\n");
    done(&space, &[&["status", "web"], &WATCH[..]].concat());
    let running = space.list("pods").iter().filter(|pod| pod["spec"]["containers"][0]["image"] == "nginx:2").count();
    assert_eq!(running, 1);
    assert_eq!(done(&space, &["resume", "web"]), "application.minetto.dev/web is not paused\n");

    // As a tool does that applies what is in Git.
    let spec = json!({"image": "nginx:2", "replicas": 1, "port": 80, "paused": true});
    let wish =
        json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "metadata": {"name": "web"}, "spec": spec});
    space.apply_as("flux", "applications", "web", &wish);
    let resumed = told(&space, &["resume", "web"]);
    assert_eq!((resumed.code, &*resumed.err), (0, "spec.paused was set by flux, which may set it again\n"));
}

#[test]
fn a_rollout_that_fails_ends_the_watch_and_so_does_time() {
    let Some(space) = Space::operated("failing").and_then(Space::with_kubectl) else { return };
    let nowhere = json!({"image": "nginx:1", "replicas": 1, "port": 80, "nodeSelector": {"example.com/none": "here"},
        "progressDeadlineSeconds": 600});
    space.application("web", &nowhere);
    let late = refused(&space, &["status", "web", "--watch", "--timeout=2s"]);
    assert!(late.starts_with("error: timed out after 2s waiting for the rollout of web: "), "{late}");
    patch(&space, "web", &json!({"progressDeadlineSeconds": 2}));
    let failed = told(&space, &[&["status", "web"], &WATCH[..]].concat());
    assert_eq!(failed.code, 1, "{}{}", failed.out, failed.err);
    assert!(failed.err.starts_with("error: application web: PodFailing: Pod web-deployment-"), "{}", failed.err);
    let status = done(&space, &["status", "web"]);
    assert!(status.contains("Deployment web-deployment") && status.contains("Unschedulable"), "{status}");
    let logs = refused(&space, &["logs", "web"]);
    assert!(logs.starts_with("error: no container has begun, so that there is no log: Pod web-deployment-"), "{logs}");
}

#[test]
fn the_log_is_that_of_the_run_which_failed() {
    if !testbed::has(Feature::Logs) {
        return;
    }
    let Some(space) = Space::operated("logs").and_then(Space::with_kubectl) else { return };
    let kubelet = Kubelet::start(space.world, "logged");
    let spec =
        json!({"image": "nginx:1", "replicas": 1, "port": 80, "nodeSelector": {"kubernetes.io/hostname": "logged"}});
    space.application("web", &spec);
    space.wait_until_ready("web");
    let quiet = refused(&space, &["logs", "web"]);
    assert_eq!(quiet, "error: no pod of web fails; of those that run: kubectl logs -n logs deployment/web-deployment");
    let pod = space.list("pods")[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    let ended = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
    let crash = json!({"containerStatuses": [{"name": "web-container", "ready": false, "restartCount": 4, "image": "nginx:1",
        "imageID": "", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}],
        "conditions": [{"type": "Ready", "status": "False"}]});
    let patch = json!({"status": crash}).to_string();
    space.kubectl(&["patch", "pod", &pod, "--subresource=status", "--type=merge", "-p", &patch]);
    space.wait_for_status("web", "to tell of it", |seen| seen["status"]["failure"]["exitCode"] == 3);

    let told = told(&space, &["logs", "web", "--tail=7"]);
    let title =
        format!("container web-container of pod {pod} (CrashLoopBackOff, exit code 3), its run before this one:\n");
    assert_eq!((told.code, &*told.out, told.err), (0, "one\ntwo\n", title));
    let asked = kubelet.asked();
    let start = format!("/containerLogs/logs/{pod}/web-container?");
    assert!(asked.len() == 1 && asked[0].starts_with(&start), "{asked:?}");
    assert!(asked[0].contains("previous=true") && asked[0].contains("tailLines=7"), "{asked:?}");
    done(&space, &["logs", "web", "--previous=false", "--follow"]);
    assert!(kubelet.asked()[1].contains("follow=true") && !kubelet.asked()[1].contains("previous=true"));
}

#[test]
fn what_cannot_be_done_is_told_in_one_line() {
    let Some(space) = Space::operated("refused").and_then(Space::with_kubectl) else { return };
    let absent = "error: application \"nobody\" not found in namespace refused";
    for args in [
        &["status", "nobody"][..],
        &["status", "nobody", "--watch"],
        &["history", "nobody"],
        &["rollback", "nobody"],
        &["pause", "nobody"],
        &["logs", "nobody"],
    ] {
        assert_eq!(refused(&space, args), absent);
    }
    if testbed::has(Feature::Authorisation) {
        let limited = refused(&space, &["status", "nobody", "--as", "limited"]);
        let is_told = limited.starts_with("error: forbidden: applications.minetto.dev ");
        assert!(is_told && limited.contains("\"limited\""), "{limited}");
        let limited = refused(&space, &["pause", "nobody", "--as", "limited"]);
        assert!(limited.starts_with("error: forbidden: "), "{limited}");
    }
    for (args, words) in [
        (&["status"][..], "<NAME>"),
        (&["status", "Web"], "a name has lower-case letters"),
        (&["status", "deployment/web"], "deployment is no Application"),
        (&["rollback", "web", "--to-revision=one"], "invalid value 'one'"),
        (&["list", "-o", "yaml"], "possible values: json"),
    ] {
        let told = told(&space, args);
        assert_eq!((told.code, told.err.lines().count()), (2, 1), "{args:?}: {}", told.err);
        assert!(told.err.contains(words) && told.out.is_empty(), "{}", told.err);
    }
    let help = done(&space, &["rollback", "-h"]);
    assert!(help.contains("Usage: kubectl application rollback [OPTIONS] <NAME>"), "{help}");
    let unknown = refused(&space, &["list", "--context", "nowhere"]);
    assert!(unknown.contains("nowhere"), "{unknown}");

    let kubectl = space.world.cluster.kubectl_program();
    let folder = space.world.cluster.folder();
    let admin = fs::read_to_string(space.world.cluster.kubeconfig()).expect("a kubeconfig");
    let nobody = folder.join("kubeconfig-nobody");
    fs::write(&nobody, admin.replace(&space.world.cluster.server(), "https://127.0.0.1:1")).expect("a file");
    let unreachable = run(kubectl, &nobody, &["list"]);
    assert_eq!((unreachable.code, unreachable.err.lines().count()), (1, 1), "{}", unreachable.err);
    assert!(unreachable.err.starts_with("error: can't read applications.minetto.dev: "), "{}", unreachable.err);
}

#[test]
fn a_cluster_without_the_operator_is_told_from_one_without_the_application() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let Some(space) = Space::new("bare").and_then(Space::with_kubectl) else { return };
    let simulator = Simulator::new(7, Arc::new(jiff::Timestamp::now));
    let folder = space.world.cluster.folder().join("without");
    fs::create_dir_all(&folder).expect("a folder");
    let port = runtime.block_on(Port::open(&simulator, &folder)).expect("a port");
    let kubectl = space.world.cluster.kubectl_program();
    for args in [&["list"][..], &["status", "web"], &["pause", "web"], &["rollback", "web"]] {
        let told = run(kubectl, port.kubeconfig(), args);
        let line = "error: the cluster does not know Applications: its administrator has to install application-operator first\n";
        assert_eq!((told.code, &*told.err), (1, line), "{args:?} within {PATIENCE:?}");
    }
}
