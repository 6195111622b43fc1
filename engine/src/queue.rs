//! Hands each dirty key to one worker at a time.
//!
//! Changes arrive faster than reconciles finish, so the queue holds keys, not changes: a key added many times before a worker
//! takes it is handed out once. [`Core`] decides all of that; here stand the lock, the clock, and the wakers of
//! those who wait. Wakers are kept under the same lock as the state they wait for, so that no wakeup is lost.

mod core;
mod limit;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

pub use self::core::{Core, Counts, Handout, Limits, Verdict};
pub use self::limit::Bucket;
use crate::object::Key;
use crate::trigger::{Cause, Lane, Trigger};

/// A moment, as the time since the queue was made.
pub type Now = Duration;

/// A queue of keys. Clones are the same queue.
#[derive(Debug)]
pub struct Queue<K: Tenanted> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    state: Mutex<State<K>>,
    started: Instant,
}

#[derive(Debug)]
struct State<K> {
    core: Core<K>,
    closed: bool,
    /// Those who wait in [`Queue::take`], in the order in which they came.
    takers: BTreeMap<u64, Waker>,
    arrivals: u64,
    /// The one who waits in [`Queue::drive`].
    driver: Option<Waker>,
}

/// Nothing is handed out any more.
#[derive(Debug, PartialEq, Eq)]
struct Closed;

/// A key in flight. Giving it back without a verdict, as a panicking worker does, counts as a failure.
#[derive(Debug)]
pub struct Taken<'q, K: Tenanted> {
    /// Present until it is given back.
    handout: Option<Handout<K>>,
    queue: &'q Queue<K>,
}

/// A key that can be queued, and whose it is: tenants take turns, so that none waits for all that another one has queued.
pub trait Tenanted: Hash + Eq + Clone {
    /// What tells one tenant from another.
    type Tenant: Hash + ?Sized;

    /// Whose key it is.
    fn tenant(&self) -> &Self::Tenant;
}

impl Tenanted for Key {
    type Tenant = str;

    /// The namespace: whoever fills one has to wait for the others.
    fn tenant(&self) -> &str {
        &self.namespace
    }
}

/// How full the queue is, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Keys that could be handed out now, by [`Lane::index`].
    pub ready: [usize; Lane::ALL.len()],
    /// Keys that wait for their time.
    pub waiting: usize,
    /// Keys in flight.
    pub in_flight: usize,
    /// How long the key has been ready that has been ready for longest; zero if there is none.
    pub oldest_ready: Duration,
    /// How long the key has been in flight that has been so for longest; zero if there is none.
    pub longest_running: Duration,
    /// How long all keys in flight have been so, added up.
    pub unfinished: Duration,
}

impl<K: Tenanted> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K: Tenanted> Queue<K> {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        let state =
            State { core: Core::new(limits), closed: false, takers: BTreeMap::new(), arrivals: 0, driver: None };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), started: Instant::now() }) }
    }

    /// Asks for `key` to be handed out.
    ///
    /// Adding a key that is already waiting for a worker does nothing. Adding one that is in flight hands it out again once
    /// it is given back. After [`close`](Self::close), keys are ignored, so that producers need no order of shutdown.
    pub fn add(&self, key: K, trigger: impl Into<Trigger>) {
        let now = self.now();
        self.change(|core| core.add(now, key, trigger));
    }

    /// Asks for each of `keys` to be handed out, and no worker sees some of them without the others: cheaper than one by one.
    pub fn add_all(&self, keys: impl IntoIterator<Item = (K, Trigger)>) {
        let now = self.now();
        self.change(|core| {
            for (key, trigger) in keys {
                core.add(now, key, trigger);
            }
        });
    }

    /// Asks for `key` to be handed out after `delay` or, if that was asked for already, sooner.
    pub fn add_after(&self, key: K, delay: Duration) {
        let now = self.now();
        self.change(|core| core.add_at(now, key, now.saturating_add(delay)));
    }

    /// Waits for a key; `None` once the queue is closed.
    pub fn take(&self) -> impl Future<Output = Option<Taken<'_, K>>> {
        Take { queue: self, arrival: None }
    }

    /// Hands out a key if there is one.
    pub fn try_take(&self) -> Option<Taken<'_, K>> {
        let now = self.now();
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let handout = state.core.take(now)?;
        Some(Taken { handout: Some(handout), queue: self })
    }

    /// Makes keys ready when their time has come, until the queue is closed. One caller has to poll it.
    pub async fn drive(&self) {
        loop {
            let Ok(at) = self.next_moment() else { return };
            let mut changed = pin!(poll_fn(|context: &mut Context<'_>| {
                if self.next_moment() != Ok(at) {
                    return Poll::Ready(());
                }
                self.lock().driver = Some(context.waker().clone());
                // Again, for what has changed in between.
                if self.next_moment() == Ok(at) { Poll::Pending } else { Poll::Ready(()) }
            }));
            match at.and_then(|at| self.shared.started.checked_add(at)) {
                None => changed.await,
                Some(at) => tokio::select! {
                    () = &mut changed => {}
                    () = sleep_until(at) => {}
                },
            }
            let now = self.now();
            self.change(|core| core.release(now));
        }
    }

    /// Hands out no more keys; those in flight may be given back.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let wakers = std::mem::take(&mut state.takers).into_values().chain(state.driver.take());
        for waker in wakers.collect::<Vec<_>>() {
            waker.wake();
        }
    }

    /// How full the queue is.
    pub fn depth(&self) -> Depth {
        let core = &self.lock().core;
        let ready = [core.ready(), 0];
        Depth { ready, waiting: core.waiting(), in_flight: core.in_flight(), ..Depth::default() }
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.lock().core.counts()
    }

    fn now(&self) -> Now {
        self.shared.started.elapsed()
    }

    /// When the next key becomes ready by itself, if one does.
    fn next_moment(&self) -> Result<Option<Now>, Closed> {
        let state = self.lock();
        if state.closed { Err(Closed) } else { Ok(state.core.wake_at()) }
    }

    /// Changes the state, and wakes as many as have something to do because of it.
    fn change<R>(&self, change: impl FnOnce(&mut Core<K>) -> R) {
        let mut state = self.lock();
        if !state.closed {
            state.change(change);
        }
    }

    // The core panics only on a key that is given back twice, which `Taken` rules out.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn handout(&self) -> &Handout<K> {
        self.handout.as_ref().expect("present until given back")
    }

    /// Gives the key back.
    pub fn done(mut self, verdict: Verdict) {
        self.give_back(verdict);
    }

    fn give_back(&mut self, verdict: Verdict) {
        let Some(Handout { key, .. }) = self.handout.take() else { return };
        let now = self.queue.now();
        let mut state = self.queue.lock();
        // Of a closed queue nothing is handed out any more; only the count of keys in flight still matters.
        let verdict = if state.closed { Verdict::Done } else { verdict };
        state.change(|core| core.done(now, key, verdict));
    }
}

impl<K: Tenanted> State<K> {
    fn change<R>(&mut self, change: impl FnOnce(&mut Core<K>) -> R) {
        let (ready, wake_at) = (self.core.ready(), self.core.wake_at());
        change(&mut self.core);
        for _ in ready..self.core.ready() {
            let Some((_, waker)) = self.takers.pop_first() else { break };
            waker.wake();
        }
        if self.core.wake_at() != wake_at
            && let Some(driver) = self.driver.take()
        {
            driver.wake();
        }
    }
}

impl<K: Tenanted> Drop for Taken<'_, K> {
    fn drop(&mut self) {
        self.give_back(Verdict::Failed);
    }
}

/// Waits in [`Queue::take`].
struct Take<'q, K: Tenanted> {
    queue: &'q Queue<K>,
    /// The place in `takers`, once it had to wait.
    arrival: Option<u64>,
}

impl<'q, K: Tenanted> Future for Take<'q, K> {
    type Output = Option<Taken<'q, K>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        let now = queue.now();
        let mut state = queue.lock();
        if state.closed {
            return Poll::Ready(None);
        }
        if let Some(handout) = state.core.take(now) {
            if let Some(arrival) = self.arrival.take() {
                state.takers.remove(&arrival);
            }
            drop(state);
            return Poll::Ready(Some(Taken { handout: Some(handout), queue }));
        }
        let arrival = self.arrival.unwrap_or_else(|| {
            state.arrivals += 1;
            state.arrivals
        });
        state.takers.insert(arrival, context.waker().clone());
        drop(state);
        self.arrival = Some(arrival);
        Poll::Pending
    }
}

impl<K: Tenanted> Drop for Take<'_, K> {
    fn drop(&mut self) {
        let Some(arrival) = self.arrival else { return };
        let mut state = self.queue.lock();
        // One that was woken and gives up leaves its key to the next.
        if state.takers.remove(&arrival).is_none()
            && state.core.ready() > 0
            && let Some((_, waker)) = state.takers.pop_first()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
