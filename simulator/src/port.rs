//! The server on a port of this machine, over TLS, and the kubeconfig that leads there: for kubectl, or any other client.
//!
//! One end of the wire, as the engine's `transport` is the other; what is answered is not its business.

mod access;
mod connection;
mod log;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::shutdown::{self, Shutdown, Trigger};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use self::access::Access;
pub use self::connection::Door;
pub use self::log::Log;
use crate::service::Simulator;
use crate::user::User;

/// How long connections may take to finish once the port is closed. Watches end at once, and answers take milliseconds.
const FAREWELL: Duration = Duration::from_secs(2);

/// The wait after a connection could not be accepted, which happens when file descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no port.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The certificate can't be used.
    #[error("cannot use the certificate")]
    Tls(#[from] rustls::Error),
    /// There is no randomness for a token.
    #[error("cannot make a token")]
    Token(#[source] io::Error),
    /// Nothing can be listened to.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
    /// The kubeconfig can't be written.
    #[error("cannot write {}", .0.display())]
    Kubeconfig(PathBuf, #[source] io::Error),
}

/// An open port. It closes when this is dropped, and takes the kubeconfig with it.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    kubeconfig: PathBuf,
    stop: Trigger,
    served: Option<JoinHandle<()>>,
}

impl Port {
    /// Opens a free port of 127.0.0.1, and writes `kubeconfig` into `folder`, readable by nobody but its owner.
    ///
    /// Needs a runtime of tokio's, on which the connections are served.
    ///
    /// # Errors
    ///
    /// If there is no port to be had, or the folder can't be written to.
    pub async fn open(simulator: &Simulator, folder: &Path) -> Result<Self, Error> {
        let access = Access::new()?;
        let token = access.issue(User::admin())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Listen)?;
        let address = listener.local_addr().map_err(Error::Listen)?;
        let kubeconfig = folder.join("kubeconfig");
        access.write(&kubeconfig, address, &token).map_err(|error| Error::Kubeconfig(kubeconfig.clone(), error))?;
        let (stop, shutdown) = shutdown::channel();
        let served = Some(tokio::spawn(serve(listener, Door::new(simulator, &Arc::new(access)), shutdown)));
        Ok(Self { address, kubeconfig, stop, served })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file by which clients find and trust it, and are trusted.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Closes it, and waits until the last connection has ended.
    pub async fn close(mut self) {
        self.stop.give();
        if let Some(served) = self.served.take() {
            // It ends by itself; that it could panic is nobody's concern any more.
            let _ = served.await;
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // It leads nowhere now. If it is gone already, so much the better.
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

/// Lets in whoever comes over a listener, until the signal is given: a [`Port`] without a file, for whoever opens and closes it
/// again and again.
pub async fn serve(listener: TcpListener, door: Door, shutdown: Shutdown) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.given() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(connection::converse(socket, door.clone(), shutdown.clone()));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    // Those that are left are aborted when the set is dropped.
    let _ = tokio::time::timeout(FAREWELL, drained).await;
}
