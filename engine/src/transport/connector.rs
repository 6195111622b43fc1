//! Opens connections: TCP, through a proxy where there is one, TLS where the server wants it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use super::connections::{Connections, Counted};
use super::error::Cause;
use super::tls::{self, setting};
use super::{Error, Limits};
use crate::config::{Config, Proxy, ProxyProtocol};

/// What all connections have in common, whatever they are secured with.
pub(super) struct Route {
    limits: Limits,
    server_name: Option<ServerName<'static>>,
    proxy: Option<Hop>,
    connections: Connections,
}

/// A proxy as its connectors want it.
struct Hop {
    protocol: ProxyProtocol,
    uri: Uri,
    /// For HTTP.
    header: Option<HeaderValue>,
    /// For SOCKS.
    login: Option<(String, String)>,
}

/// Opens a connection, proxy and TLS included, within a time.
#[derive(Clone)]
pub(super) struct Connector {
    inner: BoxCloneSyncService<Uri, Line, Cause>,
    limit: Duration,
}

impl Route {
    pub(super) fn new(config: &Config, limits: Limits, connections: Connections) -> Result<Self, Error> {
        let proxy = config.proxy.as_ref().map(Hop::new).transpose()?;
        Ok(Self { limits, server_name: tls::server_name(&config.tls)?, proxy, connections })
    }

    /// Connections that are secured with these settings.
    pub(super) fn connector(&self, settings: &Arc<ClientConfig>) -> Connector {
        let inner = match &self.proxy {
            None => self.secured(settings, self.tcp()),
            Some(hop) if hop.protocol == ProxyProtocol::Socks5 => {
                let socks = SocksV5::new(hop.uri.clone(), self.tcp());
                match hop.login.clone() {
                    Some((username, password)) => self.secured(settings, socks.with_auth(username, password)),
                    None => self.secured(settings, socks),
                }
            }
            Some(hop) if hop.protocol == ProxyProtocol::Https => {
                let builder = HttpsConnectorBuilder::new().with_tls_config(ClientConfig::clone(settings));
                // CONNECT is a request of HTTP/1.1.
                let to_proxy = builder.https_only().enable_http1().wrap_connector(self.tcp());
                self.secured(settings, hop.tunnel(to_proxy))
            }
            Some(hop) => self.secured(settings, hop.tunnel(self.tcp())),
        };
        Connector { inner, limit: self.limits.connect }
    }

    fn secured<C>(&self, settings: &Arc<ClientConfig>, below: C) -> BoxCloneSyncService<Uri, Line, Cause>
    where
        C: tower::Service<Uri, Response: Stream, Future: Send, Error: Into<Cause>> + Clone + Send + Sync + 'static,
    {
        let builder = HttpsConnectorBuilder::new().with_tls_config(ClientConfig::clone(settings)).https_or_http();
        let builder = match &self.server_name {
            Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name.clone())),
            None => builder,
        };
        let connector: HttpsConnector<C> = builder.enable_all_versions().wrap_connector(below);
        let connections = self.connections.clone();
        BoxCloneSyncService::new(
            connector.map_response(move |stream| Line { stream: Box::new(stream), _counted: connections.one_more() }),
        )
    }

    fn tcp(&self) -> HttpConnector {
        let limits = self.limits;
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
        tcp
    }
}

impl Hop {
    fn new(proxy: &Proxy) -> Result<Self, Error> {
        let Proxy { protocol, host, port, login } = proxy;
        let scheme = if *protocol == ProxyProtocol::Https { "https" } else { "http" };
        let uri = format!("{scheme}://{host}:{port}").parse().map_err(setting::<http::uri::InvalidUri>("proxy"))?;
        let unfit = |_| setting("proxy")("its login does not fit into a header");
        let header = login.as_ref().map(|login| HeaderValue::from_bytes(login.basic().expose())).transpose();
        let login = login.as_ref().map(|login| {
            let password = String::from_utf8_lossy(login.password.expose()).into_owned();
            (login.username.clone(), password)
        });
        Ok(Self { protocol: *protocol, uri, header: header.map_err(unfit)?, login })
    }

    fn tunnel<C>(&self, below: C) -> Tunnel<C> {
        let tunnel = Tunnel::new(self.uri.clone(), below);
        match &self.header {
            Some(header) => tunnel.with_auth(header.clone()),
            None => tunnel,
        }
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Line;
    type Error = Cause;
    type Future = BoxFuture<'static, Result<Line, Cause>>;

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

/// What hyper asks of a connection.
pub(super) trait Stream: Read + Write + Connection + Send + Unpin + 'static {}

impl<S: Read + Write + Connection + Send + Unpin + 'static> Stream for S {}

/// A connection, whatever it goes through.
pub(super) struct Line {
    stream: Box<dyn Stream>,
    _counted: Counted,
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Read for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.stream).poll_read(cx, into)
    }
}

impl Write for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write_vectored(cx, from)
    }
}
