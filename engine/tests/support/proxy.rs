//! The network between a client and an API server: it can fall silent, be cut, be held back, and refuse.
//!
//! It carries bytes and knows no TLS: the server's certificate is good for the proxy, since both are on this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use engine::config::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A proxy. All its connections end when it is dropped.
pub(crate) struct Proxy {
    orders: watch::Sender<Orders>,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

/// What is to be done with which connections. They are numbered as they come.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    /// Connections before this one carry nothing any more, and stay open.
    silent_before: usize,
    /// Connections before this one are reset.
    reset_before: usize,
    /// What the server says is kept back.
    held: bool,
    /// New connections are reset at once.
    refusing: bool,
}

#[derive(Debug)]
struct Counts {
    accepted: AtomicUsize,
    /// What the server may still say until the connection on which it says the last of it is reset.
    allowance: AtomicUsize,
    cut: AtomicUsize,
}

/// An allowance that is never used up.
const UNLIMITED: usize = usize::MAX;

impl Proxy {
    /// A proxy that leads to the server of `config`, and a configuration that leads to the proxy.
    pub(crate) async fn start(config: &Config) -> (Self, Config) {
        let server = config.server.authority().expect("a server").as_str().parse().expect("an IP address");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let orders = watch::Sender::new(Orders::default());
        let (accepted, allowance, cut) = (AtomicUsize::new(0), AtomicUsize::new(UNLIMITED), AtomicUsize::new(0));
        let counts = Arc::new(Counts { accepted, allowance, cut });
        let accepting = tokio::spawn(accept(listener, server, orders.subscribe(), counts.clone()));
        let server = format!("https://{address}").parse().expect("a URL");
        (Self { orders, counts, accepting }, Config { server, ..config.clone() })
    }

    /// From now on nothing comes through the connections that are open, and nobody says so. New ones are good.
    pub(crate) fn silence(&self) {
        let accepted = self.counts.accepted.load(Ordering::SeqCst);
        self.orders.send_modify(|orders| orders.silent_before = accepted);
    }

    /// Resets the connections that are open. New ones are good.
    pub(crate) fn reset(&self) {
        let accepted = self.counts.accepted.load(Ordering::SeqCst);
        self.orders.send_modify(|orders| orders.reset_before = accepted);
    }

    /// Resets all connections, and each new one until [`accept`](Self::accept).
    pub(crate) fn refuse(&self) {
        self.orders.send_modify(|orders| orders.refusing = true);
        self.reset();
    }

    /// Ends [`refuse`](Self::refuse).
    pub(crate) fn accept(&self) {
        self.orders.send_modify(|orders| orders.refusing = false);
    }

    /// Keeps back what the server says until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.orders.send_modify(|orders| orders.held = true);
    }

    /// Ends [`hold`](Self::hold).
    pub(crate) fn release(&self) {
        self.orders.send_modify(|orders| orders.held = false);
    }

    /// Resets the connection on which the server says the last of so many more bytes; once.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.counts.allowance.store(bytes, Ordering::SeqCst);
    }

    /// How many connections were reset because of [`cut_after`](Self::cut_after).
    pub(crate) fn cuts(&self) -> usize {
        self.counts.cut.load(Ordering::SeqCst)
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, orders: watch::Receiver<Orders>, counts: Arc<Counts>) {
    loop {
        let (client, _) = listener.accept().await.expect("a connection");
        let number = counts.accepted.fetch_add(1, Ordering::SeqCst);
        if orders.borrow().refusing {
            reset(client);
            continue;
        }
        let (orders, counts) = (orders.clone(), counts.clone());
        tokio::spawn(async move {
            // A server that is dead refuses, and so does the proxy.
            match TcpStream::connect(server).await {
                Ok(server) => carry(number, client, server, orders, &counts).await,
                Err(_refused) => reset(client),
            }
        });
    }
}

async fn carry(
    number: usize,
    mut client: TcpStream,
    mut server: TcpStream,
    mut orders: watch::Receiver<Orders>,
    counts: &Counts,
) {
    // As large as a record of TLS.
    let (mut up, mut down) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        let order = *orders.borrow_and_update();
        if number < order.reset_before {
            reset(client);
            return reset(server);
        }
        let speaks = number >= order.silent_before;
        tokio::select! {
            changed = orders.changed() => if changed.is_err() {
                return;
            },
            read = client.read(&mut up), if speaks => match read {
                Ok(read @ 1..) if server.write_all(&up[..read]).await.is_ok() => {}
                _ => return,
            },
            read = server.read(&mut down), if speaks && !order.held => {
                let Ok(read @ 1..) = read else { return };
                let passed = counts.pass(read);
                if client.write_all(&down[..passed]).await.is_err() {
                    return;
                }
                if passed < read {
                    // So that the client has read what it was given.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    reset(client);
                    return reset(server);
                }
            }
        }
    }
}

impl Counts {
    /// How much of `read` bytes may pass. If that is less, the allowance is used up, and there is no other.
    fn pass(&self, read: usize) -> usize {
        let allowance = self.allowance.load(Ordering::SeqCst);
        if allowance == UNLIMITED {
            return read;
        }
        if read <= allowance {
            self.allowance.store(allowance - read, Ordering::SeqCst);
            return read;
        }
        self.allowance.store(UNLIMITED, Ordering::SeqCst);
        self.cut.fetch_add(1, Ordering::SeqCst);
        allowance
    }
}

/// Ends a connection as a router does that has forgotten it.
fn reset(connection: TcpStream) {
    // If it is gone already, so much the better.
    let _ = connection.set_zero_linger();
    drop(connection);
}
