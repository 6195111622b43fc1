//! `application-operator plan` as its users run it: what it foretells is what then happens, it writes nothing, and it says in
//! one line what is wrong with what it is given.

#[path = "../support/mod.rs"]
mod support;

mod command;
mod foretold;
mod rights;

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use testbed::Options;

use crate::command::{Plan, file};
use crate::support::{Operator, Space, World};

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
