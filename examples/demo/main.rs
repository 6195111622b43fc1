//! `make demo`: a Kubernetes of its own, the operator, the sample, and a Deployment that is deleted and comes back.
//!
//! Ends by itself with `--once`, or where nobody watches; else it stays until Ctrl-C. What it has started ends with it.

mod operator;
mod view;
mod world;

use std::env;
use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use cluster::{Cluster, Options};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::operator::Operator;
use crate::view::View;
use crate::world::{Event, NAMESPACE, Times, World};

/// The project's folder.
const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// The sample, as users apply it.
const SAMPLE: &str = "samples/application.yaml";

/// What the cluster has to know before: the custom resource, and what the operator is allowed to do.
const MANIFESTS: [&str; 2] = ["crds/10-application.yaml", "crds/30-cluster-role.yaml"];

/// The longest that any step may take. On a busy machine with two cores the slowest has taken a tenth of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a state stays on a screen before something happens to it, so that it can be seen.
const PAUSE: Duration = Duration::from_secs(3);

/// A clock in the view goes on even if nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// How long the news of a signal takes at most that has ended one of our own children, too.
const NEWS: Duration = Duration::from_millis(300);

/// Why the demo ends before its end.
enum Stop {
    /// Somebody wants it to.
    Interrupted,
    /// It can't go on.
    Failed(String),
}

impl<E: Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(engine::object::chain(&error))
    }
}

fn main() -> ExitCode {
    // Where the paths above begin.
    if let Err(error) = env::set_current_dir(PROJECT) {
        return tell(&format!("demo: {PROJECT}: {error}"), 1);
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let once = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => !io::stdout().is_terminal(),
        ["--once"] => true,
        _ => return tell("usage: demo [--once]", 2),
    };
    // The watches and the signals; the story itself blocks, as the cluster's calls do.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tell(&format!("demo: {error}"), 1),
    };
    let (send, events) = mpsc::channel();
    listen(&runtime, &send);
    let mut demo = Demo { view: View::default(), events, once };
    let ended = demo.run(&runtime, &send);
    runtime.shutdown_background();
    match ended {
        Ok(()) | Err(Stop::Interrupted) => tell("Stopped. Nothing is left behind.", 0),
        Err(Stop::Failed(why)) => tell(&format!("demo: {why}"), 1),
    }
}

fn tell(line: &str, code: u8) -> ExitCode {
    // There is nobody left to tell if it fails.
    let _ = writeln!(io::stderr(), "{line}");
    ExitCode::from(code)
}

/// Makes an event of the first signal; the second one ends the process at once, and the cluster dies with it.
fn listen(runtime: &Runtime, events: &mpsc::Sender<Event>) {
    let events = events.clone();
    runtime.spawn(async move {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
            return;
        };
        let mut next = async || {
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => (), _ = hangup.recv() => () }
        };
        next().await;
        // Nobody receives it any more if everything is ending anyway.
        let _ = events.send(Event::Interrupted);
        next().await;
        std::process::exit(130);
    });
}

/// The story.
struct Demo {
    view: View,
    events: mpsc::Receiver<Event>,
    /// Whether to end after the last step.
    once: bool,
}

impl Demo {
    fn run(&mut self, runtime: &Runtime, send: &mpsc::Sender<Event>) -> Result<(), Stop> {
        self.view
            .say("Starting a Kubernetes control plane: etcd, API server, controller manager and scheduler are real.");
        self.view.say("Its nodes are played by KWOK, so that pods become ready and no container runs.");
        let begin = Instant::now();
        let options = Options { name: Some("demo".to_owned()), audit: false, ..Options::default() };
        let cluster = Cluster::start(options).map_err(|error| self.cause(explain(&error)))?;
        self.check()?;
        self.view.say(format!("It answers at {} after {:.1} s.", cluster.server(), begin.elapsed().as_secs_f64()));

        let result = self.play(runtime, send, &cluster);
        self.view.leave();
        drop(cluster);
        result
    }

    fn play(&mut self, runtime: &Runtime, send: &mpsc::Sender<Event>, cluster: &Cluster) -> Result<(), Stop> {
        self.kubectl(cluster, &["apply", "-f", MANIFESTS[0], "-f", MANIFESTS[1]])?;
        self.kubectl(cluster, &["wait", "--for=condition=Established", "crd/applications.minetto.dev"])?;
        let binding = ["create", "clusterrolebinding", "demo", "--clusterrole=application-operator", "--user=limited"];
        self.kubectl(cluster, &binding)?;
        let log = cluster.folder().join("operator.log");
        let mut operator = Operator::start(&cluster.kubeconfig_for("limited"), &log)?;
        self.view.say(format!("The operator runs, with the rights that {} gives it; its log:", MANIFESTS[1]));
        self.view.say(format!("  {}", log.strip_prefix(PROJECT).unwrap_or(&log).display()));

        let world = World::watch(runtime, cluster.kubeconfig(), send)
            .map_err(|error| Stop::Failed(engine::object::chain(&*error)))?;
        let result = self.tell_story(cluster, &mut operator, &world);
        if let Err(Stop::Failed(_)) = &result {
            self.view.say(operator.tail());
        }
        operator.stop();
        result
    }

    fn tell_story(&mut self, cluster: &Cluster, operator: &mut Operator, world: &World) -> Result<(), Stop> {
        self.command(cluster, &["apply", "-f", SAMPLE])?;
        self.until(operator, world, "a ready Application", World::is_ready)?;
        let Times { created, ready, .. } = world.times();
        self.view.say(format!("The Application was ready {} after it was created.", between(created, ready)));
        self.pause(operator, world)?;

        self.command(cluster, &["delete", "deployment", world::DEPLOYMENT, "--namespace", NAMESPACE])?;
        self.until(operator, world, "a new Deployment", |world| world.times().back.is_some())?;
        self.until(operator, world, "a ready Application", World::is_ready)?;
        let Times { gone, back, ready, .. } = world.times();
        self.view.say(format!(
            "The Deployment was back {} after it was gone, and the Application ready after {}, as a watch saw it.",
            between(gone, back),
            between(gone, ready)
        ));
        if self.once {
            return Ok(());
        }
        self.invite(cluster);
        self.until(operator, world, "", |_| false)
    }

    /// Says how to go on by hand.
    fn invite(&mut self, cluster: &Cluster) {
        // Short, and fit for a shell in the project's folder.
        let path = |path: &Path| match path.strip_prefix(PROJECT) {
            Ok(inner) => format!("$PWD/{}", inner.display()),
            Err(_) => path.display().to_string(),
        };
        let (kubeconfig, programs) = (path(cluster.kubeconfig()), path(cluster.assets().folder()));
        let (application, deployment) = (world::APPLICATION, world::DEPLOYMENT);
        self.view.say(format!(
            "\nNow you, in another shell in this folder:\n\n  export KUBECONFIG=\"{kubeconfig}\"\n  \
             export PATH=\"{programs}:$PATH\"\n  \
             kubectl config set-context --current --namespace {NAMESPACE}\n  \
             kubectl scale application {application} --replicas 4\n  \
             kubectl delete service {application}-service\n  \
             kubectl set image deployment {deployment} {application}-container=httpd\n  \
             kubectl get events\n\nCtrl-C ends it all."
        ));
    }

    /// Waits until `reached`; shows meanwhile what there is.
    fn until(
        &mut self,
        operator: &mut Operator,
        world: &World,
        what: &str,
        reached: impl Fn(&World) -> bool,
    ) -> Result<(), Stop> {
        let begin = Instant::now();
        loop {
            self.view.show(world);
            if reached(world) {
                return Ok(());
            }
            if let Some(status) = operator.ended() {
                return Err(Stop::Failed(format!("the operator has ended: {status}")));
            }
            if !what.is_empty() && begin.elapsed() > PATIENCE {
                return Err(Stop::Failed(format!("no sign of {what} within {} s", PATIENCE.as_secs())));
            }
            if let Ok(Event::Interrupted) = self.events.recv_timeout(TICK) {
                return Err(Stop::Interrupted);
            }
            self.check()?;
        }
    }

    /// Lets a state be seen, where somebody watches.
    fn pause(&mut self, operator: &mut Operator, world: &World) -> Result<(), Stop> {
        let end = Instant::now() + if self.view.is_terminal() { PAUSE } else { Duration::ZERO };
        self.until(operator, world, "", |_| Instant::now() >= end)
    }

    /// Fails if a signal came. Any other news is in the [`World`] by now.
    fn check(&self) -> Result<(), Stop> {
        if self.events.try_iter().any(|event| matches!(event, Event::Interrupted)) {
            return Err(Stop::Interrupted);
        }
        Ok(())
    }

    /// What made a child of ours fail: perhaps Ctrl-C, which goes to it as well.
    fn cause(&self, why: String) -> Stop {
        let end = Instant::now() + NEWS;
        while let Ok(event) = self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if matches!(event, Event::Interrupted) {
                return Stop::Interrupted;
            }
        }
        Stop::Failed(why)
    }

    /// Shows a command, runs it, and shows what it says.
    fn command(&mut self, cluster: &Cluster, arguments: &[&str]) -> Result<(), Stop> {
        self.view.say(format!("\n$ kubectl {}", arguments.join(" ")));
        let said = self.kubectl(cluster, arguments)?;
        self.view.say(said.trim_end());
        Ok(())
    }

    fn kubectl(&self, cluster: &Cluster, arguments: &[&str]) -> Result<String, Stop> {
        let output = cluster.kubectl(arguments)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(self.cause(format!("kubectl {}: {}", arguments.join(" "), said.trim_end())))
    }
}

fn between(begin: Option<Instant>, end: Option<Instant>) -> String {
    let time = begin.zip(end).map_or(Duration::ZERO, |(begin, end)| end - begin);
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

/// Why there is no cluster, and what to do about it.
fn explain(error: &cluster::Error) -> String {
    let why = engine::object::chain(error);
    match error.why_not() {
        Some(cluster::WhyNot::GoMissing) => format!(
            "{why}.\nKubernetes is built from Go modules: install Go 1.26 or newer (https://go.dev/dl) and try again."
        ),
        Some(_) => format!("{why}.\nUnset KUBEBUILDER_ASSETS to have all programs built."),
        None => why,
    }
}
