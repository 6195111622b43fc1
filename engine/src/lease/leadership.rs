//! Who may act: handed from the elector, which knows, to those who ask.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::fence;
use crate::transport;

/// Tells whether this process leads. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Leadership {
    state: Arc<watch::Sender<State>>,
}

/// Permission to act, for as long as [`lost`](Self::lost) does not resolve. While it lives, the Lease is not given back: it
/// is to be dropped once nothing acts any more that was begun under it.
#[derive(Debug)]
pub struct Leading {
    leadership: Leadership,
    term: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    term: Option<Term>,
    /// Those who wait to lead.
    candidates: usize,
    /// Those who act as leaders, or have not yet stopped.
    leaders: usize,
    /// Nobody begins to lead any more.
    closed: bool,
}

/// A time in which this process leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) number: u64,
    /// When it ends unless it is renewed; never, if there is none.
    pub(super) deadline: Option<Instant>,
}

impl Term {
    fn has_ended(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl Leadership {
    pub(super) fn of(term: Option<Term>) -> Self {
        let state = State { term, candidates: 0, leaders: 0, closed: false };
        Self { state: Arc::new(watch::Sender::new(state)) }
    }

    /// For a process that is not elected: it leads from the start, and for ever.
    pub fn always() -> Self {
        Self::of(Some(Term { number: 1, deadline: None }))
    }

    /// Resolves once this process leads. It contends for the Lease only while somebody waits here: one whose caches are not
    /// filled yet leaves it to those that are warm.
    ///
    /// Never resolves once the elector was told to end.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it resolves leads nothing.
    pub async fn acquired(&self) -> Leading {
        let _candidate = Candidate::new(self);
        let mut states = self.state.subscribe();
        loop {
            if let Some(leading) = self.try_acquire() {
                return leading;
            }
            // It can't fail: the sender lives as long as `self`.
            let _ = states.changed().await;
        }
    }

    fn try_acquire(&self) -> Option<Leading> {
        let mut acquired = None;
        self.state.send_if_modified(|state| {
            acquired = state.term.filter(|term| !state.closed && !term.has_ended()).map(|term| term.number);
            state.leaders += usize::from(acquired.is_some());
            acquired.is_some()
        });
        acquired.map(|term| Leading { leadership: self.clone(), term })
    }

    /// Returns true while this process leads.
    pub fn is_leader(&self) -> bool {
        self.term().is_some()
    }

    /// Resolves once this process leads and did not, or does not any more, or leads again after a break.
    pub async fn turned(&self) {
        if let Some(term) = self.term() {
            return self.ended(term.number).await;
        }
        let is_leader = |state: &State| state.term.is_some_and(|term| !term.has_ended());
        // It can't fail: the sender lives as long as `self`.
        let _ = self.state.subscribe().wait_for(is_leader).await;
    }

    /// Lets requests through that change something while this process leads, and cuts them off when it ceases to; see
    /// [`transport::Error::Fenced`]. Those that only read pass.
    ///
    /// One request may be executed later all the same, if it was under way when it was cut off: the time between
    /// the end of a term and the earliest takeover covers that in all but the oddest cases, and preconditions the rest.
    pub fn fence(&self, service: transport::Service) -> transport::Service {
        transport::Service::new(fence::Fence::new(service, self.clone()))
    }

    /// The term, if it has not ended.
    pub(super) fn term(&self) -> Option<Term> {
        self.state.borrow().term.filter(|term| !term.has_ended())
    }

    /// Resolves once the term of this number has ended.
    pub(super) async fn ended(&self, number: u64) {
        let mut states = self.state.subscribe();
        loop {
            let term = states.borrow_and_update().term;
            let Some(term) = term.filter(|term| term.number == number && !term.has_ended()) else { return };
            tokio::select! {
                // It can't fail: the sender lives as long as `self`.
                _ = states.changed() => {}
                () = until(term.deadline) => {}
            }
        }
    }

    pub(super) fn set(&self, term: Option<Term>) {
        self.state.send_if_modified(|state| {
            let is_new = state.term != term;
            state.term = term;
            is_new
        });
    }

    pub(super) fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    /// Returns true if somebody waits to lead.
    pub(super) fn is_wanted(&self) -> bool {
        let state = self.state.borrow();
        state.candidates > 0 && !state.closed
    }

    /// Resolves once [`is_wanted`](Self::is_wanted) is other than this.
    pub(super) async fn wanted_is_not(&self, wanted: bool) {
        let _ = self.state.subscribe().wait_for(|state| (state.candidates > 0 && !state.closed) != wanted).await;
    }

    /// Resolves once nobody acts as a leader.
    pub(super) async fn left(&self) {
        let _ = self.state.subscribe().wait_for(|state| state.leaders == 0).await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Leading {
    /// Resolves once the term is over: nothing can be written any more, and what goes on under it is to be stopped.
    pub async fn lost(&self) {
        self.leadership.ended(self.term).await;
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.leadership.state.send_modify(|state| state.leaders -= 1);
    }
}

/// Counts as one that waits, for as long as it lives.
struct Candidate<'l>(&'l Leadership);

impl<'l> Candidate<'l> {
    fn new(leadership: &'l Leadership) -> Self {
        leadership.state.send_modify(|state| state.candidates += 1);
        Self(leadership)
    }
}

impl Drop for Candidate<'_> {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.candidates -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    fn term(number: u64, seconds: u64) -> Term {
        Term { number, deadline: Some(Instant::now() + Duration::from_secs(seconds)) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_ends_at_its_deadline_unless_it_was_renewed_before() {
        let leadership = Leadership::of(Some(term(1, 10)));
        let leading = leadership.acquired().await;
        let started = Instant::now();
        tokio::time::sleep(Duration::from_secs(9)).await;
        leadership.set(Some(term(1, 10)));
        leading.lost().await;
        assert_eq!(started.elapsed(), Duration::from_secs(19));
        assert!(!leadership.is_leader());
    }

    #[tokio::test(start_paused = true)]
    async fn another_term_of_the_same_process_does_not_go_on_with_what_was_begun_in_the_last() {
        let leadership = Leadership::of(Some(term(1, 10)));
        let leading = leadership.acquired().await;
        leadership.set(Some(term(2, 10)));
        assert_eq!(leading.lost().now_or_never(), Some(()));
        let next = leadership.acquired().await;
        assert_eq!(next.lost().now_or_never(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_lease_is_given_back_once_all_have_stopped_and_nobody_begins_again() {
        let leadership = Leadership::of(Some(term(1, 10)));
        let (first, second) = (leadership.acquired().await, leadership.acquired().await);
        leadership.close();
        drop(first);
        assert_eq!(leadership.left().now_or_never(), None);
        assert!(leadership.is_leader(), "what is under way may be finished");
        drop(second);
        assert_eq!(leadership.left().now_or_never(), Some(()));
        assert!(leadership.acquired().now_or_never().is_none());
        assert!(!leadership.is_wanted(), "one that gave up waiting does not count");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_contends_while_somebody_waits_to_lead() {
        let leadership = Leadership::of(None);
        assert!(!leadership.is_wanted());
        let waiting = leadership.acquired();
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(leadership.is_wanted());
        leadership.set(Some(term(1, 10)));
        let leading = waiting.await;
        assert!(!leadership.is_wanted());
        leadership.set(None);
        leading.lost().await;
    }
}
