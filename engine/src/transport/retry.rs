//! Repeats a request that was provably not executed, or that may be executed twice.
//!
//! - A GET whose connection was lost before the response: reading twice is harmless. So is a write whose sender says that it
//!   is [`Repeatable`], unless it is a POST: whatever is said of it, a POST makes a new thing each time.
//! - Any request of which the server says that it did not begin with it, since it ends the connection.
//! - Any request that the server refuses with 429 or 503 *and* `Retry-After`: the API server sends these two together
//!   where it did not begin with a request.
//!
//! Nothing else. Any other write whose connection was lost may have been executed, and only its sender can find out. No
//! connection at all is not repeated either, although nothing was sent: the reflector and the queue that wait for the
//! answer have backoffs of their own and want to know, and a retry here would multiply theirs. A deadline that passed
//! has used up the caller's patience.

use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Method, StatusCode};
use tokio::time::Sleep;
use tower::retry::budget::{Budget as _, TpsBudget};

use super::{Error, Repeatable, Request, Response};
use crate::backoff::{Schedule, jittered};

/// Attempts after the first. Three, with the waits below, ride out the restart of one API server of several; more would
/// only delay the caller's own backoff.
const RETRIES: u32 = 3;

/// The longest wait that a server may ask for. Where it asks for more, its answer goes to the caller, whose worker has
/// better things to do; repeating sooner than asked would be rude.
const PATIENCE: Duration = Duration::from_secs(10);

/// Added to what the server asks for, and all there is after a lost connection: so short that a reconnect stays within
/// the second that is promised for it.
const FIRST: Duration = Duration::from_millis(50);
/// The most that is added; doubling three times from the first does not even reach it.
const CEILING: Duration = Duration::from_secs(1);

/// A policy for one request; its clones share one budget.
#[derive(Clone)]
pub(super) struct Policy {
    done: u32,
    budget: Arc<TpsBudget>,
    schedule: Arc<Schedule>,
}

/// Wraps `inner`, with a budget of its own.
pub(super) fn layer<S>(inner: S) -> tower::retry::Retry<Policy, S> {
    let policy = Policy {
        done: 0,
        // Over ten seconds: a retry for every fifth request, plus ten a second, so that a client that has just started
        // has some. When everything fails, load grows by a fifth at most, and does not multiply.
        budget: Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.2)),
        schedule: Arc::new(Schedule::new(FIRST, CEILING)),
    };
    tower::retry::Retry::new(policy, inner)
}

impl tower::retry::Policy<Request, Response, Error> for Policy {
    type Future = Sleep;

    fn retry(&mut self, request: &mut Request, result: &mut Result<Response, Error>) -> Option<Sleep> {
        let Some(asked) = repeatable(request, result) else {
            self.budget.deposit();
            return None;
        };
        if self.done == RETRIES || asked > PATIENCE || !self.budget.withdraw() {
            return None;
        }
        self.done += 1;
        let wait = asked + jittered(self.schedule.delay(self.done), fastrand::f64());
        tracing::debug!(attempt = self.done, ?wait, "is repeated");
        Some(tokio::time::sleep(wait))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

/// The wait that the server asks for, if the request may be repeated.
fn repeatable(request: &Request, result: &Result<Response, Error>) -> Option<Duration> {
    match result {
        Err(Error::Unprocessed(_)) => Some(Duration::ZERO),
        Err(Error::Lost(_)) if is_harmless_twice(request) => Some(Duration::ZERO),
        Ok(response) => match response.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                // The API server writes seconds, never a date.
                let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
                Some(Duration::from_secs(seconds))
            }
            _ => None,
        },
        Err(_) => None,
    }
}

fn is_harmless_twice(request: &Request) -> bool {
    match (request.method(), request.extensions().get()) {
        (&Method::POST, _) | (_, Some(Repeatable::No)) => false,
        (_, Some(Repeatable::Yes)) => true,
        (method, None) => matches!(*method, Method::GET | Method::HEAD),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    use tokio::time::Instant;
    use tower::{Service, service_fn};

    use super::*;

    /// What the server does with each attempt but the last, which it answers with 200.
    #[derive(Clone, Copy)]
    enum Fate {
        Answer(u16, Option<&'static str>),
        Lost,
        Unprocessed,
        Refused,
        Late,
    }
    use Fate::{Answer, Late, Lost, Refused, Unprocessed};

    fn answer(status: u16, retry_after: Option<&str>) -> Response {
        let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut response = http::Response::builder().status(status).body(body).unwrap();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.parse().unwrap());
        }
        response
    }

    /// A service that meets `fate` in the first `times` attempts, and the counter of its attempts.
    fn failing(fate: Fate, times: u32) -> (impl super::super::Inner, Arc<AtomicU32>) {
        let attempts = Arc::new(AtomicU32::new(0));
        let counter = attempts.clone();
        let service = service_fn(move |_: Request| {
            let now = if counter.fetch_add(1, Ordering::SeqCst) < times { fate } else { Answer(200, None) };
            std::future::ready(match now {
                Answer(status, retry_after) => Ok(answer(status, retry_after)),
                Lost => Err(Error::Lost("reset".into())),
                Unprocessed => Err(Error::Unprocessed("goaway".into())),
                Refused => Err(Error::Connect { server: "https://127.0.0.1".to_owned(), source: "refused".into() }),
                Late => Err(Error::Late(Duration::from_secs(30))),
            })
        });
        (service, attempts)
    }

    async fn attempts(method: Method, fate: Fate, times: u32) -> u32 {
        attempts_of(method, None, fate, times).await
    }

    async fn attempts_of(method: Method, said: Option<Repeatable>, fate: Fate, times: u32) -> u32 {
        let (service, attempts) = failing(fate, times);
        let mut request = http::Request::builder().method(method).body(Bytes::new()).unwrap();
        if let Some(said) = said {
            request.extensions_mut().insert(said);
        }
        let _ = layer(service).call(request).await;
        attempts.load(Ordering::SeqCst)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_is_repeated_for_reads_alone() {
        assert_eq!(attempts(Method::GET, Lost, 1).await, 2);
        for write in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(attempts(write.clone(), Lost, 1).await, 1, "{write}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_harmless_twice_is_repeated_and_a_post_never_is() {
        for write in [Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(attempts_of(write.clone(), Some(Repeatable::Yes), Lost, 1).await, 2, "{write}");
            assert_eq!(attempts_of(write.clone(), Some(Repeatable::No), Lost, 1).await, 1, "{write}");
            assert_eq!(attempts_of(write, Some(Repeatable::Yes), Late, 1).await, 1);
        }
        for said in [Some(Repeatable::Yes), Some(Repeatable::No), None] {
            assert_eq!(attempts_of(Method::POST, said, Lost, 1).await, 1, "{said:?}");
            // An overloaded server, or one that is starting: refused, but perhaps by a proxy that had passed it on.
            assert_eq!(attempts_of(Method::POST, said, Answer(503, None), 1).await, 1, "{said:?}");
            assert_eq!(attempts_of(Method::POST, said, Answer(504, Some("1")), 1).await, 1, "{said:?}");
        }
        assert_eq!(attempts_of(Method::GET, Some(Repeatable::No), Lost, 1).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_did_not_begin_with_is_repeated_whatever_it_is() {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::DELETE] {
            assert_eq!(attempts(method, Unprocessed, 1).await, 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_repeated_for_every_method_if_the_server_says_when() {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::DELETE] {
            for status in [429, 503] {
                assert_eq!(attempts(method.clone(), Answer(status, Some("1")), 1).await, 2);
                assert_eq!(attempts(method.clone(), Answer(status, None), 1).await, 1);
            }
            assert_eq!(attempts(method.clone(), Answer(500, Some("1")), 1).await, 1);
            assert_eq!(attempts(method, Answer(429, Some("soon")), 1).await, 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn neither_no_connection_nor_a_deadline_is_repeated() {
        assert_eq!(attempts(Method::GET, Refused, 1).await, 1);
        assert_eq!(attempts(Method::GET, Late, 1).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_is_given_the_time_it_asks_for_but_no_more_than_ten_seconds() {
        let started = Instant::now();
        assert_eq!(attempts(Method::POST, Answer(429, Some("7")), 1).await, 2);
        let waited = started.elapsed();
        assert!(waited >= Duration::from_secs(7) && waited < Duration::from_secs(8), "{waited:?}");
        assert_eq!(attempts(Method::POST, Answer(429, Some("11")), 1).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_few() {
        assert_eq!(attempts(Method::GET, Lost, u32::MAX).await, 1 + RETRIES);
        assert_eq!(attempts(Method::POST, Answer(429, Some("0")), u32::MAX).await, 1 + RETRIES);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_share_a_budget_that_runs_out() {
        let (service, attempts) = failing(Lost, u32::MAX);
        let service = layer(service);
        let requests = 1000;
        let all = (0..requests).map(|_| {
            let request = http::Request::get("/").body(Bytes::new()).unwrap();
            service.clone().call(request)
        });
        for result in futures_util::future::join_all(all).await {
            assert!(result.is_err());
        }
        let retries = attempts.load(Ordering::SeqCst) - requests;
        assert!((90..=200).contains(&retries), "{retries} retries for {requests} requests");
    }
}
