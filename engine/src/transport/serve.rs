//! A small HTTP/1.1 server for probes and metrics: whole answers, computed at once.
//!
//! Whoever reaches its port can cost it no more than a bounded number of connections, each for a bounded time; and those who
//! hold all of them without asking anything keep nobody out, since the oldest makes room for the next.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::shutdown::Shutdown;

/// Connections at a time; one more ends the oldest. A kubelet and a few Prometheus servers use one each.
const CONNECTIONS: usize = 64;

/// How long a request's head may take, and a kept connection may idle. A kubelet gives a probe one second.
const HEAD: Duration = Duration::from_secs(5);

/// How long a connection may last, so that a peer that takes its answer byte by byte, or not at all, gives its place
/// back. Prometheus scrapes time out after 10 s by default, and reconnecting once a minute costs nothing.
const LIFE: Duration = Duration::from_mins(1);

/// How long answers under way may take to finish after the signal; a fraction of the 30 s that a pod has to end.
const DRAIN: Duration = Duration::from_secs(1);

/// The wait after a connection could not be accepted, which happens when file descriptors have run out: long enough not
/// to spin, short enough for the next probe.
const PAUSE: Duration = Duration::from_millis(100);

/// The most that a request's head may hold; hyper's minimum. Probes and scrapes send a few hundred bytes.
const BUFFER: usize = 8 * 1024;

/// Answers requests on `listener` with `handler` until `shutdown` is given; then finishes what is under way.
///
/// Bodies of requests are not read. A handler that panics costs its connection and nothing else.
pub async fn serve<H>(listener: TcpListener, handler: H, shutdown: Shutdown)
where
    H: Fn(http::Request<()>) -> http::Response<String> + Send + Sync + 'static,
{
    let handler = Arc::new(handler);
    let mut connections = JoinSet::new();
    // The oldest first; some of them may have ended.
    let mut ages: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            () = shutdown.given() => break,
            // A connection that panicked or failed is that peer's loss.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    ages.retain(|connection| !connection.is_finished());
                    if ages.len() >= CONNECTIONS && let Some(oldest) = ages.pop_front() {
                        oldest.abort();
                    }
                    ages.push_back(connections.spawn(converse(socket, handler.clone(), shutdown.clone())));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    // Those that are left are aborted when the set is dropped.
    let _ = tokio::time::timeout(DRAIN, drained).await;
}

async fn converse<H>(socket: TcpStream, handler: Arc<H>, shutdown: Shutdown)
where
    H: Fn(http::Request<()>) -> http::Response<String>,
{
    let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let response = handler(request.map(drop));
        std::future::ready(Ok::<_, Infallible>(response.map(|text| Full::new(Bytes::from(text)))))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(socket), answer);
    tokio::pin!(connection);
    let whole = async {
        tokio::select! {
            result = connection.as_mut() => return result,
            () = shutdown.given() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    };
    if let Ok(Err(error)) = tokio::time::timeout(LIFE, whole).await {
        tracing::debug!(%error, "a peer of the probe server misbehaved");
    }
}
