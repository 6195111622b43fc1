//! `make demo`: an API server in memory, the operator, the sample; a Deployment that is deleted and comes back, an image
//! that can't be pulled, a scale.
//!
//! Ends by itself with `--once`, or where nobody watches; else it stays until Ctrl-C. What it has started ends with it.
//! `--record FILE` draws a picture of the run.

mod operator;
mod picture;
mod server;
mod view;
mod world;

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::operator::Operator;
use crate::server::Server;
use crate::view::View;
use crate::world::{Event, NAMESPACE, Times, World};

/// The project's folder.
const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// The sample, as users apply it.
const SAMPLE: &str = "samples/application.yaml";

/// What the server has to know before.
const DEFINITION: &str = "crds/10-application.yaml";

/// An image of which the simulator's kubelet says that it can't be pulled.
const MISSING: &str = "nginx:missing";

/// Both kinds of patch that the story needs take this form.
const MERGE: &str = "application/merge-patch+json";

/// The longest that any step may take. On a busy machine with two cores the slowest has taken a tenth of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a state stays on a screen before something happens to it, so that it can be seen.
const PAUSE: Duration = Duration::from_secs(3);

/// A clock in the view goes on even if nothing happens.
const TICK: Duration = Duration::from_millis(250);

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
    let (once, record) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => (!io::stdout().is_terminal(), None),
        ["--once"] => (true, None),
        ["--record", file] => (true, Some(PathBuf::from(file))),
        _ => return tell("usage: demo [--once | --record FILE]", 2),
    };
    // The server, the watches and the signals; the story itself blocks.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tell(&format!("demo: {error}"), 1),
    };
    let (send, events) = mpsc::channel();
    listen(&runtime, &send);
    let mut demo = Demo { view: View::default(), events, once, record };
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

/// Makes an event of the first signal; the second one ends the process at once, and the server is part of it.
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
    /// Where the picture goes, if there is to be one.
    record: Option<PathBuf>,
}

impl Demo {
    fn run(&mut self, runtime: &Runtime, send: &mpsc::Sender<Event>) -> Result<(), Stop> {
        self.view.say(
            "An API server in memory, with Kubernetes' controllers behind it: pods become ready, no container runs.",
        );
        let server = Server::start(runtime).map_err(stop)?;
        let result = self.play(runtime, send, &server);
        self.view.leave();
        server.stop(runtime);
        result
    }

    fn play(&mut self, runtime: &Runtime, send: &mpsc::Sender<Event>, server: &Server) -> Result<(), Stop> {
        server.apply(runtime, DEFINITION).map_err(stop)?;
        let mut operator = Operator::start(&server.kubeconfig(), &server.folder().join("operator.log"))?;
        self.view.say(format!("It knows {DEFINITION}, and the operator runs: the binary itself, over TLS."));
        let result = World::watch(runtime, &server.kubeconfig(), send)
            .map_err(stop)
            .and_then(|world| self.tell_story(runtime, server, &mut operator, &world));
        if let Err(Stop::Failed(_)) = &result {
            self.view.say(operator.tail());
        }
        operator.stop();
        result
    }

    fn tell_story(
        &mut self,
        runtime: &Runtime,
        server: &Server,
        operator: &mut Operator,
        world: &World,
    ) -> Result<(), Stop> {
        let application =
            format!("{}/{}", world::collection("/apis/minetto.dev/v1alpha1", "applications"), world::APPLICATION);
        self.view.step(format!("Apply {SAMPLE}."));
        let names = server.apply(runtime, SAMPLE).map_err(stop)?;
        self.view.say(format!("Applied {}.", names.join(" and ")));
        self.until(operator, world, "a ready Application", |world| world.is_settled(2))?;
        let Times { created, ready, .. } = world.times();
        self.view.say(format!("Ready {} after it was created.", between(created, ready)));
        self.pause(operator, world)?;

        self.view.step(format!("Delete its Deployment, {}.", world::DEPLOYMENT));
        let deployment = format!("{}/{}", world::collection("/apis/apps/v1", "deployments"), world::DEPLOYMENT);
        server.ask(runtime, "DELETE", &deployment, MERGE, &Value::Null).map_err(stop)?;
        self.until(operator, world, "a new Deployment", |world| world.times().back.is_some())?;
        self.until(operator, world, "a ready Application", |world| world.is_settled(2))?;
        let Times { gone, back, ready, .. } = world.times();
        let (back, ready) = (between(gone, back), between(gone, ready));
        self.view.say(format!("Back {back} after it was gone, and the Application ready again after {ready}."));
        self.pause(operator, world)?;

        self.view.step(format!("Give it an image that can't be pulled, {MISSING}."));
        let image = |image: &str| json!({"spec": {"image": image}});
        server.ask(runtime, "PATCH", &application, MERGE, &image(MISSING)).map_err(stop)?;
        self.until(operator, world, "a failure in the status", |world| world.failure().is_some())?;
        if let Some(failure) = world.failure() {
            self.view.say(format!("Its status names {}: {}: {}", failure.container, failure.reason, failure.message));
            self.view.say("Its former pods go on serving.");
        }
        self.pause(operator, world)?;

        self.view.step("Take that back, and scale to 4 by /scale, as kubectl scale does.");
        server.ask(runtime, "PATCH", &application, MERGE, &image("nginx:latest")).map_err(stop)?;
        let scale = json!({"spec": {"replicas": 4}});
        server.ask(runtime, "PATCH", &format!("{application}/scale"), MERGE, &scale).map_err(stop)?;
        self.until(operator, world, "four ready pods", |world| world.is_settled(4))?;
        self.view.say("4 of 4 are ready.");
        if let Some(file) = &self.record {
            let title = "A run of make demo: the sample is applied and ready, its Deployment deleted and back, an image \
                         that can't be pulled explained, and a scale to four pods.";
            fs::write(file, picture::render(title, &self.view.seen(world)))?;
        }
        if self.once {
            return Ok(());
        }
        self.invite(&server.kubeconfig());
        self.until(operator, world, "", |_| false)
    }

    /// Says how to go on by hand.
    fn invite(&mut self, kubeconfig: &Path) {
        // Short, and fit for a shell in the project's folder.
        let kubeconfig = match kubeconfig.strip_prefix(PROJECT) {
            Ok(inner) => format!("$PWD/{}", inner.display()),
            Err(_) => kubeconfig.display().to_string(),
        };
        let (application, deployment) = (world::APPLICATION, world::DEPLOYMENT);
        self.view.say(format!(
            "\nNow you, with your own kubectl, in another shell in this folder:\n\n  \
             export KUBECONFIG=\"{kubeconfig}\"\n  \
             kubectl config set-context --current --namespace {NAMESPACE}\n  \
             kubectl get applications --watch\n  \
             kubectl scale application {application} --replicas 3\n  \
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
}

/// An error that is any.
#[allow(clippy::needless_pass_by_value)] // As `map_err` hands it over.
fn stop(error: server::Failure) -> Stop {
    Stop::Failed(engine::object::chain(&*error))
}

fn between(begin: Option<Instant>, end: Option<Instant>) -> String {
    let time = begin.zip(end).map_or(Duration::ZERO, |(begin, end)| end - begin);
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}
