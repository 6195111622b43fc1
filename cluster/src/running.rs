//! A running cluster, as tests see it.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::assets::Assets;
use crate::flags::Layout;
use crate::folder::runs;
use crate::kubeconfig::{ADMIN, User};
use crate::kubectl::Kubectl;
use crate::processes::Processes;
use crate::start::{self, Error, Started};
use crate::{Component, Options, ready};

/// A running cluster. Its processes end, and its state is removed, when it is dropped.
///
/// A cluster in a `static` is never dropped: its processes end with the test all the same, and its
/// state is removed when the next cluster starts.
#[derive(Debug)]
pub struct Cluster {
    assets: Assets,
    layout: Layout,
    users: Vec<User>,
    kubectl: Kubectl,
    kubeconfig: PathBuf,
    processes: Mutex<Processes>,
}

/// Starts a cluster, or says on stderr that a test is left out because this machine can't run one.
///
/// # Panics
///
/// Panics if it can, and the cluster does not start.
pub fn start_or_say(options: Options) -> Option<Cluster> {
    match Cluster::start(options) {
        Ok(cluster) => Some(cluster),
        Err(error) => {
            let Some(why_not) = error.why_not() else { panic!("{}", chain(&error)) };
            let test = env::current_exe().unwrap_or_default();
            let test = test.file_stem().unwrap_or_default().display();
            eprintln!("LEFT OUT: {test}: needs a real control plane: {why_not}");
            None
        }
    }
}

impl Cluster {
    /// Starts a cluster and waits until it is ready. The first start ever builds it, for minutes.
    ///
    /// # Errors
    ///
    /// If this machine can't run it ([`Error::why_not`]), or a component does not become ready.
    #[allow(clippy::needless_pass_by_value)] // `start(Options::default())` reads best.
    pub fn start(options: Options) -> Result<Self, Error> {
        let assets = Assets::find()?;
        let Started { layout, users, kubectl, processes } = start::start(&runs(), &assets, &options)?;
        let kubeconfig = layout.kubeconfig();
        let processes = Mutex::new(processes);
        Ok(Self { assets, layout, users, kubectl, kubeconfig, processes })
    }

    /// Kills the cluster and removes its state, as dropping it does.
    pub fn stop(self) {}

    /// The kubeconfig of a user that may do everything.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubeconfig of a user named in [`Options::users`].
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn kubeconfig_for(&self, user: &str) -> PathBuf {
        self.layout.folder.join(self.user(user).kubeconfig())
    }

    /// The API server's URL.
    pub fn server(&self) -> String {
        self.layout.server()
    }

    /// The bearer token of the user that may do everything.
    pub fn token(&self) -> &str {
        self.token_for(ADMIN)
    }

    /// The bearer token of a user named in [`Options::users`].
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn token_for(&self, user: &str) -> &str {
        &self.user(user).token
    }

    /// The API server's certificate in PEM, by which clients know it.
    pub fn certificate(&self) -> PathBuf {
        self.layout.certificate()
    }

    /// The API server's log of requests: a line of JSON for each one that it has answered.
    ///
    /// The line may come a moment after the answer. A watch is logged when it ends.
    pub fn audit_log(&self) -> PathBuf {
        self.layout.audit_log()
    }

    /// What a component has said so far.
    pub fn log(&self, component: Component) -> PathBuf {
        self.layout.log(component)
    }

    /// The folder with all of the cluster's state.
    pub fn folder(&self) -> &Path {
        &self.layout.folder
    }

    /// The programs that the cluster runs.
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    /// The program that [`kubectl`](Self::kubectl) runs, for whoever runs it otherwise.
    pub fn kubectl_program(&self) -> &Path {
        self.kubectl.program()
    }

    /// Runs kubectl as the user that may do everything, and returns what came of it.
    ///
    /// # Errors
    ///
    /// If it could not be run. If it ran and failed, its status says so.
    pub fn kubectl<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> io::Result<Output> {
        self.kubectl.run(self.kubeconfig(), args, "")
    }

    /// Runs kubectl as a user named in [`Options::users`].
    ///
    /// # Errors
    ///
    /// If it could not be run. If it ran and failed, its status says so.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn kubectl_as<A: AsRef<OsStr>>(&self, user: &str, args: impl IntoIterator<Item = A>) -> io::Result<Output> {
        self.kubectl.run(&self.kubeconfig_for(user), args, "")
    }

    /// Runs kubectl and returns what it printed.
    ///
    /// # Panics
    ///
    /// Panics with what it said if it fails.
    #[track_caller]
    pub fn kubectl_ok(&self, args: &[&str]) -> String {
        self.kubectl_with_input(args, "")
    }

    /// Applies manifests and returns what kubectl said of each.
    ///
    /// # Panics
    ///
    /// Panics with what it said if it fails.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> String {
        self.kubectl_with_input(&["apply", "-f", "-"], yaml)
    }

    #[track_caller]
    fn kubectl_with_input(&self, args: &[&str], stdin: &str) -> String {
        match self.kubectl.run(self.kubeconfig(), args, stdin) {
            Ok(Output { status, stdout, .. }) if status.success() => String::from_utf8_lossy(&stdout).into_owned(),
            Ok(Output { stderr, .. }) => {
                panic!("kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&stderr))
            }
            Err(error) => panic!("cannot run kubectl: {error}"),
        }
    }

    /// Kills a component with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// If the cluster has no such component.
    pub fn kill(&self, component: Component) -> Result<(), Error> {
        Ok(self.processes().kill(component)?)
    }

    /// Kills a component if it runs, and starts it on the same port and data. After etcd or the
    /// API server has been started, it waits until the API server answers, if that one is awake.
    ///
    /// # Errors
    ///
    /// If the cluster has no such component, or it does not become ready.
    pub fn restart(&self, component: Component) -> Result<(), Error> {
        let mut processes = self.processes();
        processes.kill(component)?;
        processes.start(component)?;
        if component == Component::Etcd {
            ready::etcd(&mut processes, &self.layout)?;
        }
        let serves = matches!(component, Component::Etcd | Component::ApiServer);
        if serves && processes.is_awake(Component::ApiServer) {
            ready::api_server(&mut processes, &self.layout, &self.kubectl)?;
        }
        Ok(())
    }

    /// Stops a component in its tracks with SIGSTOP: its sockets stay open, and nobody answers.
    ///
    /// # Errors
    ///
    /// If the cluster has no such component, or it isn't running.
    pub fn pause(&self, component: Component) -> Result<(), Error> {
        Ok(self.processes().pause(component, true)?)
    }

    /// Lets a paused component go on.
    ///
    /// # Errors
    ///
    /// If the cluster has no such component, or it isn't running.
    pub fn resume(&self, component: Component) -> Result<(), Error> {
        Ok(self.processes().pause(component, false)?)
    }

    fn user(&self, name: &str) -> &User {
        let user = self.users.iter().find(|user| user.name == name);
        user.unwrap_or_else(|| panic!("{name} is not among the users of this cluster's options"))
    }

    fn processes(&self) -> MutexGuard<'_, Processes> {
        // A test that panicked with it left nothing half done that a kill would not undo.
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
