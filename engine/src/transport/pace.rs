//! Sends requests more slowly for a while when the server says that there are too many (429).

mod core;

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::StatusCode;
use tokio::time::Instant;
use tower::ServiceExt as _;

use self::core::Pace;
use super::deadline::is_watch;
use super::observe::filed_under;
use super::{Error, Inner, Request, Response, Service};

/// Says that a request waits behind no other: a lease that is renewed too late is lost. An extension of a request
/// ([`http::Extensions`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Urgent;

/// The same service, all of whose requests are [`Urgent`].
pub fn urgent(service: Service) -> Service {
    Service::new(service.map_request(|mut request: Request| {
        request.extensions_mut().insert(Urgent);
        request
    }))
}

/// The layer. Watches pass it unhindered: they are few, and the reflector slows down by itself.
#[derive(Clone)]
pub(super) struct Paced<S> {
    inner: S,
    pace: Arc<Mutex<Pace>>,
    started: Instant,
}

impl<S> Paced<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, pace: Arc::default(), started: Instant::now() }
    }
}

impl<S: Inner> tower::Service<Request> for Paced<S> {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if is_watch(&request) || request.extensions().get::<Urgent>().is_some() {
            return Box::pin(self.inner.call(request));
        }
        let spare = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, spare);
        let (pace, started) = (self.pace.clone(), self.started);
        Box::pin(async move {
            let wait = pace.lock().unwrap_or_else(PoisonError::into_inner).admit(started.elapsed());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let result = ready.call(request).await;
            if let Ok(response) = &result
                && response.status() == StatusCode::TOO_MANY_REQUESTS
                && pace.lock().unwrap_or_else(PoisonError::into_inner).refused(started.elapsed())
            {
                let (flow_schema, priority_level) = filed_under(response);
                tracing::warn!(
                    flow_schema,
                    priority_level,
                    "the API server refuses requests as too many: they are sent more slowly"
                );
            }
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use bytes::Bytes;
    use futures_util::future::join_all;
    use http_body_util::BodyExt as _;
    use tower::service_fn;

    use super::*;

    /// Takes `most` requests in a second, and refuses the others; and how many it has refused.
    fn limited(most: u32) -> (impl Inner, Arc<AtomicU32>) {
        let refused = Arc::new(AtomicU32::new(0));
        let (count, started) = (refused.clone(), Instant::now());
        let taken = Arc::new(Mutex::new((0, 0)));
        let service = service_fn(move |_: Request| {
            let mut taken = taken.lock().unwrap();
            let second = started.elapsed().as_secs();
            *taken = if taken.0 == second { (second, taken.1 + 1) } else { (second, 1) };
            let status = if taken.1 > most { 429 } else { 200 };
            count.fetch_add(u32::from(status == 429), Ordering::SeqCst);
            let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
            std::future::ready(Ok(http::Response::builder().status(status).body(body).unwrap()))
        });
        (service, refused)
    }

    fn request(path: &str) -> Request {
        http::Request::get(path).body(Bytes::new()).unwrap()
    }

    /// Twenty workers, each of which asks again as soon as it has its answer and 20 ms have passed.
    async fn work<S: Inner>(service: &S, seconds: u64) -> u32 {
        let end = Instant::now() + Duration::from_secs(seconds);
        let workers = (0..20).map(|_| {
            let mut service = service.clone();
            async move {
                let mut good = 0;
                while Instant::now() < end {
                    let status = service.call(request("/x")).await.unwrap().status();
                    good += u32::from(status == StatusCode::OK);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                good
            }
        });
        join_all(workers).await.into_iter().sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_asked_too_much_is_soon_asked_about_as_much_as_it_takes() {
        let (hasty, refused) = limited(100);
        work(&hasty, 60).await;
        let unpaced = refused.load(Ordering::SeqCst);
        let (service, refused) = limited(100);
        let good = work(&Paced::new(service), 60).await;
        let refused = refused.load(Ordering::SeqCst);
        assert!(refused < unpaced / 20, "{refused} refusals, and {unpaced} without a pace");
        assert!(good > 60 * 100 / 2, "{good} of {} that could have been", 60 * 100);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_and_what_is_watched_does_not_wait() {
        let (service, _) = limited(0);
        let paced = Paced::new(service);
        work(&paced, 3).await;
        let mut lease = urgent(Service::new(paced.clone()));
        let mut paced = paced;
        let started = Instant::now();
        for _ in 0..100 {
            tower::Service::call(&mut lease, request("/lease")).await.unwrap();
            tower::Service::call(&mut paced, request("/x?watch=1")).await.unwrap();
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
