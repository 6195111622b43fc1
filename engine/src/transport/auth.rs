//! Says who sends a request, and in whose name. A refusal (401) comes before a request is executed, so any request may be sent
//! again with a credential that is another; once.

use std::fmt::Write as _;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tower::ServiceExt as _;

use super::credential::{Held, Keeper};
use super::tls::setting;
use super::{Error, Inner, Request, Response};
use crate::config::Impersonation;

/// The layer. It gives each request the settings for its connection as an extension.
#[derive(Clone)]
pub(super) struct Auth<S> {
    inner: S,
    keeper: Arc<Keeper>,
    impersonation: Arc<HeaderMap>,
}

impl<S> Auth<S> {
    pub(super) fn new(inner: S, keeper: Keeper, impersonation: Option<&Impersonation>) -> Result<Self, Error> {
        let impersonation = impersonation.map(headers).transpose()?.unwrap_or_default();
        Ok(Self { inner, keeper: Arc::new(keeper), impersonation: Arc::new(impersonation) })
    }
}

impl<S: Inner> tower::Service<Request> for Auth<S> {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        for (name, value) in &*self.impersonation {
            request.headers_mut().append(name, value.clone());
        }
        let spare = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, spare);
        Box::pin(send(ready, request, self.keeper.clone()))
    }
}

async fn send<S: Inner>(mut service: S, request: Request, keeper: Arc<Keeper>) -> Result<Response, Error> {
    let held = keeper.current().await?;
    let result = service.call(with(&request, &held)).await;
    if matches!(result, Err(Error::Connect { .. })) {
        keeper.unconnected();
    }
    if !result.as_ref().is_ok_and(is_refusal) {
        return result;
    }
    let Some(newer) = keeper.instead_of(&held).await else { return result };
    tracing::debug!("refused with a credential that has been replaced since: sent again");
    service.ready().await?.call(with(&request, &newer)).await
}

fn is_refusal(response: &Response) -> bool {
    response.status() == StatusCode::UNAUTHORIZED
}

fn with(request: &Request, held: &Held) -> Request {
    let mut request = request.clone();
    request.extensions_mut().insert(held.tls.clone());
    if let Some(header) = &held.header {
        request.headers_mut().insert(AUTHORIZATION, header.clone());
    }
    request
}

/// The headers that ask for another identity, as client-go writes them.
fn headers(impersonation: &Impersonation) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        let name: HeaderName = name.parse().map_err(setting::<http::header::InvalidHeaderName>("impersonation"))?;
        let value = HeaderValue::from_bytes(value.as_bytes());
        headers.append(name, value.map_err(setting::<http::header::InvalidHeaderValue>("impersonation"))?);
        Ok::<_, Error>(())
    };
    let Impersonation { user, uid, groups, extra } = impersonation;
    add("impersonate-user", user)?;
    if let Some(uid) = uid {
        add("impersonate-uid", uid)?;
    }
    for group in groups {
        add("impersonate-group", group)?;
    }
    for (key, values) in extra {
        for value in values {
            add(&format!("impersonate-extra-{}", encoded(key)), value)?;
        }
    }
    Ok(headers)
}

/// Percent-encodes what may not stand in a header's name, as the API server undoes it; names know no upper case.
fn encoded(key: &str) -> String {
    let mut encoded = String::new();
    for byte in key.to_ascii_lowercase().bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
