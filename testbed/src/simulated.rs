//! The simulator as a cluster: an API server on a port of this machine that can be killed, started again and paused, with what
//! it knows kept as etcd keeps it, and controllers behind it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cluster::folder::{self, Folder};
use cluster::{Component, Components, Options, ports};
use engine::shutdown::{self, Shutdown, Trigger};
use simulator::port::{Access, Door, Log, serve};
use simulator::user::User;
use simulator::{Controllers, Simulator};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Always the same one: what differs from run to run is the time.
const SEED: u64 = 7;

/// The flag of the API server that says how long etcd keeps what was, in seconds: `1s`.
const COMPACTION: &str = "--etcd-compaction-interval=";

/// A flag that makes no difference here: all that was is kept until a compaction, with or without a cache.
const CACHE: &str = "--watch-cache=";

/// A running simulator.
pub(crate) struct Simulated {
    /// None while it is killed.
    running: Mutex<Option<Running>>,
    parts: Parts,
    /// That of the user that may do everything.
    token: String,
    folder: Folder,
}

/// What stays through all restarts.
#[derive(Clone)]
struct Parts {
    simulator: Simulator,
    access: Arc<Access>,
    address: SocketAddr,
    log: Arc<Log>,
    acts: bool,
    compaction: Option<Duration>,
}

/// The API server's thread.
struct Running {
    stop: Trigger,
    pauses: UnboundedSender<Pause>,
    /// What keeps it paused, while it is.
    paused: Option<mpsc::Sender<()>>,
    thread: JoinHandle<()>,
}

/// To be told when the pause begins, and to wait for its end: that the other end is gone.
type Pause = (mpsc::Sender<()>, mpsc::Receiver<()>);

impl Simulated {
    pub(crate) fn start(options: &Options) -> Self {
        let folder = Folder::claim(&folder::runs(), options.name.as_deref()).expect("a folder");
        let access = Arc::new(Access::new().expect("certificates"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free().expect("a port")));
        let token = introduce(&access, User::admin(), &folder.path().join("kubeconfig"), address);
        for name in &options.users {
            introduce(&access, User::named(name), &own(folder.path(), name), address);
        }
        let parts = Parts {
            simulator: Simulator::new(SEED, Arc::new(jiff::Timestamp::now)),
            access,
            address,
            log: Arc::new(Log::open(&folder.path().join("audit.log")).expect("a file in the folder")),
            acts: options.components == Components::Full,
            compaction: compaction(options),
        };
        let running = Mutex::new(Some(Running::start(parts.clone())));
        Self { running, parts, token, folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.parts.address
    }

    pub(crate) fn kubeconfig_for(&self, user: &str) -> PathBuf {
        let file = own(self.folder.path(), user);
        assert!(file.exists(), "{user} is not among the users of this server's options");
        file
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// A token for another user.
    pub(crate) fn issue(&self, user: &str) -> String {
        self.parts.access.issue(User::named(user)).expect("a token")
    }

    /// Takes the API server away, with all its connections.
    pub(crate) fn kill(&self, component: Component) {
        is_there(component);
        if let Some(running) = self.running().take() {
            running.end();
        }
    }

    /// Starts it anew, on the same port and with what it knew; of what was before, a new one knows nothing.
    pub(crate) fn restart(&self, component: Component) {
        is_there(component);
        let mut running = self.running();
        if let Some(running) = running.take() {
            running.end();
        }
        self.parts.simulator.compact(self.parts.simulator.look(simulator::Server::version));
        *running = Some(Running::start(self.parts.clone()));
    }

    /// Stops it in its tracks: its sockets stay open, and nobody answers.
    pub(crate) fn pause(&self, component: Component) {
        is_there(component);
        let mut running = self.running();
        let running = running.as_mut().expect("it runs");
        let ((begun, begins), (keep, end)) = (mpsc::channel(), mpsc::channel());
        running.pauses.send((begun, end)).expect("it runs");
        begins.recv().expect("it runs");
        running.paused = Some(keep);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self, component: Component) {
        is_there(component);
        self.running().as_mut().expect("it runs").paused = None;
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        // A test that panicked with it left nothing half done.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        if let Some(running) = self.running().take() {
            running.end();
        }
    }
}

impl Running {
    fn start(parts: Parts) -> Self {
        let (stop, shutdown) = shutdown::channel();
        let (pauses, asked) = unbounded_channel();
        // Here, so that whoever comes next is let in.
        let listener = TcpListener::bind(parts.address).expect("its port");
        listener.set_nonblocking(true).expect("a socket");
        let thread = thread::Builder::new().name("api server".into()).spawn(move || {
            // Whatever it has begun ends with its runtime.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(live(parts, listener, shutdown, asked));
        });
        Self { stop, pauses, paused: None, thread: thread.expect("a thread") }
    }

    fn end(mut self) {
        self.paused = None;
        self.stop.give();
        // That it has panicked is on stderr.
        let _ = self.thread.join();
    }
}

/// Serves, and lets controllers act, until the signal is given: then all of it stops where it is, as what is killed does.
async fn live(parts: Parts, listener: TcpListener, shutdown: Shutdown, mut pauses: UnboundedReceiver<Pause>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
    let door = Door::new(&parts.simulator, &parts.access).logged(parts.log);
    let (_kept, never) = shutdown::channel();
    let act = async {
        if parts.acts {
            parts.simulator.run(Controllers::new(SEED)).await;
        }
        std::future::pending::<()>().await;
    };
    let pause = async {
        while let Some((begun, end)) = pauses.recv().await {
            // The thread is the only one, so that nothing else goes on. An error is the end of the pause, or of the test.
            let _ = begun.send(());
            let _ = end.recv();
        }
    };
    tokio::select! {
        () = shutdown.given() => {}
        () = serve(listener, door, never) => {}
        () = act => {}
        () = pause => {}
        () = forget(&parts.simulator, parts.compaction) => {}
    }
}

/// Forgets now and then what was before the last time.
async fn forget(simulator: &Simulator, period: Option<Duration>) {
    let Some(period) = period else { return std::future::pending().await };
    let mut version = 0;
    loop {
        simulator.compact(version);
        version = simulator.look(simulator::Server::version);
        tokio::time::sleep(period).await;
    }
}

/// How long what was is kept.
fn compaction(options: &Options) -> Option<Duration> {
    let mut period = None;
    for (component, flag) in &options.flags {
        assert_eq!(*component, Component::ApiServer, "{flag}");
        if let Some(seconds) = flag.strip_prefix(COMPACTION).and_then(|text| text.strip_suffix('s')) {
            period = Some(Duration::from_secs(seconds.parse().expect("a number of seconds")));
        } else {
            assert!(flag.starts_with(CACHE), "the simulator has no flag {flag}");
        }
    }
    period
}

/// Makes a user known: writes its kubeconfig, and returns its token.
fn introduce(access: &Access, user: User, kubeconfig: &Path, address: SocketAddr) -> String {
    let token = access.issue(user).expect("a token");
    access.write(kubeconfig, address, &token).expect("a file in the folder");
    token
}

fn own(folder: &Path, user: &str) -> PathBuf {
    folder.join(format!("kubeconfig-{user}"))
}

fn is_there(component: Component) {
    assert_eq!(component, Component::ApiServer, "the simulator has no other component");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_server_is_found_again_with_all_that_it_knew() {
        let simulated = Simulated::start(&Options::api_only());
        let admin = crate::Admin::connect(&simulated.folder().join("kubeconfig"));
        let space = serde_json::json!({"metadata": {"name": "blue"}});
        admin.create("/api/v1/namespaces", &space);
        simulated.kill(Component::ApiServer);
        assert_eq!(admin.try_ask("GET", "/api/v1/namespaces/blue", &serde_json::Value::Null), None);
        simulated.restart(Component::ApiServer);
        assert!(admin.get("/api/v1/namespaces/blue").is_some());
    }

    #[test]
    fn a_paused_server_answers_nothing_until_it_goes_on() {
        let simulated = Simulated::start(&Options::api_only());
        let admin = crate::Admin::connect(&simulated.folder().join("kubeconfig"));
        assert!(admin.get("/api/v1/namespaces/default").is_some());
        simulated.pause(Component::ApiServer);
        let asked = thread::spawn({
            let admin = admin.clone();
            move || admin.get("/api/v1/namespaces/default").is_some()
        });
        thread::sleep(Duration::from_millis(300));
        assert!(!asked.is_finished());
        simulated.resume(Component::ApiServer);
        assert!(asked.join().expect("no panic"));
    }
}
