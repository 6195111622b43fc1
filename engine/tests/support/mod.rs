//! An API server, real or simulated, the caches that the engine keeps of it, and what stands between the two.
//!
//! The tests of one file share a cluster, which dies with their process; each test has a namespace of its own. One that
//! kills the API server has a cluster of its own.

#![allow(dead_code, unused_imports)] // Each file of tests uses a part of it.

mod answers;
mod config_map;
mod proxy;
mod reflected;
mod requests;
mod space;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use engine::transport;
use testbed::{Options, Server};

pub(crate) use self::answers::refusal;
pub(crate) use self::config_map::{ConfigMap, State, client, config_map};
pub(crate) use self::proxy::Proxy;
pub(crate) use self::reflected::Reflected;
pub(crate) use self::requests::{Asked, Requests};
pub(crate) use self::space::Space;

/// Many times what anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Short against what is measured.
const POLL: Duration = Duration::from_millis(10);

/// The cluster that all tests of this process share; `None`, said loudly, where this machine can't run one.
pub(crate) fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(|| testbed::start_or_say(Options::api_only())).as_ref()
}

/// A cache of `space` behind a proxy, in sync, and what it has asked for.
pub(crate) async fn behind_proxy(space: &Space<'_>) -> (Proxy, Reflected, Requests) {
    let (proxy, config) = Proxy::start(&space.config).await;
    let (service, requests) = Requests::of(transport::connect(&config).expect("a usable configuration"));
    let reflected = Reflected::start(client(&service), space.name);
    reflected.reader.synced().await;
    (proxy, reflected, requests)
}

/// Looks until `seen`, and says how long that took.
#[track_caller]
pub(crate) fn until(what: &str, seen: impl Fn() -> bool) -> impl Future<Output = Duration> {
    let (started, caller) = (Instant::now(), std::panic::Location::caller());
    async move {
        while !seen() {
            assert!(started.elapsed() < PATIENCE, "{caller}: waited {PATIENCE:?} in vain for {what}");
            tokio::time::sleep(POLL).await;
        }
        started.elapsed()
    }
}
