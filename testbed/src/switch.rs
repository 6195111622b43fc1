//! The environment → which server tests run against, and what it has.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, thread};

use cluster::Assets;

/// The variable that says which server it is.
const SWITCH: &str = "TEST_SERVER";

/// What only the real server has, and some test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Roles that are looked at.
    Authorisation,
    /// Quotas.
    Quotas,
    /// Admission policies.
    Policies,
    /// Controllers of disruption budgets and autoscalers.
    Scalers,
    /// A kubelet that can be asked for logs.
    Logs,
    /// An etcd under the API server, that can be killed, restored or shared.
    Etcd,
    /// A server that does not know of streamed lists (the feature gate `WatchList`).
    Pages,
    /// An elector of client-go's.
    ClientGo,
}

impl Feature {
    /// Why the simulator hasn't it.
    fn why(self) -> &'static str {
        match self {
            Self::Authorisation => "it has no authorisation: whoever has a token may do everything",
            Self::Quotas => "it has no quotas",
            Self::Policies => "it has no admission policies",
            Self::Scalers => "nothing acts on disruption budgets and autoscalers",
            Self::Logs => "it runs no containers, and so has no logs",
            Self::Etcd => "its state is in its memory: there is no etcd to kill, to restore or to share",
            Self::Pages => "it has no feature gates, and always streams lists",
            Self::ClientGo => "its scheduler is no process that elects a leader",
        }
    }
}

/// Whether tests run against the simulator.
pub fn is_simulated() -> bool {
    match env::var(SWITCH).as_deref() {
        Err(_) | Ok("" | "real") => false,
        Ok("simulator") => true,
        Ok(other) => panic!("{SWITCH} is {other:?}, and may be `simulator` or `real`"),
    }
}

/// Whether the server has something. If not, a test leaves out what needs it, and this has said so on stderr.
pub fn has(feature: Feature) -> bool {
    if is_simulated() {
        eprintln!("NOT ON THE SIMULATOR: {}: {}", test(), feature.why());
    }
    !is_simulated()
}

/// Whether there is a kubectl. If not, a test that needs it is left out, and this has said so on stderr.
pub fn has_kubectl() -> bool {
    // The real server comes with one.
    let has = !is_simulated() || kubectl().is_some();
    if !has {
        eprintln!("LEFT OUT: {}: needs kubectl, which is neither built nor on the PATH", test());
    }
    has
}

/// The kubectl of the same release as the real server, if it is built; or else that of `PATH`.
pub(crate) fn kubectl() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let on_path =
        || env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join("kubectl")).find(|it| it.is_file());
    FOUND.get_or_init(|| Assets::built().map(|assets| assets.kubectl()).or_else(on_path)).clone()
}

/// The name of the test that runs on this thread, with that of its program.
fn test() -> String {
    let program = env::current_exe().unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    // Behind the name there is a hash.
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    format!("{program}::{}", thread::current().name().unwrap_or_default())
}
