//! Tells the log of each request: once, however often it was tried. The query stays out, since it may hold secrets.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Error, Inner, Request, Response};

/// The outermost layer.
#[derive(Clone)]
pub(super) struct Trace<S> {
    inner: S,
}

impl<S> Trace<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: Inner> tower::Service<Request> for Trace<S> {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let span = tracing::debug_span!("request", method = %request.method(), path = request.uri().path());
        let started = Instant::now();
        let response = span.in_scope(|| self.inner.call(request));
        let told = async move {
            let result = response.await;
            let latency = started.elapsed();
            match &result {
                Ok(response) => {
                    tracing::debug!(status = response.status().as_u16(), ?latency, "answered");
                }
                Err(error) => {
                    let error: &(dyn std::error::Error + 'static) = error;
                    tracing::debug!(error, ?latency, "failed");
                }
            }
            result
        };
        Box::pin(told.instrument(span))
    }
}
