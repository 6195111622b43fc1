//! Where requests meet sockets: HTTP/2 where the server speaks it, HTTP/1.1 where not, over TLS or plain.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Uri;
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

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

/// The innermost layer.
#[derive(Clone)]
pub(super) struct Client {
    inner: legacy::Client<Connector, Full<Bytes>>,
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
        let inner = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(limits.ping)
            .http2_keep_alive_timeout(limits.pong)
            .http2_keep_alive_while_idle(true)
            .build(connector);
        Ok(Self { inner })
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
        let response = self.inner.request(request.map(Full::new));
        Box::pin(async move {
            let response = response.await.map_err(|error| {
                if error.is_connect() { Error::Connect(error.into()) } else { Error::Lost(error.into()) }
            })?;
            Ok(response.map(|body| body.map_err(|error| Error::Cut(error.into())).boxed_unsync()))
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
