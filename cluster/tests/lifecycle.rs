//! Clusters start, survive kills of their parts, and leave nothing behind. On the real thing.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cluster::{Assets, Cluster, Component, Options, available, start_or_say};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn a_deployment_becomes_ready_and_survives_the_kill_of_api_server_and_etcd() {
    let Some(cluster) = start_or_say(Options::default()) else {
        return;
    };
    cluster.kubectl_ok(&["create", "deployment", "web", "--image=web", "--replicas=2"]);
    let wait = ["wait", "--for=condition=Available", "deployment/web", "--timeout=60s"];
    cluster.kubectl_ok(&wait);

    for component in [Component::ApiServer, Component::Etcd] {
        cluster.kill(component).unwrap();
        let get = ["get", "deployment", "web", "--request-timeout=2s"];
        assert!(!cluster.kubectl(get).unwrap().status.success(), "{component} is still there");
        cluster.restart(component).unwrap();
        assert_eq!(cluster.kubectl_ok(&["get", "pods", "-o", "name"]).lines().count(), 2);
    }

    // The controllers have found their way back as well.
    cluster.kubectl_ok(&["scale", "deployment", "web", "--replicas=3"]);
    cluster.kubectl_ok(&["rollout", "status", "deployment/web", "--timeout=60s"]);
}

#[test]
fn two_clusters_run_side_by_side_and_know_nothing_of_each_other() {
    let Some(blue) = start_or_say(Options::api_only()) else {
        return;
    };
    let green = Cluster::start(Options { audit: false, ..Options::api_only() }).unwrap();
    blue.apply("{apiVersion: v1, kind: Namespace, metadata: {name: blue}}");

    assert!(blue.kubectl_ok(&["get", "namespaces"]).contains("blue"));
    assert!(!green.kubectl_ok(&["get", "namespaces"]).contains("blue"));

    let log = fs::read_to_string(blue.audit_log()).unwrap();
    assert!(log.contains("/api/v1/namespaces/blue"), "requests are logged");
    assert_eq!(fs::read_to_string(green.audit_log()).unwrap(), "", "unless they are not to be");

    let folder = blue.folder().to_owned();
    blue.stop();
    assert!(!folder.exists());
    green.kubectl_ok(&["get", "namespaces"]);
}

#[test]
fn a_user_may_do_what_a_role_allows_and_a_paused_server_does_not_answer() {
    let Some(cluster) = start_or_say(Options::api_only()) else {
        return;
    };
    let get = ["get", "pods", "--request-timeout=2s"];
    let refused = cluster.kubectl_as("limited", get).unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Forbidden"));
    let create = |what: &str| cluster.kubectl_ok(&what.split(' ').collect::<Vec<_>>());
    create("create clusterrole lister --verb=list --resource=pods");
    create("create clusterrolebinding limited --clusterrole=lister --user=limited");
    let allowed = || cluster.kubectl_as("limited", get).unwrap().status.success();
    wait_until("the binding to be seen", allowed);

    cluster.pause(Component::ApiServer).unwrap();
    assert!(!allowed());
    cluster.resume(Component::ApiServer).unwrap();
    assert!(allowed());
    assert!(cluster.kill(Component::Kwok).is_err(), "it has none");
}

#[test]
fn nothing_outlives_an_owner_that_is_killed() {
    let Some(home) = Home::new("killed") else { return };
    let mut owner = home.command(&["run", "--components", "api"]).stderr(Stdio::null()).spawn().unwrap();
    let folder = home.cluster("default");
    wait_until("the cluster to be ready", || folder.join("ready").exists());
    let server = fs::read_to_string(folder.join("ready")).unwrap();
    assert!(!processes_of(&folder).is_empty());

    owner.kill().unwrap();
    owner.wait().unwrap();

    let port: u16 = server.rsplit(':').next().unwrap().parse().unwrap();
    wait_until("the processes to be gone", || {
        processes_of(&folder).is_empty() && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
    });
    // What it left is swept by whoever comes next.
    assert!(folder.exists());
    assert_eq!(home.run(&["status"]), "");
    assert!(!folder.exists());
}

#[test]
fn up_and_down_may_be_repeated() {
    let Some(home) = Home::new("repeated") else { return };
    let folder = home.cluster("default");
    let up = ["up", "--components", "api"];
    let first = home.run(&up);
    let export = format!("export KUBECONFIG='{}'\n", folder.join("kubeconfig").display());
    assert_eq!(first, export);
    assert_eq!(home.run(&up), export);
    assert!(home.run(&["status"]).starts_with("default\tready\thttps://127.0.0.1:"));

    home.run(&["down"]);
    assert!(!folder.exists());
    assert!(processes_of(&folder).is_empty());
    home.run(&["down"]);

    // A second one beside it, which `--all` stops too.
    home.run(&up);
    home.run(&["up", "--components", "api", "--name", "blue"]);
    assert_eq!(home.run(&["status"]).lines().count(), 2);
    home.run(&["down", "--all"]);
    assert_eq!(home.run(&["status"]), "");
}

#[test]
fn a_go_that_is_too_old_is_said_in_one_line_with_an_exit_code_of_its_own() {
    let folder = std::env::temp_dir().join(format!("cluster-old-go-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let go = folder.join("go");
    fs::write(&go, "#!/bin/sh\necho go1.25.9\n").unwrap();
    Command::new("chmod").args(["+x", go.to_str().unwrap()]).status().unwrap();

    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("build"))
        .env("PATH", path)
        .env("CARGO_TARGET_DIR", &folder)
        .output()
        .unwrap();
    fs::remove_dir_all(folder).unwrap();

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("Go 1.26 or newer is needed") && said.contains("go1.25.9"), "{said}");
}

#[test]
fn a_cluster_that_cannot_start_says_what_its_component_said() {
    if left_out() {
        return;
    }
    let flags = vec![(Component::ApiServer, "--no-such-flag".to_owned())];
    let error = Cluster::start(Options { flags, ..Options::api_only() }).unwrap_err();
    assert!(error.to_string().contains("unknown flag: --no-such-flag"), "{error}");
    assert!(error.why_not().is_none());
}

fn left_out() -> bool {
    let why_not = available().err();
    if let Some(why_not) = &why_not {
        eprintln!("LEFT OUT: lifecycle: needs a real control plane: {why_not}");
    }
    why_not.is_some()
}

/// A folder for the clusters of one test, where their names are its own.
struct Home {
    target: PathBuf,
    assets: PathBuf,
}

impl Home {
    fn new(test: &str) -> Option<Self> {
        if left_out() {
            return None;
        }
        let assets = Assets::find().expect("they can be built").folder().to_owned();
        let target = std::env::temp_dir().join(format!("cluster-{test}-{}", std::process::id()));
        Some(Self { target, assets })
    }

    fn cluster(&self, name: &str) -> PathBuf {
        self.target.join("cluster/run").join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cluster"));
        command.args(args);
        command.env("CARGO_TARGET_DIR", &self.target).env("KUBEBUILDER_ASSETS", &self.assets);
        command
    }

    /// What a command that succeeds prints.
    fn run(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("it can be run");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Also if the test has failed with a cluster up. The folder may hold its logs.
        let _ = self.command(&["down", "--all"]).output();
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.target);
        }
    }
}

/// The processes that were started with a path of this folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    // One that has ended meanwhile has no file, and one that ended and is not yet waited for an empty one.
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&folder)).collect()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
