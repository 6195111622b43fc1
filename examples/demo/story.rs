//! The story: what is done to the sample, and what is to come of it, step by step.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::operator::Operator;
use crate::picture;
use crate::server::{self, Server};
use crate::view::View;
use crate::world::{self, Event, NAMESPACE, Times, World};

/// The project's folder.
pub(crate) const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

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
pub(crate) enum Stop {
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

/// The story.
pub(crate) struct Demo {
    pub(crate) view: View,
    /// What happens in the world, and to the demo.
    pub(crate) events: mpsc::Receiver<Event>,
    /// Whether to end after the last step.
    pub(crate) once: bool,
    /// Where the picture goes, if there is to be one.
    pub(crate) record: Option<PathBuf>,
}

impl Demo {
    /// Tells it, from the server's start to its end.
    pub(crate) fn run(&mut self, runtime: &Runtime, send: &mpsc::Sender<Event>) -> Result<(), Stop> {
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
