//! Tells whoever keeps the metrics of each attempt: method, status or error, latency, and what the server filed it under.
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

/// One attempt at a request. What is sent again is attempted again.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The status of the answer, or why there is none.
    pub result: Result<StatusCode, &'a Error>,
    /// The time until the answer's head, or until there was none.
    pub took: Duration,
    /// Uid of the `FlowSchema` that the server filed the request under (API priority and fairness, KEP-1040); absent where it
    /// did not say.
    pub flow_schema: Option<&'a str>,
    /// Uid of the `PriorityLevelConfiguration`, likewise.
    pub priority_level: Option<&'a str>,
}

/// Is called after each attempt, on the task that waits for the answer: it must not block.
pub type Observer = Arc<dyn Fn(&Attempt<'_>) + Send + Sync>;

/// The headers in which priority and fairness names, by uid, what it files a request under.
const FLOW_SCHEMA: &str = "x-kubernetes-pf-flowschema-uid";
const PRIORITY_LEVEL: &str = "x-kubernetes-pf-prioritylevel-uid";

/// The uids of flow schema and priority level, where an answer names them.
pub(super) fn filed_under(response: &Response) -> (Option<&str>, Option<&str>) {
    let uid = |name| response.headers().get(name).and_then(|uid| uid.to_str().ok());
    (uid(FLOW_SCHEMA), uid(PRIORITY_LEVEL))
}

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
            let (flow_schema, priority_level) = result.as_ref().map_or((None, None), filed_under);
            let (took, result_seen) = (started.elapsed(), result.as_ref().map(Response::status));
            observer(&Attempt { method: &method, result: result_seen, took, flow_schema, priority_level });
            result
        })
    }
}
