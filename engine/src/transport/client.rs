//! Where requests meet sockets: HTTP/2 where the server speaks it, HTTP/1.1 where not, over TLS or plain.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Uri;
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::deadline::is_watch;
use super::error::Cause;
use super::{Error, Limits, Request, Response, tls};
use crate::config::Config;

/// What one HTTP/2 stream may send before it is read: 2 MiB keep a gigabit line full over 16 ms, so that a list of many
/// megabytes is not held up by the way there and back.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;

/// What all streams of a connection may send together. Each watch that nobody reads just now holds up to a stream's
/// window of it, and when it is used up, everything else on the connection waits, renewals of the lease included. So it
/// is 32 times the stream's; memory is taken only for what was sent and not read.
const CONNECTION_WINDOW: u32 = 32 * STREAM_WINDOW;

/// Connections over HTTP/1.1 that are kept for later: as many as workers may well be waiting at once.
const IDLE_CONNECTIONS: usize = 32;

/// Watches on one connection. An API server allows 100 requests at a time on one (`--http2-max-streams-per-connection`),
/// and a connection that is full makes the next request wait for a watch to end.
const WATCHES: usize = 50;

/// The innermost layer. Watches have connections of their own, so that they never take the place of a write.
#[derive(Clone)]
pub(super) struct Client {
    others: Pool,
    watches: Arc<Mutex<Vec<Watches>>>,
    limits: Limits,
    connector: Connector,
}

/// Keeps one connection to a server that speaks HTTP/2.
type Pool = legacy::Client<Connector, Full<Bytes>>;

/// A connection for watches.
struct Watches {
    pool: Pool,
    /// Held by each open watch beside this.
    open: Arc<()>,
}

/// Opens a connection, TLS included, within a time.
#[derive(Clone)]
struct Connector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
}

impl Client {
    pub(super) fn new(config: &Config, limits: Limits) -> Result<Self, Error> {
        let connector = Connector { inner: https(config, limits)?, limit: limits.connect };
        Ok(Self { others: pool(&connector, limits), watches: Arc::default(), limits, connector })
    }

    /// A connection with room for one more watch, and what to hold while it is open.
    fn for_watch(&self) -> (Pool, Arc<()>) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        // This one's own count is 1.
        if let Some(free) = watches.iter().find(|watches| Arc::strong_count(&watches.open) <= WATCHES) {
            return (free.pool.clone(), free.open.clone());
        }
        let fresh = Watches { pool: pool(&self.connector, self.limits), open: Arc::default() };
        let free = (fresh.pool.clone(), fresh.open.clone());
        watches.push(fresh);
        free
    }
}

fn pool(connector: &Connector, limits: Limits) -> Pool {
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(limits.ping)
        .http2_keep_alive_timeout(limits.pong)
        .http2_keep_alive_while_idle(true)
        .build(connector.clone())
}

/// Leaves the connection of a request that is given up before its response begins: a server that answers pings and no
/// requests would be kept for ever otherwise. What else is under way on it goes on.
struct Unanswered(Option<CaptureConnection>);

impl Unanswered {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(captured) = &self.0
            && let Some(connection) = captured.connection_metadata().as_ref()
        {
            connection.poison();
        }
    }
}

impl tower::Service<Request> for Client {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (pool, open) = if is_watch(&request) { self.for_watch() } else { (self.others.clone(), Arc::default()) };
        let mut request = request.map(Full::new);
        let unanswered = Unanswered(Some(capture_connection(&mut request)));
        Box::pin(async move {
            let response = pool.request(request).await;
            unanswered.answered();
            let response = response.map_err(|error| {
                if error.is_connect() { Error::Connect(error.into()) } else { Error::Lost(error.into()) }
            })?;
            let cut = move |error: hyper::Error| {
                // Lives as long as the body does.
                let _: &Arc<()> = &open;
                Error::Cut(error.into())
            };
            Ok(response.map(|body| body.map_err(cut).boxed_unsync()))
        })
    }
}

impl tower::Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Cause;
    type Future = BoxFuture<'static, Result<Self::Response, Cause>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let limit = self.limit;
        let connection = self.inner.call(server);
        Box::pin(async move {
            let late = |_| format!("no connection within {limit:?}");
            tokio::time::timeout(limit, connection).await.map_err(late)?
        })
    }
}

fn https(config: &Config, limits: Limits) -> Result<HttpsConnector<HttpConnector>, Error> {
    let mut tcp = HttpConnector::new();
    // Which schemes there are is decided one level up.
    tcp.enforce_http(false);
    // Requests are small and wait for nobody.
    tcp.set_nodelay(true);
    // Shared by the addresses of a name, so that one silent address leaves time for the next.
    tcp.set_connect_timeout(Some(limits.connect));
    // HTTP/1.1 has no pings: there the kernel asks, at the same pace.
    tcp.set_keepalive(Some(limits.ping));
    tcp.set_keepalive_interval(Some(limits.pong));
    tcp.set_keepalive_retries(Some(1));
    // Keepalive asks only on a line where nothing is under way; this is for what was sent and is never acknowledged.
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(limits.ping + limits.pong));

    let builder = HttpsConnectorBuilder::new().with_tls_config(tls::settings(config)?).https_or_http();
    let builder = match tls::server_name(&config.tls)? {
        Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name)),
        None => builder,
    };
    Ok(builder.enable_all_versions().wrap_connector(tcp))
}
