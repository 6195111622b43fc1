//! Completes a request: the server's address before its path, and who sends it.

use std::task::{Context, Poll};

use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};

use super::{Error, Inner, Request, Response};

/// Sent where the binary gives no name of its own.
const ENGINE: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The layer.
#[derive(Clone)]
pub(super) struct Address<S> {
    inner: S,
    scheme: Scheme,
    authority: Authority,
    /// Where the server is mounted below another; never ends in a slash.
    base: String,
    user_agent: HeaderValue,
}

impl<S> Address<S> {
    pub(super) fn new(inner: S, server: &Uri, user_agent: Option<&str>) -> Result<Self, Error> {
        let missing = || Error::Setting { setting: "server", source: "it is no complete URL".into() };
        let scheme = server.scheme().cloned().ok_or_else(missing)?;
        let authority = server.authority().cloned().ok_or_else(missing)?;
        let base = server.path().trim_end_matches('/').to_owned();
        let user_agent = HeaderValue::from_str(user_agent.unwrap_or(ENGINE))
            .map_err(|error| Error::Setting { setting: "user agent", source: error.into() })?;
        Ok(Self { inner, scheme, authority, base, user_agent })
    }

    fn complete(&self, target: &Uri) -> Result<Uri, http::Error> {
        let target = target.path_and_query().map_or("/", PathAndQuery::as_str);
        let target: PathAndQuery = format!("{}{target}", self.base).parse()?;
        let (scheme, authority) = (self.scheme.clone(), self.authority.clone());
        Uri::builder().scheme(scheme).authority(authority).path_and_query(target).build()
    }
}

impl<S: Inner> tower::Service<Request> for Address<S> {
    type Response = Response;
    type Error = Error;
    type Future = futures_util::future::Either<S::Future, std::future::Ready<Result<Response, Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        use futures_util::future::Either;

        match self.complete(request.uri()) {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => {
                let error = Error::Setting { setting: "server", source: error.into() };
                return Either::Right(std::future::ready(Err(error)));
            }
        }
        request.headers_mut().insert(USER_AGENT, self.user_agent.clone());
        Either::Left(self.inner.call(request))
    }
}
