//! Counts attempts: method, and status or error, and latency, to whoever keeps the metrics.
//!
//! It stands inside the retries, so that a 429 that a retry hides from the caller is still counted; client-go's
//! `rest_client_requests_total` counts the same way.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use tokio::time::Instant;

use super::{Error, Inner, Request, Response};

/// Is called after each attempt: with its method, its result, and the time until then.
pub type Observer = Arc<dyn Fn(&Method, Result<StatusCode, &Error>, Duration) + Send + Sync>;

/// The layer.
#[derive(Clone)]
pub(super) struct Observe<S> {
    inner: S,
    observer: Observer,
}

impl<S> Observe<S> {
    pub(super) fn new(inner: S, observer: Observer) -> Self {
        Self { inner, observer }
    }
}

impl<S: Inner> tower::Service<Request> for Observe<S> {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let observer = self.observer.clone();
        let method = request.method().clone();
        let started = Instant::now();
        let response = self.inner.call(request);
        Box::pin(async move {
            let result = response.await;
            observer(&method, result.as_ref().map(Response::status), started.elapsed());
            result
        })
    }
}
