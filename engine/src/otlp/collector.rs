//! The way to the collector: the client that OpenTelemetry's exporter asks for, on this crate's own transport.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Limited};
use opentelemetry_http::{HttpClient, HttpError};
use tower::ServiceExt as _;

use crate::transport::{Request, Service};

/// The longest answer that is read, in bytes: one holds a count and a message.
const LONGEST: usize = 64 * 1024;

/// The collector. Proxy, TLS, deadlines, and waits that it asks for are the transport's.
pub(super) struct Collector(Service);

impl Collector {
    pub(super) fn new(service: Service) -> Self {
        Self(service)
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Collector {
    // What `#[async_trait]`, with which the trait is declared, makes of an `async fn`.
    fn send_bytes<'life0, 'async_trait>(&'life0 self, request: Request) -> Answer<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let service = self.0.clone();
        Box::pin(async move {
            let (head, body) = service.oneshot(request).await?.into_parts();
            let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        })
    }
}
