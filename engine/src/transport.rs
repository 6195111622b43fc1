//! Requests enter, response bytes leave as they arrive; sockets, TLS, tokens and retries stay inside.
//!
//! The only module that names hyper, hyper-rustls and rustls. It knows no Kubernetes object and reads no body, but it
//! knows which requests are watches, because a watch is the one response that may go on for ever.
//!
//! A request passes these layers, each a [`tower::Service`] in a file of its own, from the outside in:
//!
//! ```text
//! trace -> retry -> pace -> observe -> deadline -> auth -> gzip -> address -> client
//! ```
//!
//! `trace` sees a request once, `observe` each attempt. What is inside `deadline` (getting a token, connecting,
//! waiting) is bounded by it. Everything above the seam [`Service`] takes any other such service as well: a simulator,
//! or a layer that injects faults.

mod address;
mod auth;
mod client;
mod connections;
mod connector;
mod credential;
mod deadline;
mod error;
mod gzip;
mod observe;
mod pace;
mod pem;
mod repeatable;
mod retry;
mod serve;
mod tls;
mod trace;
mod unverified;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use self::connections::Connections;
pub use self::error::Error;
pub use self::observe::{Attempt, Observer};
pub use self::pace::{Urgent, urgent};
pub use self::repeatable::Repeatable;
pub use self::serve::serve;

use crate::config::Config;

/// The target of the spans that tell of requests.
#[cfg(feature = "otlp")]
pub(crate) const TRACED: &str = concat!(module_path!(), "::trace");

/// A request whose URI is path and query alone; what comes before is the transport's to know.
pub type Request = http::Request<Bytes>;
/// A response whose body arrives while it is read.
pub type Response = http::Response<Body>;
/// The body of a response: its frames as the server sent them.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Error>;
/// The seam between the engine and an API server.
pub type Service = tower::util::BoxCloneSyncService<Request, Response, Error>;

/// What the binary decides about its connection.
///
/// ```
/// use std::sync::Arc;
/// use engine::transport::{Connections, Options};
///
/// let connections = Connections::default();
/// let options = Options::default()
///     .user_agent("my-operator/1.0")
///     .observer(Arc::new(|attempt| eprintln!("{} took {:?}", attempt.method, attempt.took)))
///     .connections(&connections);
/// # drop(options);
/// assert_eq!(connections.open(), 0);
/// ```
#[derive(Clone, Default)]
pub struct Options {
    user_agent: Option<String>,
    observer: Option<Observer>,
    connections: Connections,
}

impl Options {
    /// Name and version of the program, as the API server's audit log shows them; the engine's own by default.
    pub fn user_agent(self, user_agent: impl Into<String>) -> Self {
        Self { user_agent: Some(user_agent.into()), ..self }
    }

    /// Is called once for each attempt, for the metrics; [`Metrics::observer`](crate::metrics::Metrics::observer) is one.
    pub fn observer(self, observer: Observer) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// Where open connections are counted.
    pub fn connections(self, connections: &Connections) -> Self {
        Self { connections: connections.clone(), ..self }
    }
}

/// How long each thing may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// DNS, TCP and TLS together. Together with a `ping` that just missed it stays below the 20 s within which a silent
    /// network must be noticed; a round trip around the world takes a third of a second, and TLS three of them.
    connect: Duration,
    /// Until the response's head. The API server ends a write after 34 s, the 30 s in it that a webhook may take at most
    /// (`requestTimeoutUpperBound` in its `handlers/rest.go`), and then says what it was that took so long. What takes longer
    /// is better repeated with a backoff than waited for while a worker is held.
    head: Duration,
    /// Until the body's end, for all but watches: the API server's own default (`--request-timeout`), after which it
    /// stops sending anyway.
    whole: Duration,
    /// Silence on an HTTP/2 connection before it is asked for a sign of life.
    ping: Duration,
    /// How long that sign may take. With `ping` it makes 15 s, which leaves 5 of the 20 s to reconnect.
    pong: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_secs(35),
            whole: Duration::from_mins(1),
            ping: Duration::from_secs(10),
            pong: Duration::from_secs(5),
        }
    }
}

/// What every layer asks of the one inside it.
trait Inner:
    tower::Service<Request, Response = Response, Error = Error, Future: Send + 'static> + Clone + Send + Sync + 'static
{
}

impl<S> Inner for S where
    S: tower::Service<Request, Response = Response, Error = Error, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// A service that talks to the server of `config`. Connections are opened when requests need them.
///
/// # Errors
///
/// If the configuration's certificates, key or server name cannot be used.
pub fn connect(config: &Config) -> Result<Service, Error> {
    connect_with(config, Options::default())
}

/// [`connect`], with a user agent and an observer of one's own.
///
/// # Errors
///
/// As [`connect`], and if the user agent is no header value.
pub fn connect_with(config: &Config, options: Options) -> Result<Service, Error> {
    stack(config, options, Limits::default())
}

fn stack(config: &Config, options: Options, limits: Limits) -> Result<Service, Error> {
    Ok(Service::new(trace::Trace::new(untraced(config, options, limits)?)))
}

/// [`connect`], for what tells of traces itself: a trace of each such request would have to be told as well.
#[cfg(feature = "otlp")]
pub(crate) fn connect_untraced(config: &Config) -> Result<Service, Error> {
    Ok(Service::new(untraced(config, Options::default(), Limits::default())?))
}

fn untraced(config: &Config, options: Options, limits: Limits) -> Result<impl Inner + use<>, Error> {
    let client = client::Client::new(config, limits, options.connections)?;
    let address = address::Address::new(client, &config.server, options.user_agent.as_deref())?;
    let gzip = gzip::Gzip::new(address, !config.disable_compression);
    let keeper = credential::Keeper::new(config)?;
    let auth = auth::Auth::new(gzip, keeper, config.impersonation.as_ref())?;
    let deadline = deadline::Deadline::new(auth, limits.head, limits.whole);
    let observe = observe::Observe::new(deadline, options.observer.unwrap_or_else(ignore));
    Ok(retry::layer(pace::Paced::new(observe)))
}

fn ignore() -> Observer {
    Arc::new(|_| ())
}

/// Why these bytes hold no certificates, and why no key, unless they do.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_pem(text: &[u8]) -> (Option<String>, Option<String>) {
    let (certificates, key) = (pem::certificates(text).err(), pem::private_key(text).err());
    (certificates.map(|error| error.to_string()), key.map(|error| error.to_string()))
}

/// What these pieces of gzip decompress to; `None` if they are damaged, cut off, or longer than `longest`.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn gunzip(pieces: impl Iterator<Item = Bytes>, longest: u64) -> Option<Vec<u8>> {
    let (mut members, mut found) = (gzip::Members::new(longest), Vec::new());
    for piece in pieces {
        members.push(piece);
        while let Some(piece) = members.next_piece().ok()? {
            found.extend_from_slice(&piece);
        }
    }
    members.is_between().then_some(found)
}

#[cfg(test)]
mod tests;
