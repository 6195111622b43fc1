//! Refuses requests that change something in a process that does not lead, and cuts off those that are under way when it
//! ceases to.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::Method;
use tower::ServiceExt as _;

use super::leadership::Leadership;
use crate::transport::{Error, Request, Response, Service};

/// The layer. It stands outside of all others, so that a request which waits to be sent again is cut off as well.
#[derive(Clone)]
pub(super) struct Fence {
    inner: Service,
    leadership: Leadership,
}

impl Fence {
    pub(super) fn new(inner: Service, leadership: Leadership) -> Self {
        Self { inner, leadership }
    }
}

impl tower::Service<Request> for Fence {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return Box::pin(self.inner.call(request));
        }
        let (inner, leadership) = (self.inner.clone(), self.leadership.clone());
        Box::pin(async move {
            let Some(term) = leadership.term() else { return Err(Error::Fenced { sent: false }) };
            let mut response = pin!(inner.oneshot(request));
            // Each time, since a process that was asleep may be woken by its socket before its timers have gone off.
            let looked_at = poll_fn(|context| {
                let goes_on = leadership.term().is_some_and(|now| now.number == term.number);
                if goes_on { response.as_mut().poll(context) } else { Poll::Ready(Err(Error::Fenced { sent: true })) }
            });
            tokio::select! {
                biased;
                () = leadership.ended(term.number) => Err(Error::Fenced { sent: true }),
                response = looked_at => response,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Empty};
    use tokio::time::{Instant, sleep};
    use tower::service_fn;

    use super::super::leadership::Term;
    use super::*;

    const SLOW: Duration = Duration::from_secs(5);

    /// A server that answers after [`SLOW`], behind a fence; and how many requests have reached it.
    fn server(leadership: &Leadership) -> (Service, Arc<AtomicUsize>) {
        let reached = Arc::new(AtomicUsize::new(0));
        let counter = reached.clone();
        let service = service_fn(move |_: Request| {
            counter.fetch_add(1, Ordering::SeqCst);
            async {
                sleep(SLOW).await;
                Ok(Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync()))
            }
        });
        (leadership.fence(Service::new(service)), reached)
    }

    async fn send(service: &Service, method: Method) -> Result<Response, Error> {
        let request = http::Request::builder().method(method).uri("/").body(Bytes::new()).unwrap();
        service.clone().oneshot(request).await
    }

    fn term(number: u64, seconds: u64) -> Term {
        Term { number, deadline: Some(Instant::now() + Duration::from_secs(seconds)) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_does_not_lead_reads_and_writes_nothing() {
        let leadership = Leadership::of(None);
        let (service, reached) = server(&leadership);
        assert!(send(&service, Method::GET).await.is_ok());
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let error = send(&service, method.clone()).await.err().unwrap();
            assert!(error.is_fenced() && error.is_unsent(), "{method}: {error}");
        }
        assert_eq!(reached.load(Ordering::SeqCst), 1, "the read alone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_under_way_is_cut_off_at_the_deadline_and_not_where_the_term_is_renewed() {
        let leadership = Leadership::of(Some(term(1, 3)));
        let (service, reached) = server(&leadership);
        let started = Instant::now();
        let error = send(&service, Method::PATCH).await.err().unwrap();
        assert!(error.is_fenced() && !error.is_unsent(), "{error}");
        assert_eq!(started.elapsed(), Duration::from_secs(3));
        assert!(send(&service, Method::PATCH).await.err().unwrap().is_unsent(), "the term has ended");

        leadership.set(Some(term(2, 3)));
        let renewal = async {
            sleep(Duration::from_secs(2)).await;
            leadership.set(Some(term(2, 9)));
        };
        let (answer, ()) = tokio::join!(send(&service, Method::PATCH), renewal);
        assert!(answer.is_ok());
        assert_eq!(reached.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_elected_is_not_fenced() {
        let (service, _) = server(&Leadership::always());
        assert!(send(&service, Method::POST).await.is_ok());
    }
}
