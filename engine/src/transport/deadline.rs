//! Bounds the wait for a response's head, and, for all but watches, for the end of its body.
//!
//! A watch's body has no end to wait for: its silence is judged by those who know when the server should speak, and a
//! connection that died under it is found by the client's pings.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep};

use super::{Body, Error, Inner, Request, Response};

/// The layer.
#[derive(Clone)]
pub(super) struct Deadline<S> {
    inner: S,
    head: Duration,
    whole: Duration,
}

impl<S> Deadline<S> {
    pub(super) fn new(inner: S, head: Duration, whole: Duration) -> Self {
        Self { inner, head, whole }
    }
}

impl<S: Inner> tower::Service<Request> for Deadline<S> {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (head, whole) = (self.head, self.whole);
        let watch = is_watch(&request);
        let started = Instant::now();
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = tokio::time::timeout(head, response).await.map_err(|_| Error::Late(head))??;
            // The body of a refusal ends, or should.
            if watch && response.status().is_success() {
                return Ok(response);
            }
            let end = Box::pin(tokio::time::sleep_until(started + whole));
            Ok(response.map(|inner| Bounded { inner, end, whole }.boxed_unsync()))
        })
    }
}

/// A body that must end in time.
struct Bounded {
    inner: Body,
    end: Pin<Box<Sleep>>,
    whole: Duration,
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        // The deadline first: a server that sends a byte whenever it is asked would never meet it otherwise.
        if !self.inner.is_end_stream() && self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Error::Slow(self.whole))));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Returns true if the response goes on until somebody ends it: a watch, or a log that is followed.
pub(super) fn is_watch(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|parameter| matches!(parameter, "watch=1" | "watch=true" | "follow=true"))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::StreamBody;
    use tower::{Service as _, service_fn};

    use super::*;

    const HEAD: Duration = Duration::from_secs(30);
    const WHOLE: Duration = Duration::from_mins(1);

    fn get(uri: &str) -> Request {
        http::Request::get(uri).body(Bytes::new()).unwrap()
    }

    /// Answers after `delay`, then sends a byte every second for `seconds`.
    fn dripping(delay: Duration, seconds: u32) -> impl Inner {
        service_fn(move |_| async move {
            tokio::time::sleep(delay).await;
            let frames = stream::unfold(0, move |sent| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                (sent < seconds).then(|| (Ok(Frame::data(Bytes::from_static(b"."))), sent + 1))
            });
            Ok(Response::new(StreamBody::new(frames).boxed_unsync()))
        })
    }

    async fn body(uri: &str, seconds: u32) -> Result<usize, Error> {
        let mut service = Deadline::new(dripping(Duration::ZERO, seconds), HEAD, WHOLE);
        let response = service.call(get(uri)).await?;
        Ok(response.into_body().collect().await?.to_bytes().len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_is_given_up() {
        for uri in ["/api/v1/pods", "/api/v1/pods?watch=1"] {
            let mut service = Deadline::new(dripping(HEAD * 2, 1), HEAD, WHOLE);
            let started = Instant::now();
            let error = service.call(get(uri)).await.err().unwrap();
            assert!(error.is_timeout() && matches!(error, Error::Late(HEAD)));
            assert_eq!(started.elapsed(), HEAD);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_for_ever_is_cut_unless_it_is_a_watch() {
        let error = body("/api/v1/pods?limit=500", 3600).await.unwrap_err();
        assert!(error.is_timeout() && matches!(error, Error::Slow(WHOLE)));
        assert_eq!(body("/api/v1/pods?limit=500", 50).await.unwrap(), 50);
        assert_eq!(body("/api/v1/pods?watch=true&limit=5", 3600).await.unwrap(), 3600);
        assert_eq!(body("/api/v1/pods?a=b&watch=1", 3600).await.unwrap(), 3600);
        assert!(body("/api/v1/watch=1?notwatch=1&watch=0", 3600).await.is_err());
    }
}
