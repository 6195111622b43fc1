//! Where requests meet connections: HTTP/2 where the server speaks it, HTTP/1.1 where not.

use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Uri;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connections::Connections;
use super::connector::{Connector, Route};
use super::deadline::is_watch;
use super::tls::{Settings, setting};
use super::{Error, Limits, Request, Response};
use crate::config::Config;
use crate::object::chain;

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

/// Connections over HTTP/2 for all but watches, taken in turn. Behind a load balancer each may end at another API server, so
/// that one that hangs holds up half of the requests, and a repeated one comes to the other; more would only cost more.
const CONNECTIONS: usize = 2;

/// The innermost layer. Watches have connections of their own, so that they never take the place of a write.
#[derive(Clone)]
pub(super) struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    route: Route,
    limits: Limits,
    /// Those made with the newest settings. When there are newer ones, these take no more requests, and their connections
    /// end with the last response that is under way: for a watch, when the server ends it.
    pools: Mutex<Option<Arc<Pools>>>,
}

/// Connections that were made with the same settings.
struct Pools {
    generation: u64,
    connector: Connector,
    others: [Pool; CONNECTIONS],
    turn: AtomicUsize,
    watches: Mutex<Vec<Watches>>,
}

/// Keeps one connection to a server that speaks HTTP/2.
type Pool = legacy::Client<Connector, Full<Bytes>>;

/// A connection for watches.
struct Watches {
    pool: Pool,
    /// Held by each open watch beside this.
    open: Arc<()>,
}

impl Client {
    pub(super) fn new(config: &Config, limits: Limits, connections: Connections) -> Result<Self, Error> {
        let shared = Shared { route: Route::new(config, limits, connections)?, limits, pools: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    /// Connections made with these settings, or with newer ones.
    fn pools(&self, settings: &Settings) -> Arc<Pools> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pools) = pools.as_ref().filter(|pools| pools.generation >= settings.generation) {
            return pools.clone();
        }
        let connector = self.route.connector(&settings.client);
        let fresh = Arc::new(Pools {
            generation: settings.generation,
            others: std::array::from_fn(|_| pool(&connector, self.limits)),
            turn: AtomicUsize::new(0),
            watches: Mutex::default(),
            connector,
        });
        *pools = Some(fresh.clone());
        fresh
    }
}

impl Pools {
    fn for_request(&self) -> Pool {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.others[turn % CONNECTIONS].clone()
    }

    /// A connection with room for one more watch, and what to hold while it is open.
    fn for_watch(&self, limits: Limits) -> (Pool, Arc<()>) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        // This one's own count is 1.
        if let Some(free) = watches.iter().find(|watches| Arc::strong_count(&watches.open) <= WATCHES) {
            return (free.pool.clone(), free.open.clone());
        }
        let fresh = Watches { pool: pool(&self.connector, limits), open: Arc::default() };
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

/// Whether the server said that it did not begin with the request: it announced the end of the connection (GOAWAY) with the
/// number of the last one that it looked at, or refused this one (`REFUSED_STREAM`). An API server does the first after it has
/// answered 401, when it is stopped, and now and then to spread its clients (`--goaway-chance`).
fn is_unprocessed(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
            // Of requests that it looked at, h2 says that the connection broke, and not this.
            let ended = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
            return error.is_remote() && (refused || ended);
        }
        cause = error.source();
    }
    false
}

/// Scheme, host and port, and no user.
fn server(uri: &Uri) -> String {
    let port = uri.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default())
}

impl tower::Service<Request> for Client {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(settings) = request.extensions().get::<Arc<Settings>>() else {
            let error = setting("connection")("nobody said how it is to be secured");
            return Box::pin(std::future::ready(Err(error)));
        };
        let pools = self.shared.pools(settings);
        let (pool, open) = if is_watch(&request) {
            pools.for_watch(self.shared.limits)
        } else {
            (pools.for_request(), Arc::default())
        };
        let mut request = request.map(Full::new);
        let uri = request.uri().clone();
        let unanswered = Unanswered(Some(capture_connection(&mut request)));
        Box::pin(async move {
            let response = pool.request(request).await;
            unanswered.answered();
            let response = response.map_err(|error| {
                if error.is_connect() {
                    // hyper-util's own words for it tell nothing.
                    let cause = error.source().map_or_else(|| chain(&error), chain);
                    Error::Connect { server: server(&uri), source: cause.into() }
                } else if error.connect_info().is_none() || is_unprocessed(&error) {
                    // Whatever had a connection bears it. This waited for one that another request was opening, and that
                    // was gone before its turn came.
                    Error::Unprocessed(error.into())
                } else {
                    Error::Lost(error.into())
                }
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
