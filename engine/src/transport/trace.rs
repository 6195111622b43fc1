//! Tells the log of each request, and the server to which trace it belongs: once, however often it was tried. The query stays
//! out of both, since it may hold secrets. Fields are named by OpenTelemetry's conventions, since the span may be exported.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::HeaderValue;
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::{Error, Inner, Request, Response};
use crate::trace::{Context as Traced, HEADER};

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

    fn call(&mut self, mut request: Request) -> Self::Future {
        let context = Traced::current().map(Traced::child);
        let span = tracing::debug_span!(
            "request",
            otel.name = %request.method(),
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = %request.method(),
            url.path = request.uri().path(),
            http.response.status_code = Empty,
            "error.type" = Empty,
            trace_id = context.map(|context| display(context.trace_id())),
            span_id = context.map(|context| display(context.span_id())),
        );
        let context = context.map(|context| context.of_span(&span));
        if let Some(Ok(context)) = context.map(|context| HeaderValue::try_from(context.to_string())) {
            request.headers_mut().insert(HEADER, context);
        }
        let told_of = span.clone();
        let started = Instant::now();
        let response = span.in_scope(|| self.inner.call(request));
        let told = async move {
            let result = response.await;
            let latency = started.elapsed();
            match &result {
                Ok(response) => {
                    let status = response.status();
                    tracing::debug!(status = status.as_u16(), ?latency, "answered");
                    told_of.record("http.response.status_code", status.as_u16());
                    if status.is_client_error() || status.is_server_error() {
                        told_of.record("otel.status_code", "error");
                    }
                }
                Err(error) => {
                    let shown: &(dyn std::error::Error + 'static) = error;
                    tracing::debug!(error = shown, ?latency, "failed");
                    told_of.record("error.type", error.kind());
                    told_of.record("otel.status_code", "error");
                }
            }
            result
        };
        Box::pin(told.instrument(span))
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::transport::Service;

    #[tokio::test]
    async fn a_request_says_which_trace_it_belongs_to_and_only_if_it_does() {
        let echo = service_fn(async |request: Request| {
            let mut response = Response::default();
            *response.headers_mut() = request.headers().clone();
            Ok::<_, Error>(response)
        });
        let service = Trace::new(Service::new(echo));
        let ask = || service.clone().oneshot(Request::default());
        assert!(ask().await.unwrap().headers().is_empty());

        let traced = Traced::root();
        let response = traced.scope(ask()).await.unwrap();
        let parent = response.headers()[HEADER].to_str().unwrap();
        let (trace, span) = (traced.trace_id().to_string(), traced.span_id().to_string());
        let parts: Vec<_> = parent.split('-').collect();
        assert_eq!((parts[0], parts[1], parts.len()), ("00", trace.as_str(), 4), "{parent}");
        assert_ne!(parts[2], span, "a request is a span of its own");
    }
}
