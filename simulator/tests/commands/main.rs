//! The same commands of kubectl to a real API server and to the simulator: what they print and how they end has to be the same.
//!
//! Each file of `scripts/` is a sequence of commands in a namespace of its own; nothing acts behind either server. A command
//! that is known to differ is marked, and `docs/fidelity.md` says why. One that is marked and does not differ is a mistake, too.

mod normal;
mod script;
mod side;

use std::path::Path;
use std::{fs, thread};

use cluster::Options;
use simulator::Simulator;
use simulator::port::Port;

use crate::normal::Normal;
use crate::script::{Command, Script};
use crate::side::{Side, Told};

/// Plays a script on both, and says where they differ.
fn differ(script: &Script, real: &Side, simulated: &Side, explained: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for side in [real, simulated] {
        side.run_ok(
            &["create", "-f", "-"],
            &format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {}}}}}", script.name),
        );
    }
    let (mut a, mut b) = (Normal::default(), Normal::default());
    for command in &script.commands {
        let (expected, found) = thread::scope(|scope| {
            let expected = scope.spawn(|| a.told(&real.run(&script.name, command)));
            let found = b.told(&simulated.run(&script.name, command));
            (expected.join().expect("no panic"), found)
        });
        let is_explained = explained.contains(&format!("`kubectl {}`", command.line));
        match (expected == found, command.is_known) {
            (true, false) => {}
            (false, true) if is_explained => {}
            (false, true) => complaints.push(format!("docs/fidelity.md does not explain `kubectl {}`", command.line)),
            (true, true) => complaints.push(format!("{}: `kubectl {}` no longer differs", script.name, command.line)),
            (false, false) => complaints.push(explain(script, command, &expected, &found)),
        }
    }
    complaints
}

/// The lines that one of them has alone.
fn explain(script: &Script, command: &Command, real: &Told, simulated: &Told) -> String {
    let mut lines = vec![format!("{}: kubectl {}", script.name, command.line)];
    for (what, a, b) in [("stdout", &real.out, &simulated.out), ("stderr", &real.err, &simulated.err)] {
        let only = |of: &str, other: &str, sign: &str| -> Vec<String> {
            let only = of.lines().filter(|line| !other.lines().any(|one| one == *line));
            only.map(|line| format!("  {sign} {what} {line}")).collect()
        };
        let found = [only(a, b, "real     "), only(b, a, "simulated")].concat();
        if a != b && found.is_empty() {
            lines.push(format!("  {what} in another order, real:\n{a}  simulated:\n{b}"));
        }
        lines.extend(found);
    }
    if real.code != simulated.code {
        lines.push(format!("  the real one ends with {}, the simulator with {}", real.code, simulated.code));
    }
    lines.join("\n")
}

/// What both servers are taught before the first script.
fn define(side: &Side) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/10-application.yaml");
    let definition = fs::read_to_string(file).expect("the definition");
    side.run_ok(&["create", "-f", "-"], &definition);
    // Before it has a condition, kubectl can't wait for one.
    let named = "--for=jsonpath={.status.acceptedNames.kind}=Application";
    for wished in [named, "--for=condition=established"] {
        side.run_ok(&["wait", wished, "--timeout=60s", "crd", "applications.minetto.dev"], "");
    }
}

#[test]
fn kubectl_says_the_same_of_both_servers() {
    let options = Options { audit: false, ..Options::api_only() };
    let Some(cluster) = cluster::start_or_say(options) else { return };
    let folder = cluster.folder().join("kubectl");
    fs::create_dir_all(&folder).expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let simulator = Simulator::new(1, std::sync::Arc::new(jiff::Timestamp::now));
    let port = runtime.block_on(Port::open(&simulator, &folder)).expect("a port");
    let program = cluster.kubectl_program();
    let real = Side::new(program, cluster.kubeconfig(), &folder.join("real"));
    let simulated = Side::new(program, port.kubeconfig(), &folder.join("simulated"));
    for side in [&real, &simulated] {
        define(side);
    }
    let scripts = script::all();
    let explained = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fidelity.md");
    let explained = fs::read_to_string(explained).expect("the differences that are known");
    let complaints: Vec<String> = thread::scope(|scope| {
        let play = |script| {
            let (real, simulated, explained) = (&real, &simulated, &explained);
            scope.spawn(move || differ(script, real, simulated, explained))
        };
        let threads: Vec<_> = scripts.iter().map(play).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let commands: usize = scripts.iter().map(|script| script.commands.len()).sum();
    let known = scripts.iter().flat_map(|script| &script.commands).filter(|command| command.is_known).count();
    println!("{commands} commands, of which {known} are known to differ");
    runtime.block_on(port.close());
    assert!(complaints.is_empty(), "{} complaints\n\n{}", complaints.len(), complaints.join("\n\n"));
}
