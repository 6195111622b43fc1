//! One connection: HTTP enters, and leaves; compressed where the client asks for it, and to nobody without the token.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use engine::shutdown::Shutdown;
use engine::transport::{self, Body, Service};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, BodyStream, Full, Limited, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::failure::Failure;

/// The longest body of a request, in bytes: the real server's (`MaxRequestBodyBytes`).
const LONGEST: usize = 3 << 20;

/// Shorter answers are not worth compressing, in bytes: the real server's bound.
const WORTH: usize = 128 << 10;

/// Requests at a time on one connection: the real server's bound for HTTP/2.
const STREAMS: u32 = 100;

/// What every connection shares.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) acceptor: TlsAcceptor,
    pub(super) service: Service,
    pub(super) token: Arc<str>,
    pub(super) shutdown: Shutdown,
}

/// Answers what comes over a socket until the client leaves, or the signal is given.
pub(super) async fn converse(socket: TcpStream, door: Door) {
    // What fails here is the client's loss, and it knows.
    let _ = socket.set_nodelay(true);
    let Ok(stream) = door.acceptor.accept(socket).await else { return };
    let shutdown = door.shutdown.clone();
    let answer = service_fn(move |request| {
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(STREAMS);
    let connection = builder.serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown.given() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

impl Door {
    async fn answer(&self, request: http::Request<Incoming>) -> Response<Body> {
        let is_known = request.headers().get(AUTHORIZATION).is_some_and(|value| {
            value
                .to_str()
                .ok()
                .and_then(|value| value.strip_prefix("Bearer "))
                .is_some_and(|token| *token == *self.token)
        });
        if matches!(request.uri().path(), "/livez" | "/readyz" | "/healthz") {
            let mut response = Response::new(whole("ok"));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            return response;
        }
        if !is_known {
            return refuse(&Failure {
                code: 401,
                reason: "Unauthorized",
                message: "Unauthorized".into(),
                details: None,
            });
        }
        let accepted = request.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        let compresses =
            accepted.is_some_and(|encodings| encodings.split(',').any(|one| one.trim().starts_with("gzip")));
        let query = request.uri().query().unwrap_or_default();
        let says = |name: &str| {
            let is = |pair: &str| pair.split_once('=').is_some_and(|(key, value)| key == name && is_true(value));
            query.split('&').any(is)
        };
        let (is_watch, is_initial) = (says("watch"), says("sendInitialEvents"));
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, LONGEST).collect().await else {
            let message = format!("Request entity too large: limit is {LONGEST}");
            return refuse(&Failure { code: 413, reason: "RequestEntityTooLarge", message, details: None });
        };
        let request = transport::Request::from_parts(head, body.to_bytes());
        let response = match self.service.clone().oneshot(request).await {
            Ok(response) => response,
            Err(error) => return refuse(&Failure::internal(error.to_string())),
        };
        // Of watches, those alone that begin with all that is there.
        let compresses = compresses && (is_initial || !is_watch);
        let response = if compresses { compressed(response, is_watch).await } else { response };
        // A watch ends with the server.
        response.map(|body| {
            let shutdown = self.shutdown.clone();
            Body::new(StreamBody::new(BodyStream::new(body).take_until(async move { shutdown.given().await })))
        })
    }
}

/// The response in gzip, if that is worth it: of a watch each piece by itself, and of all else the whole.
async fn compressed(response: Response<Body>, is_watch: bool) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let body = if is_watch {
        let pieces = BodyStream::new(body).map(|frame| frame.map(|frame| frame.map_data(|data| gzip(&data))));
        Body::new(StreamBody::new(pieces))
    } else {
        let Ok(body) = body.collect().await else {
            return refuse(&Failure::internal("the answer broke off"));
        };
        let body = body.to_bytes();
        head.headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if body.len() < WORTH {
            return Response::from_parts(head, whole(body));
        }
        whole(gzip(&body))
    };
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(head, body)
}

fn is_true(value: &str) -> bool {
    matches!(value, "true" | "1")
}

/// A member of gzip.
fn gzip(data: &[u8]) -> Bytes {
    // The least effort is the real server's as well.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory can't fail. The flush ends a block before the last one, as the real server's does: Go's reader
    // keeps back what is in the last block until the next member comes.
    let _ = encoder.write_all(data).and_then(|()| encoder.flush());
    encoder.finish().unwrap_or_default().into()
}

fn refuse(failure: &Failure) -> Response<Body> {
    let mut response = Response::new(whole(failure.render().to_string()));
    *response.status_mut() = StatusCode::from_u16(failure.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn whole(body: impl Into<Bytes>) -> Body {
    Body::new(Full::new(body.into()).map_err(|never| match never {}))
}
