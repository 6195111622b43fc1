//! A server, real or simulated, as tests see it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;

use cluster::{Cluster, Component, Error, Kubectl, Options};
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::manifests;
use crate::simulated::Simulated;
use crate::switch::{is_simulated, kubectl};

/// A running server. It ends, and its state is removed, when this is dropped.
pub struct Server {
    which: Which,
    kubeconfig: PathBuf,
    admin: Admin,
}

enum Which {
    Real(Cluster),
    Simulated(Simulated, Kubectl),
}

/// Starts the server that the environment asks for, or says on stderr that a test is left out because this machine can't run
/// one.
pub fn start_or_say(options: Options) -> Option<Server> {
    let which = if is_simulated() {
        let simulated = Simulated::start(&options);
        // If there is none, running it says so.
        let program = kubectl().unwrap_or_else(|| PathBuf::from("kubectl"));
        let kubectl = Kubectl::new(program, simulated.folder());
        Which::Simulated(simulated, kubectl)
    } else {
        Which::Real(cluster::start_or_say(options)?)
    };
    let kubeconfig = match &which {
        Which::Real(cluster) => cluster.kubeconfig().to_owned(),
        Which::Simulated(simulated, _) => simulated.folder().join("kubeconfig"),
    };
    let admin = Admin::connect(&kubeconfig);
    Some(Server { which, kubeconfig, admin })
}

impl Server {
    /// Requests as the user that may do everything.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The kubeconfig of that user.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubeconfig of a user named in [`Options::users`].
    pub fn kubeconfig_for(&self, user: &str) -> PathBuf {
        match &self.which {
            Which::Real(cluster) => cluster.kubeconfig_for(user),
            Which::Simulated(simulated, _) => simulated.kubeconfig_for(user),
        }
    }

    /// The API server's URL.
    pub fn server(&self) -> String {
        match &self.which {
            Which::Real(cluster) => cluster.server(),
            Which::Simulated(simulated, _) => format!("https://{}", simulated.address()),
        }
    }

    /// The bearer token of the user that may do everything.
    pub fn token(&self) -> &str {
        match &self.which {
            Which::Real(cluster) => cluster.token(),
            Which::Simulated(simulated, _) => simulated.token(),
        }
    }

    /// A new bearer token of a service account.
    pub fn account_token(&self, namespace: &str, name: &str) -> String {
        if let Which::Simulated(simulated, _) = &self.which {
            return simulated.issue(&format!("system:serviceaccount:{namespace}:{name}"));
        }
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let wish = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let told = self.admin.create(&path, &wish);
        told["status"]["token"].as_str().expect("a token").to_owned()
    }

    /// The API server's log of requests: a line of JSON for each one that it has answered, which may come a moment after the
    /// answer. A watch is logged when it ends. The simulator leaves out questions of health, 401 and 413.
    pub fn audit_log(&self) -> PathBuf {
        match &self.which {
            Which::Real(cluster) => cluster.audit_log(),
            Which::Simulated(simulated, _) => simulated.folder().join("audit.log"),
        }
    }

    /// The folder with all of the server's state.
    pub fn folder(&self) -> &Path {
        match &self.which {
            Which::Real(cluster) => cluster.folder(),
            Which::Simulated(simulated, _) => simulated.folder(),
        }
    }

    /// The program kubectl; a test asks before by [`has_kubectl`](crate::has_kubectl) whether there is one.
    pub fn kubectl_program(&self) -> &Path {
        match &self.which {
            Which::Real(cluster) => cluster.kubectl_program(),
            Which::Simulated(_, kubectl) => kubectl.program(),
        }
    }

    /// Runs kubectl as the user that may do everything, and returns what came of it.
    ///
    /// # Errors
    ///
    /// If it could not be run. If it ran and failed, its status says so.
    pub fn kubectl<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> io::Result<Output> {
        match &self.which {
            Which::Real(cluster) => cluster.kubectl(args),
            Which::Simulated(_, kubectl) => kubectl.run(&self.kubeconfig, args, ""),
        }
    }

    /// Runs kubectl and returns what it printed.
    #[track_caller]
    pub fn kubectl_ok(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.kubectl(args).expect("kubectl can be run");
        assert!(status.success(), "kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&stderr));
        String::from_utf8_lossy(&stdout).into_owned()
    }

    /// Applies manifests.
    #[track_caller]
    pub fn apply(&self, yaml: &str) {
        match &self.which {
            Which::Real(cluster) => drop(cluster.apply(yaml)),
            Which::Simulated(..) => manifests::apply(&self.admin, yaml),
        }
    }

    /// Kills a component, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// If the server has no such component.
    pub fn kill(&self, component: Component) -> Result<(), Error> {
        match &self.which {
            Which::Real(cluster) => cluster.kill(component)?,
            Which::Simulated(simulated, _) => simulated.kill(component),
        }
        Ok(())
    }

    /// Kills a component if it runs, starts it on the same port and data, and waits until the API server answers.
    ///
    /// # Errors
    ///
    /// If the server has no such component, or it does not become ready.
    pub fn restart(&self, component: Component) -> Result<(), Error> {
        match &self.which {
            Which::Real(cluster) => cluster.restart(component)?,
            Which::Simulated(simulated, _) => simulated.restart(component),
        }
        if component == Component::ApiServer {
            // A write on a connection of its former life would be lost, since it is sent once; a read finds another.
            self.admin().try_ask("GET", "/version", &Value::Null);
        }
        Ok(())
    }

    /// Stops a component in its tracks: its sockets stay open, and nobody answers.
    ///
    /// # Errors
    ///
    /// If the server has no such component, or it isn't running.
    pub fn pause(&self, component: Component) -> Result<(), Error> {
        match &self.which {
            Which::Real(cluster) => cluster.pause(component)?,
            Which::Simulated(simulated, _) => simulated.pause(component),
        }
        Ok(())
    }

    /// Lets a paused component go on.
    ///
    /// # Errors
    ///
    /// If the server has no such component, or it isn't running.
    pub fn resume(&self, component: Component) -> Result<(), Error> {
        match &self.which {
            Which::Real(cluster) => cluster.resume(component)?,
            Which::Simulated(simulated, _) => simulated.resume(component),
        }
        Ok(())
    }
}
