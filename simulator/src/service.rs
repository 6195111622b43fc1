//! The server behind the engine's seam: a request of HTTP → a response whose body arrives while it is read.
//!
//! The lock, the clock and the timers around the pure server. Nothing here decides what is answered.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use engine::transport::{self, Response};
use futures_util::stream;
use http_body_util::{BodyExt as _, Full, StreamBody};
use jiff::Timestamp;
use tokio::sync::watch;
use tower::service_fn;

use crate::controllers::Controllers;
use crate::discovery;
use crate::protobuf;
use crate::request::Request;
use crate::server::{Answer, Server};
use crate::watch::Watch;

/// How many looks of controllers follow each other before a request gets its turn.
const TURN: usize = 32;

/// How long the controllers sleep if nobody is due: until something changes.
const IDLE: Duration = Duration::from_hours(1);

/// The media type of nearly everything.
const JSON: &str = "application/json";

/// By which a client knows that all of discovery is in one document.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A server that many clients use at the same time. Clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    server: Arc<Mutex<Server>>,
    /// The version of the last change, for the watches.
    changed: watch::Sender<u64>,
    clock: Clock,
}

impl Simulator {
    /// A new server.
    pub fn new(seed: u64, clock: Clock) -> Self {
        let server = Server::new(seed, clock());
        let changed = watch::Sender::new(server.version());
        Self { server: Arc::new(Mutex::new(server)), changed, clock }
    }

    /// The seam at which the engine meets it.
    pub fn service(&self) -> transport::Service {
        let simulator = self.clone();
        transport::Service::new(service_fn(move |request: transport::Request| {
            let response = simulator.respond(&decode(request));
            async move { Ok::<_, transport::Error>(response) }
        }))
    }

    /// Looks at the server as it is.
    pub fn look<T>(&self, look: impl FnOnce(&Server) -> T) -> T {
        look(&self.lock())
    }

    /// Has the controllers of a seed act behind the API, for as long as this is polled. It takes the time from the
    /// simulator's clock, and waits for it by tokio's, so that both have to be of the same pace: real, or virtual
    /// (`tokio::time::pause`).
    pub async fn run(&self, mut controllers: Controllers) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let now = (self.clock)();
            let due = {
                let mut server = self.lock();
                // The requests of others come in between.
                let is_more = (0..TURN).all(|_| controllers.step(&mut server, now));
                self.tell(&server);
                if is_more { Some(now) } else { controllers.due() }
            };
            match due {
                Some(due) if due <= now => tokio::task::yield_now().await,
                due => {
                    let left = due.and_then(|due| Duration::try_from(due.duration_since(now)).ok());
                    tokio::select! {
                        closed = changed.changed() => if closed.is_err() { return },
                        () = tokio::time::sleep(left.unwrap_or(IDLE)) => {}
                    }
                }
            }
        }
    }

    /// What time it is there.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Forgets all changes up to a version.
    pub fn compact(&self, version: u64) {
        self.lock().compact(version);
        self.changed.send_modify(|_| ());
    }

    /// Answers a request.
    pub(crate) fn respond(&self, request: &Request) -> Response {
        let answer = {
            let mut server = self.lock();
            let answer = server.handle((self.clock)(), request);
            self.tell(&server);
            answer
        };
        let (code, kind, body, warnings) = match answer {
            Answer::Document { code, body, warnings } => {
                let kind = if body["kind"] == discovery::AGGREGATED { AGGREGATED } else { JSON };
                let full = Full::new(Bytes::from(body.to_string())).map_err(never);
                (code, kind, transport::Body::new(full), warnings)
            }
            Answer::Watch(watch) => (200, JSON, self.stream(*watch), Vec::new()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
        for warning in warnings {
            // RFC 7234: 299 is "Miscellaneous Persistent Warning". A text that is no header value is left out.
            if let Ok(value) = format!("299 - {warning:?}").parse() {
                response.headers_mut().append(http::header::WARNING, value);
            }
        }
        response
    }

    /// The events of a watch, a line each, until its time is over.
    fn stream(&self, watch: Watch) -> transport::Body {
        let (simulator, changed) = (self.clone(), self.changed.subscribe());
        let events = stream::unfold(Some((simulator, changed, watch)), |going| async move {
            let (simulator, mut changed, mut watch) = going?;
            loop {
                changed.borrow_and_update();
                let now = (simulator.clock)();
                let events = simulator.lock().poll(&mut watch, now);
                let is_over = watch.is_over(now);
                if !events.is_empty() {
                    let lines: Vec<String> = events.iter().map(|event| format!("{event}\n")).collect();
                    let frame = http_body::Frame::data(Bytes::from(lines.concat()));
                    return Some((Ok(frame), (!is_over).then_some((simulator, changed, watch))));
                }
                if is_over {
                    return None;
                }
                let left = Duration::try_from(watch.due().duration_since(now)).unwrap_or_default();
                tokio::select! {
                    closed = changed.changed() => if closed.is_err() { return None },
                    () = tokio::time::sleep(left) => {}
                }
            }
        });
        transport::Body::new(StreamBody::new(events))
    }

    /// Wakes the watches, if there is anything new.
    fn tell(&self, server: &Server) {
        self.changed.send_if_modified(|version| std::mem::replace(version, server.version()) != server.version());
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn never(never: Infallible) -> transport::Error {
    match never {}
}

/// A request, as the server reads it: its body in JSON, if that can be.
pub(crate) fn decode(request: transport::Request) -> Request {
    let (head, body) = request.into_parts();
    let whole = |name: http::HeaderName| {
        head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let uri = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    protobuf::request(Request {
        accept: whole(http::header::ACCEPT),
        content_type: whole(http::header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_owned(),
        user_agent: whole(http::header::USER_AGENT),
        body: body.into(),
        ..Request::new(head.method.as_str(), uri)
    })
}
