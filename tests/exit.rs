//! How the process begins, waits and ends: mistakes are answered in one line, outages are waited for, and told to end, it
//! ends.

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::{Component, Feature, Options};

use crate::support::{Space, World, let_time_pass, record, wait_for, wait_until_good};

const SECRET: &str = "open-sesame";

/// Below the 30 s after which Kubernetes kills the container.
const DRAINED: Duration = Duration::from_secs(25);

#[test]
fn a_wrong_flag_is_answered_in_one_line_with_exit_code_2() {
    for (args, expected) in [
        (&["run", "--namespce=a"][..], "unexpected argument '--namespce' found"),
        (&["run", "--log-level=loud"], "invalid value 'loud' for '--log-level"),
        (&["run", "--health-probe-bind-address=8081"], "must be IP:PORT"),
        (&["start"], "unrecognized subcommand 'start'"),
    ] {
        let output = finish(args);
        assert_said(&output, 2, expected);
    }
}

#[test]
fn a_kubeconfig_of_no_use_is_answered_in_one_line_without_what_stands_in_it() {
    let good = kubeconfig("good", "https://127.0.0.1:1");
    let broken = file("broken", &format!("users:\n- name: x\n  user: {{token: {SECRET}\n"));
    let other = file("other", &format!("- {SECRET}\n"));
    let unfit = fs::read_to_string(&good)
        .unwrap()
        .replace("server: https", &format!("certificate-authority-data: {SECRET}\n    server: https"));
    let unfit = file("unfit", &unfit);
    let contextless = file("contextless", &fs::read_to_string(&good).unwrap().replace("current-context: local", ""));
    let cases: [(&Path, &[&str], &str); 6] = [
        (Path::new("/nonexistent/kubeconfig"), &[], "cannot read /nonexistent/kubeconfig: No such file or directory"),
        (&broken, &[], "is not a kubeconfig: see line "),
        (&other, &[], "is not a kubeconfig: see line "),
        (&unfit, &[], "certificate-authority-data"),
        (&contextless, &[], "has no current-context; its contexts are: local"),
        (&good, &["--context=production"], r#"names the context "production", which "#),
    ];
    for (path, args, expected) in cases {
        let kubeconfig = format!("--kubeconfig={}", path.display());
        let output = finish(
            &[&["run", &kubeconfig, "--health-probe-bind-address=0", "--metrics-bind-address=0"], args].concat(),
        );
        assert_said(&output, 1, expected);
    }
}

#[test]
fn an_address_in_use_is_answered_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let kubeconfig = format!("--kubeconfig={}", kubeconfig("taken", "https://127.0.0.1:1").display());
    let (here, nowhere) = (address.to_string(), "0".to_owned());
    for (probes, metrics) in [(&here, &nowhere), (&nowhere, &here)] {
        let probes = format!("--health-probe-bind-address={probes}");
        let metrics = format!("--metrics-bind-address={metrics}");
        let output = finish(&["run", &kubeconfig, &probes, &metrics]);
        assert_said(&output, 1, &format!("can't listen on {address}: Address already in use"));
    }
}

#[test]
fn a_server_that_is_not_there_and_a_crd_that_is_not_there_are_waited_for() {
    let Some(world) = World::bare(Options::api_only()) else { return };
    world.cluster.kill(Component::ApiServer).unwrap();
    let mut operator = world.operator_as(world.cluster.kubeconfig(), &[]);
    wait_for("it to say that no server is there", || {
        operator.log().contains("can't list or watch applications.minetto.dev, retrying").then_some(())
    });
    assert!(operator.log().contains("Connection refused"), "{}", operator.log());
    assert_eq!(operator.probe("/healthz").unwrap().0, 200, "a restart would not help");
    let (code, missing) = operator.probe("/readyz").unwrap();
    assert_eq!(code, 503);
    for kind in ["applications.minetto.dev", "deployments.apps", "services"] {
        assert!(missing.contains(kind), "{missing}");
    }
    assert!(operator.is_running());

    world.cluster.restart(Component::ApiServer).unwrap();
    wait_for("it to miss the CRD alone", || {
        let (code, missing) = operator.probe("/readyz")?;
        let absent: Vec<_> = missing.lines().filter(|line| line.starts_with("[-]")).collect();
        let is_alone = absent == ["[-]source applications.minetto.dev not listed yet"];
        let others = ["[+]source deployments.apps synced", "[+]source services synced"];
        (code == 503 && is_alone && others.iter().all(|other| missing.contains(other))).then_some(())
    });
    let sentence = "the API server does not know applications.minetto.dev: waiting until its CRD is applied";
    wait_for("it to say so", || operator.log().contains(sentence).then_some(()));
    let_time_pass(Duration::from_secs(3));
    assert_eq!(operator.log().matches(sentence).count(), 1, "once, not with each look");

    let space = world.space("late");
    world.install();
    let installed = Instant::now();
    space.application("web", &json!({"image": "nginx", "port": 80}));
    operator.wait_until_ready();
    space.wait_until_converged("web");
    record("converged after the CRD was applied in", installed.elapsed());
}

#[test]
fn told_to_end_it_ends_and_what_it_left_undone_is_done_by_the_next() {
    let Some(space) = Space::new("ending") else { return };
    let mut operator = space.operator();
    operator.terminate();
    let told = Instant::now();
    assert_eq!(operator.wait().code(), Some(0));
    record("ended, idle, after", told.elapsed());
    assert!(told.elapsed() < Duration::from_secs(5));

    operator.start_again();
    operator.wait_until_ready();
    for index in 0..40 {
        space.application(&format!("app-{index}"), &json!({"image": "nginx", "replicas": 0, "port": 80}));
    }
    operator.terminate();
    let told = Instant::now();
    assert_eq!(operator.wait().code(), Some(0));
    record("ended, at work, after", told.elapsed());
    assert!(told.elapsed() < DRAINED);
    let log = operator.log();
    assert!(log.trim_end().ends_with("stopped"), "{log}");

    operator.start_again();
    for index in 0..40 {
        space.wait_until_converged(&format!("app-{index}"));
    }
}

#[test]
fn told_to_end_it_ends_even_where_the_server_answers_nothing() {
    let Some(world) = World::start(Options::api_only()) else { return };
    let mut operator = world.operator(&[]);
    let space = world.space("silent");
    for index in 0..20 {
        space.application(&format!("app-{index}"), &json!({"image": "nginx", "port": 80}));
    }
    world.cluster.pause(Component::ApiServer).unwrap();
    operator.terminate();
    let told = Instant::now();
    assert_eq!(operator.wait().code(), Some(0));
    record("ended, with a server that answers nothing, after", told.elapsed());
    assert!(told.elapsed() < DRAINED, "{:?}", told.elapsed());
    world.cluster.resume(Component::ApiServer).unwrap();
}

#[test]
fn each_line_of_a_log_in_json_is_an_object_and_no_other_log_is_json() {
    let Some(space) = Space::new("logs") else { return };
    let application = |name: &str| {
        space.application(name, &json!({"image": "nginx", "replicas": 0, "port": 80}));
        space.wait_until_converged(name);
    };
    let mut json = space.world.operator(&["--log-format=json", "--namespace", &space.name]);
    application("first");
    json.terminate();
    json.wait();
    let log = json.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        for field in ["timestamp", "level", "message"] {
            assert!(line[field].is_string(), "{field} in {line}");
        }
    }
    let created = |line: &&Value| line["message"] == "Created Deployment first-deployment";
    let created = lines.iter().find(created).expect(&log);
    assert_eq!((&created["span"]["namespace"], &created["span"]["object"]), (&json!("logs"), &json!("first")));

    let text = space.operator();
    application("second");
    let log = text.log();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_err()), "{log}");
    assert!(!log.contains('\u{1b}'), "no colours where nobody looks: {log}");
}

#[test]
fn only_the_named_namespaces_are_looked_after_and_rights_in_them_are_enough() {
    let Some(space) = Space::new("one").and_then(Space::with_kubectl) else { return };
    let (two, three) = (space.world.space("two"), space.world.space("three"));
    let is_refused_elsewhere = testbed::has(Feature::Authorisation);
    for named in [&space, &two].into_iter().filter(|_| is_refused_elsewhere) {
        named.kubectl(&["create", "rolebinding", "op", "--clusterrole=application-operator", "--user=limited"]);
    }
    let kubeconfig = space.world.cluster.kubeconfig_for("limited");
    let operator = space.world.operator_as(&kubeconfig, &["--namespace=one", "--namespace=two"]);
    operator.wait_until_ready();
    for each in [&space, &two, &three] {
        each.application("web", &json!({"image": "nginx", "replicas": 1, "port": 80}));
    }
    space.wait_until_ready("web");
    two.wait_until_ready("web");
    wait_until_good("the events of both", || {
        let silent =
            [&space, &two].into_iter().filter(|space| !space.kubectl(&["events"]).contains("1 of 1 pods are ready"));
        silent.map(|space| space.name.clone()).collect()
    });

    let requests = space.world.requests();
    let elsewhere: Vec<_> = requests
        .iter()
        .filter(|request| request.user == "limited" && !["one", "two"].contains(&request.namespace.as_str()))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
    let refused: Vec<_> = requests.iter().filter(|request| request.user == "limited" && request.code == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(three.list("deployments").is_empty() && three.list("services").is_empty());
    assert_eq!(three.get("applications", "web").unwrap().get("status"), None);
}

#[test]
fn no_token_is_ever_logged() {
    let Some(space) = Space::new("tokens") else { return };
    let world = space.world;
    let kubeconfig = fs::read_to_string(world.kubeconfig()).unwrap();
    let token = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("token: ")).expect("a token").to_owned();
    let operator = world.operator(&["--log-level=trace", "--log-format=json", "--namespace", &space.name]);
    space.application("web", &json!({"image": "nginx", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    // One that is refused, and so has more to say.
    let wrong = file("wrong", &kubeconfig.replace(&token, &format!("{token}{SECRET}")));
    let refused = world.operator_as(&wrong, &["--log-level=trace"]);
    wait_for("it to say that it is refused", || refused.log().contains("401").then_some(()));

    let log = operator.log();
    assert!(log.lines().any(|line| line.contains("\"trace_id\"") && line.contains("reconcile")), "no trace in the log");
    for log in [log, refused.log()] {
        assert!(log.contains("TRACE"), "{log}");
        // A part of it is as bad; the first part is the same for all tokens of one key.
        let (head, tail) = token.split_at(token.len() / 2);
        let shown = [head, tail, SECRET].into_iter().find(|secret| log.contains(secret));
        assert_eq!(shown, None);
    }
}

/// Runs the binary to its end.
fn finish(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_application-operator"));
    command.args(args).env_clear().stdin(Stdio::null()).output().expect("it can be run")
}

/// Checks that a process has ended with `code` and a line on stderr that contains `expected`, and has given nothing away.
#[track_caller]
fn assert_said(output: &Output, code: i32, expected: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("application-operator: ") && said.contains(expected), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    assert!(output.stdout.is_empty());
}

/// A kubeconfig for a server.
fn kubeconfig(name: &str, server: &str) -> PathBuf {
    let config = format!(
        "apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: {server}
users:
- name: me
  user:
    token: {SECRET}
contexts:
- name: local
  context: {{cluster: local, user: me}}
current-context: local
"
    );
    file(name, &config)
}

fn file(name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("exit-{}-{name}", std::process::id()));
    fs::File::create(&path).and_then(|mut file| file.write_all(content.as_bytes())).expect("a file");
    path
}
