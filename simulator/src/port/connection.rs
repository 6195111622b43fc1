//! One connection: HTTP enters, and leaves; compressed where the client asks for it, to nobody without a token, and logged.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use engine::shutdown::Shutdown;
use engine::transport::{self, Body};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use http::uri::PathAndQuery;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, BodyStream, Full, Limited, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::access::Access;
use super::log::{Log, Pending};
use crate::audit::Entry;
use crate::failure::Failure;
use crate::service::{self, Simulator};
use crate::user::User;

/// The longest body of a request, in bytes: the real server's (`MaxRequestBodyBytes`).
const LONGEST: usize = 3 << 20;

/// Shorter answers are not worth compressing, in bytes: the real server's bound.
const WORTH: usize = 128 << 10;

/// Requests at a time on one connection: the real server's bound for HTTP/2.
const STREAMS: u32 = 100;

/// Where clients are asked who they are.
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// What every connection shares. Clones are the same one.
#[derive(Clone)]
pub struct Door {
    acceptor: TlsAcceptor,
    simulator: Simulator,
    access: Arc<Access>,
    log: Option<Arc<Log>>,
}

/// Answers what comes over a socket until the client leaves, or the signal is given.
pub(super) async fn converse(socket: TcpStream, door: Door, shutdown: Shutdown) {
    // What fails here is the client's loss, and it knows.
    let _ = socket.set_nodelay(true);
    let Ok(stream) = door.acceptor.accept(socket).await else { return };
    let over = shutdown.clone();
    let answer = service_fn(move |request| {
        let (door, over) = (door.clone(), over.clone());
        async move { Ok::<_, Infallible>(door.answer(request, over).await) }
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
    /// A door to a simulator, for those whom `access` knows.
    pub fn new(simulator: &Simulator, access: &Arc<Access>) -> Self {
        let acceptor = TlsAcceptor::from(access.settings.clone());
        Self { acceptor, simulator: simulator.clone(), access: access.clone(), log: None }
    }

    /// The same, where requests are logged: those of which [`Log`] says so.
    pub fn logged(self, log: Arc<Log>) -> Self {
        Self { log: Some(log), ..self }
    }

    async fn answer(&self, request: http::Request<Incoming>, over: Shutdown) -> Response<Body> {
        if matches!(request.uri().path(), "/livez" | "/readyz" | "/healthz") {
            let mut response = Response::new(whole("ok"));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            return response;
        }
        let received = self.simulator.now();
        let (head, body) = request.into_parts();
        let token = text(&head.headers, &AUTHORIZATION).strip_prefix("Bearer ");
        let Some(user) = token.and_then(|token| self.access.user(token)) else {
            return refuse(&Failure {
                code: 401,
                reason: "Unauthorized",
                message: "Unauthorized".into(),
                details: None,
            });
        };
        let headers = head.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let impersonated = User::impersonated(headers);
        let encodings = text(&head.headers, &ACCEPT_ENCODING);
        let compresses = encodings.split(',').any(|one| one.trim().starts_with("gzip"));
        let Ok(body) = Limited::new(body, LONGEST).collect().await else {
            let message = format!("Request entity too large: limit is {LONGEST}");
            return refuse(&Failure { code: 413, reason: "RequestEntityTooLarge", message, details: None });
        };
        let uri = head.uri.clone();
        let request = service::decode(transport::Request::from_parts(head, body.to_bytes()));
        let (is_watch, is_initial) = (request.is_set("watch"), request.is_set("sendInitialEvents"));
        let mut pending = self.log.clone().map(|log| {
            let uri = uri.path_and_query().map_or("/", PathAndQuery::as_str);
            let entry = Entry::new(user.clone(), impersonated.clone(), &request, uri, received);
            Pending { log, simulator: self.simulator.clone(), entry, code: None }
        });
        let response = if request.method == "POST" && request.path == REVIEWS {
            told(StatusCode::CREATED, &impersonated.unwrap_or(user).review(received))
        } else {
            self.simulator.respond(&request)
        };
        if let Some(pending) = &mut pending {
            pending.code = Some(response.status().as_u16());
        }
        if !is_watch {
            // Before the client has the answer, so that whoever looks for it then finds it.
            drop(pending.take());
        }
        // Of watches, those alone that begin with all that is there.
        let compresses = compresses && (is_initial || !is_watch);
        let response = if compresses { compressed(response, is_watch).await } else { response };
        // A watch ends with the server, and is logged then.
        response.map(|body| {
            let end = async move {
                over.given().await;
                drop(pending);
            };
            Body::new(StreamBody::new(BodyStream::new(body).take_until(end)))
        })
    }
}

/// A header; empty if it is absent.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
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
    told(StatusCode::from_u16(failure.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &failure.render())
}

fn told(code: StatusCode, document: &Value) -> Response<Body> {
    let mut response = Response::new(whole(document.to_string()));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn whole(body: impl Into<Bytes>) -> Body {
    Body::new(Full::new(body.into()).map_err(|never| match never {}))
}
