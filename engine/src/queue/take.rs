//! Keys on their way to workers, and back.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::core::{Handout, Verdict};
use super::waiters::Ticket;
use super::{Phase, Queue, Tenanted};
use crate::trigger::Cause;

/// A key in flight. Giving it back without a verdict, as a panicking worker does, counts as a failure.
#[derive(Debug)]
pub struct Taken<'q, K: Tenanted> {
    /// Present until it is given back.
    handout: Option<Handout<K>>,
    queue: &'q Queue<K>,
}

impl<K: Tenanted> Queue<K> {
    /// Waits for a key; `None` once the queue hands out no more.
    pub fn take(&self) -> impl Future<Output = Option<Taken<'_, K>>> {
        Take { queue: self, ticket: None }
    }

    /// Hands out a key if there is one.
    pub fn try_take(&self) -> Option<Taken<'_, K>> {
        let now = self.now();
        let mut state = self.lock();
        if state.phase == Phase::Closed {
            return None;
        }
        let handout = state.core.take(now)?;
        Some(Taken { handout: Some(handout), queue: self })
    }
}

impl<K: Tenanted> Taken<'_, K> {
    /// The key.
    ///
    /// # Panics
    ///
    /// Never: the key is there until `self` is consumed.
    pub fn key(&self) -> &K {
        &self.handout().key
    }

    /// 1 for the first try since the last success, and one more for each failure since.
    pub fn attempt(&self) -> u32 {
        self.handout().attempt
    }

    /// What asked for the key since it was last handed out.
    pub fn cause(&self) -> Cause {
        self.handout().cause
    }

    /// How long it was ready before it was taken.
    pub fn queued_for(&self) -> Duration {
        self.handout().queued_for
    }

    /// Gives the key back.
    pub fn done(mut self, verdict: Verdict) {
        self.give_back(verdict, false);
    }

    /// Gives the key back and takes the next one, if one is ready: cheaper than the one after the other.
    pub fn next(mut self, verdict: Verdict) -> Option<Self> {
        let handout = self.give_back(verdict, true)?;
        Some(Self { handout: Some(handout), queue: self.queue })
    }

    fn handout(&self) -> &Handout<K> {
        self.handout.as_ref().expect("present until given back")
    }

    fn give_back(&mut self, verdict: Verdict, take: bool) -> Option<Handout<K>> {
        let handout = self.handout.take()?;
        let now = self.queue.now();
        let mut state = self.queue.lock();
        let ((forgotten, next), woken) = state.change(|state| {
            if state.phase == Phase::Open {
                let forgotten = state.core.done(now, handout, verdict);
                return (forgotten, if take { state.core.take(now) } else { None });
            }
            // Only what was added before the end is still handed out.
            let forgotten = state.core.done(now, handout, Verdict::Done);
            state.core.abandon_waiting();
            (forgotten, if take && state.phase == Phase::Draining { state.core.take(now) } else { None })
        });
        drop(state);
        woken.wake();
        // Not under the lock: it may be the last of its kind, to be freed.
        drop(forgotten);
        next
    }
}

impl<K: Tenanted> Drop for Taken<'_, K> {
    fn drop(&mut self) {
        self.give_back(Verdict::Failed, false);
    }
}

/// Waits in [`Queue::take`].
struct Take<'q, K: Tenanted> {
    queue: &'q Queue<K>,
    /// The place among the takers, once it had to wait.
    ticket: Option<Ticket>,
}

impl<'q, K: Tenanted> Future for Take<'q, K> {
    type Output = Option<Taken<'q, K>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        let now = queue.now();
        let mut state = queue.lock();
        if state.has_ended() {
            return Poll::Ready(None);
        }
        if let Some(handout) = state.core.take(now) {
            let unused = self.ticket.take().and_then(|ticket| state.takers.leave(ticket));
            drop(state);
            drop(unused);
            return Poll::Ready(Some(Taken { handout: Some(handout), queue }));
        }
        let (ticket, unused) = state.takers.enter(self.ticket, context.waker().clone());
        drop(state);
        drop(unused);
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl<K: Tenanted> Drop for Take<'_, K> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.queue.lock();
        let unused = state.takers.leave(ticket);
        // One that was woken and gives up leaves its key to the next.
        let successor = if unused.is_some() || state.core.ready() == 0 { None } else { state.takers.next() };
        drop(state);
        drop(unused);
        if let Some(waker) = successor {
            waker.wake();
        }
    }
}
