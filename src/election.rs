//! Whether this process is elected, and by which Lease: settings in, an elector out; and the order in which both end.

use std::env;

use engine::api::Client;
use engine::config::Config;
use engine::lease::{self, Elector};
use engine::object::Key;
use engine::shutdown;

use crate::args::Run;
use crate::manifests;

/// The elector has ended, which only a bug can cause: nobody would know any more who leads.
#[derive(Debug, thiserror::Error)]
#[error("the leader election has ended unexpectedly")]
pub struct Ended;

/// An elector that speaks through `client`; none, if this process is to act whoever else is there.
///
/// # Errors
///
/// If the periods of the election do not fit together.
pub fn elector(args: &Run, config: &Config, client: Client, name: &str) -> Result<Option<Elector>, lease::Error> {
    let (settings, is_in_cluster) = (&args.election, is_in_cluster(args));
    if !settings.leader_elect.unwrap_or(is_in_cluster) {
        return Ok(None);
    }
    let namespace = match &settings.leader_elect_resource_namespace {
        Some(namespace) => namespace,
        None if is_in_cluster => &config.default_namespace,
        // Who runs it outside contends with those inside, if there are any.
        None => manifests::NAMESPACE,
    };
    let key = Key::new(namespace, &*settings.leader_elect_resource_name);
    Ok(Some(Elector::new(client, key, name, settings.timing()?)))
}

/// Does `work`, which waits for the elector's leadership, and gives the Lease back after it.
///
/// # Errors
///
/// [`Ended`].
pub async fn elected<T>(elector: Option<Elector>, work: impl Future<Output = T>) -> Result<T, Ended> {
    let Some(elector) = elector else { return Ok(work.await) };
    let (resign, resigned) = shutdown::channel();
    let mut election = tokio::spawn(elector.run(resigned));
    let done = tokio::select! {
        done = work => done,
        _ = &mut election => return Err(Ended),
    };
    resign.give();
    // It has ended either way.
    let _ = election.await;
    Ok(done)
}

/// Whether the configuration is the pod's own, as [`Config::find`] finds it.
fn is_in_cluster(args: &Run) -> bool {
    let is_set = env::var_os("KUBECONFIG").is_some_and(|files| !files.is_empty());
    args.kubeconfig.is_none() && args.context.is_none() && !is_set && Config::in_cluster().is_ok()
}
