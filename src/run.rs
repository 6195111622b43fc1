//! `run`: wiring, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::api::{Client, Scope};
use engine::config::Config;
use engine::controller::Controller;
use engine::events;
use engine::informer::Informers;
use engine::lease::{Elector, Leadership};
use engine::metrics::Metrics;
use engine::shutdown::{self, Shutdown};
use engine::store::Change;
use engine::transport::{self, Connections};
use futures_util::future::join;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::info;

use crate::admin;
use crate::application::Application;
use crate::apply::Writer;
use crate::args::{Address, Run};
use crate::demand;
use crate::election;
use crate::log::{self, Traces};
use crate::observe::{
    Autoscalers, Budgets, Caches, Child, ConfigMaps, Deployments, FollowersOf, HttpRoutes, Ingresses, Job, Labelled,
    Revision, RouteDefinition, Secrets, Services, Stamp, pod, revision,
};
use crate::reconcile::Reconciler;
use crate::trigger::{enforcing, failing, followers, labelled as of_label, owner, routed};

/// Who writes: the field manager of every apply, the controller of every event. Kubernetes files field ownership under it,
/// so that it can never change.
pub const FIELD_MANAGER: &str = "application-operator";

/// Name of the controller in logs and metrics.
const CONTROLLER: &str = "application";

/// How long events and traces that still wait, and probes under way, may take at the end. They are a courtesy.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why the operator could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cluster to talk to.
    #[error("no usable configuration of a cluster")]
    Config(#[source] engine::config::Error),
    /// The cluster's certificates or keys can't be used.
    #[error("the configuration of the cluster can't be used")]
    Transport(#[source] transport::Error),
    /// An address is taken, or not this machine's.
    #[error("can't listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// It can't be told what the operator does.
    #[error("can't tell what happens")]
    Log(#[source] log::Error),
    /// The runtime can't be started.
    #[error("can't start")]
    Start(#[source] std::io::Error),
    /// A part that runs for ever has ended.
    #[error("stopped")]
    Stopped(#[source] engine::controller::Error),
    /// The settings of the election make none.
    #[error("can't take part in a leader election")]
    Election(#[source] engine::lease::Error),
    /// Nobody knows any more who leads.
    #[error("stopped")]
    Elected(#[source] election::Ended),
}

/// Runs the operator until the process is told to end (SIGTERM, SIGINT).
///
/// # Errors
///
/// If it can't start: no configuration, or an address that can't be listened on. A server that can't be reached is no
/// error, but waited for.
pub fn run(args: &Run) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Start)?;
    runtime.block_on(async {
        let traces = log::start(args, FIELD_MANAGER).map_err(Error::Log)?;
        operate(args, traces).await
    })
}

async fn operate(args: &Run, traces: Traces) -> Result<(), Error> {
    let config = Config::find(args.kubeconfig.as_deref(), args.context.as_deref()).map_err(Error::Config)?;
    let metrics = Arc::new(Metrics::default());
    let service = connect(&config, &metrics)?;
    // A connection of its own, so that a renewal never waits behind the writes of a fleet.
    let apart = Client::new(transport::urgent(connect(&config, &metrics)?), FIELD_MANAGER);
    let elector = election::elector(args, &config, apart, &instance()).map_err(Error::Election)?;
    let leadership = elector.as_ref().map_or_else(Leadership::always, Elector::leadership);
    if elector.is_some() {
        metrics.observe_leadership(args.election.leader_elect_resource_name.clone(), leadership.clone());
    }
    let client = Client::new(leadership.fence(service.clone()), FIELD_MANAGER);
    let server = config.server.to_string();
    act(args, Surroundings { service, client, server, elector, leadership, metrics, traces }).await
}

/// What an operator is surrounded by.
pub struct Surroundings {
    service: transport::Service,
    client: Client,
    server: String,
    elector: Option<Elector>,
    leadership: Leadership,
    metrics: Arc<Metrics>,
    traces: Traces,
}

impl Surroundings {
    /// An operator that alone acts on what answers `service`.
    pub fn alone(service: transport::Service) -> Self {
        Self {
            client: Client::new(service.clone(), FIELD_MANAGER),
            service,
            server: String::new(),
            elector: None,
            leadership: Leadership::always(),
            metrics: Arc::default(),
            traces: Traces::default(),
        }
    }
}

/// The operator, until the process is told to end.
///
/// # Errors
///
/// If an address can't be listened on.
pub async fn act(args: &Run, surroundings: Surroundings) -> Result<(), Error> {
    let Surroundings { service, client, server, elector, leadership, metrics, traces } = surroundings;
    let informers =
        Informers::new(client.clone()).within(Scope::namespaces(args.namespaces.iter().map(String::as_str)));
    let pods = pod::scope(args.namespaces.iter().map(String::as_str));
    let labelled = revision::scope(args.namespaces.iter().map(String::as_str));
    let mut controller = Controller::<Application>::new(CONTROLLER, &informers, metrics.clone())
        .watches(owner::<Deployments>)
        .watches(owner::<Services>)
        .watches(owner::<Budgets>)
        .watches(owner::<Autoscalers>)
        .watches_in(&labelled, of_label::<Revision>)
        .watches_in(&labelled, of_label::<Job>)
        .watches(owner::<Ingresses>)
        .watches(owner::<HttpRoutes>)
        .optional::<Child<HttpRoutes>>()
        .watches_in(&pods, failing)
        .workers(args.max_concurrent_reconciles.into())
        .elected_by(leadership);
    let applications = controller.reader::<Application>();
    let mapper = move |_: &Change<RouteDefinition>| routed(&applications);
    controller = controller.watches_in(&RouteDefinition::scope(), mapper);
    // Namespaces and definitions belong to no namespace, so that rights in some of them don't let one look.
    let sees_namespaces = args.namespaces.is_empty();
    if sees_namespaces {
        let applications = controller.reader::<Application>();
        controller = controller.watches(move |change| enforcing(change, &applications));
    } else {
        controller = controller.optional::<RouteDefinition>();
    }
    let applications = controller.reader::<Application>();
    let mapper = move |change: &Change<Stamp<ConfigMaps>>| followers(change, &applications);
    controller = controller.watches(mapper).optional::<Stamp<ConfigMaps>>();
    if args.watch_secrets {
        let applications = controller.reader::<Application>();
        let mapper = move |change: &Change<Stamp<Secrets>>| followers(change, &applications);
        controller = controller.watches(mapper).optional::<Stamp<Secrets>>();
    }
    let _definition = (!sees_namespaces).then(|| demand::definition(&informers));
    let _on_demand = (demand::routes(&informers), demand::configuration(&informers, args.watch_secrets));
    let caches = Caches {
        applications: controller.reader(),
        deployments: controller.reader(),
        services: controller.reader(),
        budgets: controller.reader(),
        autoscalers: controller.reader(),
        revisions: controller.reader(),
        jobs: controller.reader(),
        ingresses: controller.reader(),
        routes: controller.reader(),
        route_definition: controller.reader(),
        config_maps: controller.reader(),
        secrets: args.watch_secrets.then(|| controller.reader()),
        pods: controller.reader(),
        namespaces: sees_namespaces.then(|| controller.reader()),
    };
    caches.pods.index::<pod::OfApplication>();
    caches.revisions.index::<Labelled>();
    caches.jobs.index::<Labelled>();
    caches.applications.index::<FollowersOf>();
    // Not fenced: what a leader has done is told even if it is one no more.
    let (recorder, send_events) = events::channel(Client::new(service, FIELD_MANAGER), FIELD_MANAGER, instance());
    recorder.observed_by(&metrics);
    traces.observed_by(&metrics);
    let restarts = args.max_concurrent_restarts.into();
    let reconciler = Reconciler::new(Writer { client, caches, recorder }, args.allowances.allowed(), restarts);
    let paced = reconciler.paced();
    metrics.observe(move |samples| {
        paced.tell(samples);
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        samples.gauge("application_operator_build_info", "Always 1; which version this is", &labels, 1.0);
    });

    let (trigger, shutdown) = shutdown::channel();
    let mut background = JoinSet::new();
    background.spawn(send_events);
    let (liveness, readiness) = (controller.liveness(), controller.readiness());
    serve(&mut background, args.health_probe_bind_address, &shutdown, move |request| {
        admin::probes(|| admin::alive(&liveness), || admin::synced(&readiness), &request)
    })
    .await?;
    serve(&mut background, args.metrics_bind_address, &shutdown, move |request| admin::metrics(&metrics, &request))
        .await?;
    let inspector = controller.inspector();
    serve(&mut background, args.debug_bind_address, &shutdown, move |request| {
        admin::debug(|| vec![inspector.inspect()], &request)
    })
    .await?;
    await_signal(trigger)?;

    info!(
        version = env!("CARGO_PKG_VERSION"),
        server,
        namespaces = if args.namespaces.is_empty() { "all".to_owned() } else { args.namespaces.join(",") },
        workers = args.max_concurrent_reconciles,
        "starting"
    );
    let stopped = election::elected(elector, controller.run(reconciler, shutdown)).await;
    // The reconciler is gone and its recorder with it, so that the task of the events ends with the last of them.
    let events = async { while background.join_next().await.is_some() {} };
    let _ = timeout(FAREWELL, join(events, traces.end())).await;
    info!("stopped");
    stopped.map_err(Error::Elected)?.map_err(Error::Stopped)
}

fn connect(config: &Config, metrics: &Arc<Metrics>) -> Result<transport::Service, Error> {
    let host = config.server.authority().map(ToString::to_string).unwrap_or_default();
    let connections = Connections::default();
    metrics.observe_connections(host.clone(), &connections);
    let options = transport::Options::default()
        .user_agent(format!("{FIELD_MANAGER}/{}", env!("CARGO_PKG_VERSION")))
        .observer(metrics.observer(host))
        .connections(&connections);
    transport::connect_with(config, options).map_err(Error::Transport)
}

async fn serve(
    background: &mut JoinSet<()>,
    address: Address,
    shutdown: &Shutdown,
    handler: impl Fn(http::Request<()>) -> http::Response<String> + Send + Sync + 'static,
) -> Result<(), Error> {
    let candidates = address.candidates();
    let Some(&address) = candidates.first() else {
        return Ok(());
    };
    let listener = TcpListener::bind(&candidates[..]).await.map_err(|source| Error::Listen { address, source })?;
    background.spawn(transport::serve(listener, handler, shutdown.clone()));
    Ok(())
}

/// Gives the signal of `trigger` once the process is told to end; a second time ends it at once.
fn await_signal(trigger: shutdown::Trigger) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Start)?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! { _ = terminate.recv() => "SIGTERM", _ = interrupt.recv() => "SIGINT" }
        };
        let signal = next().await;
        info!(signal, "told to end: finishing what is under way");
        trigger.give();
        next().await;
        std::process::exit(130);
    });
    Ok(())
}

/// The process, as events name it: the pod's name, or the machine's.
fn instance() -> String {
    std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_else(|_| FIELD_MANAGER.to_owned())
}
