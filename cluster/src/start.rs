//! From options to a cluster that answers.

use std::fs;
use std::io;
use std::path::Path;

use crate::assets::{self, Assets};
use crate::flags::{AUDIT_POLICY, Layout};
use crate::folder::{self, Folder};
use crate::kubeconfig::{self, ADMIN, User};
use crate::kubectl::Kubectl;
use crate::processes::{self, Processes};
use crate::ready;
use crate::{Component, Components, Options, nodes, ports};

/// Two clusters rarely pick the same port in the same moment; thrice in a row, something is broken.
const ATTEMPTS: u32 = 3;

/// The file that says that a cluster is ready, and where its API server is.
pub(crate) const READY: &str = "ready";

/// Why a cluster did not start, or does not do as told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are no programs to run.
    #[error(transparent)]
    Assets(#[from] assets::Error),
    /// There is no folder to keep its state in.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// A component ended, or never ran.
    #[error(transparent)]
    Process(#[from] processes::Error),
    /// It did not become ready.
    #[error(transparent)]
    Ready(#[from] ready::Error),
    /// A file in the cluster's folder could not be written, or no port was free.
    #[error("cannot prepare the cluster")]
    Prepare(#[source] io::Error),
    /// The nodes could not be created.
    #[error("cannot create the nodes: {0}")]
    Nodes(String),
}

impl Error {
    /// What this machine lacks, if that is the reason.
    pub fn why_not(&self) -> Option<&assets::WhyNot> {
        match self {
            Self::Assets(assets::Error::WhyNot(why_not)) => Some(why_not),
            _ => None,
        }
    }

    fn is_port_taken(&self) -> bool {
        match self {
            Self::Process(error) | Self::Ready(ready::Error::Process(error)) => error.is_port_taken(),
            _ => false,
        }
    }
}

/// All that a running cluster is made of.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) layout: Layout,
    pub(crate) users: Vec<User>,
    pub(crate) kubectl: Kubectl,
    pub(crate) processes: Processes,
}

/// Starts a cluster, on other ports if those picked turn out to be taken.
pub(crate) fn start(runs: &Path, assets: &Assets, options: &Options) -> Result<Started, Error> {
    assets.require(options.components.list())?;
    let mut attempt = 1;
    loop {
        match start_once(runs, assets, options) {
            Err(error) if error.is_port_taken() && attempt < ATTEMPTS => attempt += 1,
            result => return result,
        }
    }
}

fn start_once(runs: &Path, assets: &Assets, options: &Options) -> Result<Started, Error> {
    let folder = Folder::claim(runs, options.name.as_deref())?;
    let layout = layout(folder.path(), assets, options).map_err(Error::Prepare)?;
    let users = users(&options.users).map_err(Error::Prepare)?;
    write_inputs(&layout, &users).map_err(Error::Prepare)?;

    let kubectl = Kubectl::new(assets.kubectl(), &layout.folder);
    let components = options.components.list();
    let mut processes = Processes::new(folder, components, assets, &layout)?;
    processes.start(Component::Etcd)?;
    processes.start(Component::ApiServer)?;
    ready::certificate(&mut processes, &layout)?;
    write_kubeconfigs(&layout, &users).map_err(Error::Prepare)?;
    ready::api_server(&mut processes, &layout, &kubectl)?;

    // Sooner is no use: they would only take the API server's time, and retry.
    for component in &components[2..] {
        processes.start(*component)?;
    }
    if options.components == Components::Full {
        create_nodes(&kubectl, &layout, options.nodes)?;
        ready::nodes(&mut processes, &layout, &kubectl)?;
        ready::service_account(&mut processes, &layout, &kubectl)?;
    }
    // An API server that answers may be another cluster's, with ours gone for want of its port.
    processes.check()?;
    fs::write(layout.folder.join(READY), layout.server()).map_err(Error::Prepare)?;
    Ok(Started { layout, users, kubectl, processes })
}

fn layout(folder: &Path, assets: &Assets, options: &Options) -> io::Result<Layout> {
    Ok(Layout {
        folder: folder.to_owned(),
        etcd_port: ports::free()?,
        server_port: ports::free()?,
        audit: options.audit,
        service_accounts: options.components == Components::Full,
        stages: assets.stages(),
        extra: options.flags.clone(),
    })
}

fn users(names: &[String]) -> io::Result<Vec<User>> {
    let names = names.iter().map(String::as_str);
    std::iter::once(ADMIN).chain(names).map(User::new).collect()
}

fn write_inputs(layout: &Layout, users: &[User]) -> io::Result<()> {
    fs::write(layout.tokens(), kubeconfig::tokens(users))?;
    fs::write(layout.audit_policy(), AUDIT_POLICY)?;
    // So that it is there to be read before the first request.
    fs::write(layout.audit_log(), "")
}

fn write_kubeconfigs(layout: &Layout, users: &[User]) -> io::Result<()> {
    let certificate = fs::read_to_string(layout.certificate())?;
    for user in users {
        let config = kubeconfig::render(&layout.server(), &certificate, user);
        fs::write(layout.folder.join(user.kubeconfig()), config)?;
    }
    Ok(())
}

fn create_nodes(kubectl: &Kubectl, layout: &Layout, count: u32) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    let manifests = nodes::manifests(count);
    let output = kubectl
        .run(&layout.kubeconfig(), ["create", "--validate=ignore", "-f", "-"], &manifests)
        .map_err(Error::Prepare)?;
    if output.status.success() {
        Ok(())
    } else {
        Err(Error::Nodes(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()))
    }
}
