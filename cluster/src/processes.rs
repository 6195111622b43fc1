//! The processes of one cluster, with the folder that they work in.

use std::io;
use std::process::ExitStatus;

use crate::Component;
use crate::assets::Assets;
use crate::flags::Layout;
use crate::folder::Folder;
use crate::process::Process;
use crate::reaper::Group;

/// All of them end, and the folder is removed, when this is dropped.
#[derive(Debug)]
pub(crate) struct Processes {
    group: Group,
    all: Vec<Process>,
    folder: Folder,
}

/// Why a component is not running as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It was never part of this cluster.
    #[error("this cluster has no {0}")]
    Absent(Component),
    /// It ended by itself.
    #[error("{component} ended with {status}; its last words:\n{tail}")]
    Ended {
        /// Which one.
        component: Component,
        /// How.
        status: ExitStatus,
        /// The end of its log.
        tail: String,
    },
    /// The system refused to start, signal or wait for it.
    #[error("cannot control {0}")]
    Io(Component, #[source] io::Error),
    /// The group of processes could not be made.
    #[error("cannot start a process group")]
    Group(#[source] io::Error),
}

impl Error {
    /// Whether another process was quicker to take a port, so that another port is worth a try.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { tail, .. } if tail.contains("address already in use"))
    }
}

impl Processes {
    /// Prepares the components without starting any.
    pub(crate) fn new(
        folder: Folder,
        components: &[Component],
        assets: &Assets,
        layout: &Layout,
    ) -> Result<Self, Error> {
        let group = folder.share_lock().and_then(Group::start).map_err(Error::Group)?;
        let process = |component: &Component| {
            let program = assets.program(*component);
            Process::new(*component, program, layout.flags(*component), layout.log(*component))
        };
        Ok(Self { group, all: components.iter().map(process).collect(), folder })
    }

    /// Starts one that isn't running.
    pub(crate) fn start(&mut self, component: Component) -> Result<(), Error> {
        let Self { group, folder, .. } = self;
        let process = find(&mut self.all, component)?;
        process.start(group, folder).map_err(|error| Error::Io(component, error))
    }

    /// Kills one and waits until it is gone.
    pub(crate) fn kill(&mut self, component: Component) -> Result<(), Error> {
        let process = find(&mut self.all, component)?;
        process.kill().map_err(|error| Error::Io(component, error))
    }

    /// Stops one in its tracks, or lets it go on.
    pub(crate) fn pause(&mut self, component: Component, paused: bool) -> Result<(), Error> {
        let process = find(&mut self.all, component)?;
        process.pause(paused).map_err(|error| Error::Io(component, error))
    }

    /// Fails if one has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        for process in &mut self.all {
            let component = process.component;
            let exited = process.exited().map_err(|error| Error::Io(component, error))?;
            if let Some(status) = exited {
                return Err(Error::Ended { component, status, tail: process.tail() });
            }
        }
        Ok(())
    }

    /// Whether a component can be expected to answer.
    pub(crate) fn is_awake(&self, component: Component) -> bool {
        self.all.iter().any(|process| process.component == component && process.is_awake())
    }

    /// The end of a component's log.
    pub(crate) fn tail(&self, component: Component) -> String {
        self.all.iter().find(|process| process.component == component).map_or_else(String::new, Process::tail)
    }
}

fn find(all: &mut [Process], component: Component) -> Result<&mut Process, Error> {
    all.iter_mut().find(|process| process.component == component).ok_or(Error::Absent(component))
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.group.kill();
        // They are children of this process, which else would keep what is left of them.
        self.all.iter_mut().for_each(Process::wait);
        // And now the folder, the last field, is dropped: nobody uses it any more.
    }
}
