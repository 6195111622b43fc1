//! `kubectl application`: what a plugin of kubectl is asked and what it shows. Arguments in, lines and an exit code out.
//!
//! What is shown is made by pure modules, from a [`Snapshot`] of what there is of an Application. The
//! operator is not asked, and need not run: all of it is read from the API server, with the rights of whoever asks.

pub mod args;
pub mod change;
pub mod draw;
pub mod error;
pub mod history;
pub mod list;
pub mod logs;
pub mod object;
pub mod progress;
pub mod screen;
pub mod snapshot;
pub mod source;
pub mod summary;
mod steer;
pub mod table;
pub mod text;
pub mod tree;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use engine::api::{Client, Collection, Scope};
use engine::config::{Config, Impersonation};
use engine::object::Key;
use engine::transport;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::args::{Args, Command, History, List, Logs, Place, Status};
use self::draw::Canvas;
use self::error::Error;
use self::object::Seen;
use self::screen::Screen;
use self::snapshot::{Snapshot, Source};
use self::source::Once;
use self::summary::Summary;
use crate::application::Application;
use crate::args::FAILED;
use crate::log;

/// Who has set what a command sets. Flux undoes what managers have set whose names begin with `kubectl`, which is not what
/// somebody means who pauses an Application in an incident.
const FIELD_MANAGER: &str = "application-plugin";

/// Does what the words of a command line say.
pub fn run<I>(words: I) -> ExitCode
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let args = match args::parse(words) {
        Ok(args) => args,
        Err(exit) => return exit.report(),
    };
    match carry_out(&args) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough, as `head` does.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", error.line());
            ExitCode::from(FAILED)
        }
    }
}

fn carry_out(args: &Args) -> Result<(), Error> {
    let mut config =
        Config::find(args.place.kubeconfig.as_deref(), args.place.context.as_deref()).map_err(Error::Config)?;
    if let Some(user) = &args.place.impersonate {
        let groups = args.place.groups.clone();
        config.impersonation = Some(Impersonation { user: user.clone(), groups, ..Impersonation::default() });
    }
    let namespace = args.place.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let mut screen = Screen::stdout();
    if !(screen.is_terminal() && matches!(&args.command, Command::Status(status) if status.watch)) {
        log::warnings();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Start)?;
    runtime.block_on(async {
        let user_agent = concat!("kubectl-application/", env!("CARGO_PKG_VERSION"));
        let options = transport::Options::default().user_agent(user_agent);
        let service = transport::connect_with(&config, options).map_err(Error::Transport)?;
        let client = Client::new(service, FIELD_MANAGER);
        let key = |name: &str| Key::new(namespace.as_str(), name);
        match &args.command {
            Command::Status(args) if args.watch => watch::watch(client, &key(&args.name), args, &mut screen).await,
            Command::Status(args) => status(client, &key(&args.name), args, &mut screen).await,
            Command::List(args) => list(client, &namespace, args, &mut screen).await,
            Command::History(args) => history(client, &key(&args.name), args, &mut screen).await,
            Command::Logs(args) => logs(client, &key(&args.name), args).await,
            Command::Rollback(rollback) => {
                let wish = match rollback.to_revision {
                    Some(0) => change::Wish::Unpin,
                    number => change::Wish::RollBack(number),
                };
                let target = &rollback.target;
                steer::steer(client, &key(&target.name), target, wish, &args.place, &mut screen).await
            }
            Command::Pause(target) => {
                let wish = change::Wish::Pause;
                steer::steer(client, &key(&target.name), target, wish, &args.place, &mut screen).await
            }
            Command::Resume(target) => {
                let wish = change::Wish::Resume;
                steer::steer(client, &key(&target.name), target, wish, &args.place, &mut screen).await
            }
        }
    })
}

async fn status(client: Client, key: &Key, args: &Status, screen: &mut Screen) -> Result<(), Error> {
    let snapshot = snapshot(client, key).await?;
    let now = Timestamp::now();
    let lines = match args.output {
        Some(_) => vec![pretty(&status_json(&snapshot, now))],
        None => status_lines(&snapshot, screen.canvas(), now),
    };
    screen.print(&lines).map_err(Error::Output)
}

async fn list(client: Client, namespace: &str, args: &List, screen: &mut Screen) -> Result<(), Error> {
    let mut scope = if args.all_namespaces { Scope::all() } else { Scope::namespaces([namespace]) };
    if let Some(selector) = &args.selector {
        scope = scope.labels(selector).map_err(Error::Selector)?;
    }
    let found = Once(client).objects::<Application>(scope).await?.ok_or(Error::Unknown)?;
    let now = Timestamp::now();
    let rows: Vec<_> = found.iter().map(|application| list::Row::of(application, now)).collect();
    if args.output.is_some() {
        return screen.print(&[pretty(&json!(rows))]).map_err(Error::Output);
    }
    if rows.is_empty() {
        // As kubectl does, so that a pipe gets nothing.
        let place = if args.all_namespaces { String::new() } else { format!(" in namespace {namespace}") };
        let _ = writeln!(io::stderr(), "no Applications found{place}");
        return Ok(());
    }
    screen.print(&list::lines(&rows, args.all_namespaces, screen.canvas().columns)).map_err(Error::Output)
}

async fn history(client: Client, key: &Key, args: &History, screen: &mut Screen) -> Result<(), Error> {
    let snapshot = snapshot(client, key).await?;
    if snapshot.unread.contains(&"controllerrevisions") {
        return Err(Error::Impossible(format!("you may not read the revisions in namespace {}", key.namespace)));
    }
    let rows = history::rows(&snapshot, Timestamp::now());
    let lines = match (args.revision, args.output) {
        (Some(number), output) => {
            let found = snapshot.revisions.iter().find(|revision| revision.it.revision == number);
            let template = found.and_then(|found| found.it.template()).ok_or_else(|| {
                let numbers: Vec<_> = rows.iter().map(|row| row.revision.to_string()).collect();
                Error::Impossible(format!("there is no revision {number}; there are: {}", numbers.join(", ")))
            })?;
            if output.is_some() {
                vec![pretty(&template)]
            } else {
                let yaml = serde_saphyr::to_string(&template).map_err(Error::Yaml)?;
                yaml.lines().map(str::to_owned).collect()
            }
        }
        (None, Some(_)) => vec![pretty(&json!(rows))],
        (None, None) => history::lines(&rows, screen.canvas().columns),
    };
    screen.print(&lines).map_err(Error::Output)
}

async fn logs(client: Client, key: &Key, args: &Logs) -> Result<(), Error> {
    let application: Option<Seen<Application>> = read(&client, key).await?;
    let application = application.ok_or_else(|| not_found(key))?;
    let Some(failure) = &application.it.status.failure else {
        let name = crate::observe::Kind::Deployment.name(&key.name);
        return Err(Error::Impossible(format!(
            "no pod of {} fails; of those that run: kubectl logs -n {} deployment/{name}",
            key.name, key.namespace
        )));
    };
    let pod_key = key.sibling(&*failure.pod);
    let pod: Option<Seen<k8s_openapi::api::core::v1::Pod>> =
        client.get(&pod_key).await.map_err(|error| Error::of("read the pod", error))?;
    let choice = logs::choose(failure, pod.as_ref(), args)?;
    let unread = |error| Error::of("read the log", error);
    let mut log = client.log(&pod_key, &choice.options).await.map_err(unread)?;
    let _ = writeln!(io::stderr(), "{}", choice.title);
    while let Some(bytes) = log.next().await.map_err(unread)? {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&bytes).and_then(|()| stdout.flush()).map_err(Error::Output)?;
    }
    Ok(())
}

/// The Application; `None` if it is not there. That the cluster has never heard of such is an error.
async fn read(client: &Client, key: &Key) -> Result<Option<Seen<Application>>, Error> {
    let unread = |error| Error::of("read the application", error);
    let found = client.get(key).await.map_err(unread)?;
    if found.is_none() {
        let of_namespace = Collection::of(Some(&key.namespace));
        match client.list::<Seen<Application>>(&of_namespace, Some(1), None).await {
            Err(error) if error.is_not_found() => return Err(Error::Unknown),
            // Who may not list may be told all the same that there is none.
            _ => {}
        }
    }
    Ok(found)
}

async fn snapshot(client: Client, key: &Key) -> Result<Snapshot, Error> {
    Snapshot::of(&Once(client), key).await?.ok_or_else(|| not_found(key))
}

fn not_found(key: &Key) -> Error {
    Error::NotFound { namespace: key.namespace.to_string(), name: key.name.to_string() }
}

/// What `status` shows people.
fn status_lines(snapshot: &Snapshot, canvas: Canvas, now: Timestamp) -> Vec<String> {
    let root = tree::tree(snapshot, now);
    draw::lines(&Summary::of(snapshot, root.health, &root.state), &root, canvas)
}

/// What `status` tells programs.
fn status_json(snapshot: &Snapshot, now: Timestamp) -> Value {
    let root = tree::tree(snapshot, now);
    json!({
        "summary": Summary::of(snapshot, root.health, &root.state),
        "failure": snapshot.application.it.status.failure,
        "tree": root,
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// Flags that a further command needs to go to the same place.
fn same_place(place: &Place) -> String {
    let flags = [("-n", &place.namespace), ("--context", &place.context)];
    let flags = flags.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", value.as_ref()?)));
    flags.collect()
}
