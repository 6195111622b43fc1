//! Hands each dirty key to one worker at a time.
//!
//! Changes arrive faster than reconciles finish, so the queue holds keys, not changes: a key added many times before a worker
//! takes it is handed out once. What is decided stands in `core` and below it; here stand the lock, the clock, and the wakers
//! of those who wait. Wakers are kept under the same lock as the state they wait for, so that no wakeup is lost, and are woken
//! when that lock is free again.
//!
//! # Order
//!
//! [Lanes](crate::trigger::Lane) are weighted: a live change goes first, but for every eighth key, and once a resync waits for more than ten
//! seconds, every second one. In a lane, [tenants](Tenanted) take turns, a key each; of a tenant, first in is first out. So
//! each wait is bounded by what is in the queue, whatever is added later.
//!
//! # Backoff
//!
//! A key that failed waits for its own backoff, which doubles with each failure in a row. That is a floor: a trigger that
//! comes earlier is kept until then, unless it is [urgent](crate::trigger::Urgency). All retries together are limited as well.

mod core;
mod durations;
mod items;
mod limit;
mod look;
mod take;
mod timers;
mod turns;
mod waiters;

use std::future::poll_fn;
use std::hash::Hash;
use std::pin::pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

pub use self::core::{Counts, Depth, Limits, Verdict};
pub use self::durations::Durations;
pub use self::limit::Bucket;
pub use self::look::Delayed;
pub use self::take::Taken;

use self::core::Core;
use self::waiters::Waiters;
use crate::object::Key;
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::trigger::Trigger;

/// A moment, as the time since the queue was made.
pub type Now = Duration;

/// The same in nanoseconds, which last for 584 years: what the queue reckons with, since it is half as large.
type Nanos = u64;

/// A key that can be queued, and whose it is: tenants take turns, so that none waits for all that another one has queued.
pub trait Tenanted: Hash + Eq {
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

/// A queue of keys. Clones are the same queue.
#[derive(Debug)]
pub struct Queue<K> {
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
    phase: Phase,
    /// Those who wait in [`Queue::take`]. None but while nothing is ready, or as many as are ready have been woken already.
    takers: Waiters,
    /// The one who waits in [`Queue::drive`].
    driver: Option<Waker>,
    /// Those who wait in [`Queue::finished`].
    finishers: Vec<Waker>,
}

/// Nothing comes by itself any more.
struct Ending;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing is added, what is ready is handed out.
    Draining,
    /// Nothing is added or handed out.
    Closed,
}

/// Those to be woken once the lock is free: what they run may take it. Nobody as a rule, and then nothing is moved about.
#[must_use]
struct Woken(Option<Wakers>);

struct Wakers {
    taker: Option<Waker>,
    driver: Option<Waker>,
    others: Vec<Waker>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K: Tenanted> Queue<K> {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        let state = State {
            core: Core::new(limits),
            phase: Phase::Open,
            takers: Waiters::default(),
            driver: None,
            finishers: Vec::new(),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), started: Instant::now() }) }
    }

    /// Asks for `key` to be handed out.
    ///
    /// Adding a key that is already waiting for a worker adds to its cause, and may raise its lane. Adding one that is in
    /// flight hands it out again once it is given back. Once the queue is to end, keys are ignored, so that producers need no
    /// order of shutdown.
    pub fn add(&self, key: K, trigger: impl Into<Trigger>) {
        let (now, trigger) = (self.now(), trigger.into());
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

    /// Forgets the failures of `key`: the next trigger is not held by a backoff, and the next failure is the first. A retry
    /// that is due already stays so.
    pub fn forget(&self, key: &K) {
        let now = self.now();
        self.lock().core.forget(now, key);
    }

    /// Ends the queue without delay: nothing is handed out any more, and all who wait are told. Those in flight may be given
    /// back, and are forgotten.
    pub fn close(&self) {
        self.end(Phase::Closed);
    }

    /// Ends the queue once it is empty: what is ready is still handed out, and then all who wait are told. What waits for its
    /// time is forgotten, and what fails is not tried again. [`close`](Self::close) cuts this short.
    pub fn drain(&self) {
        self.end(Phase::Draining);
    }

    /// Makes keys ready when their time has come, until the queue is to end. One caller has to poll it.
    pub async fn drive(&self) {
        while let Ok(at) = self.next_moment() {
            let mut changed = pin!(poll_fn(|context| self.poll_changed(context, at)));
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

    /// Waits until the queue was told to end, and the last key was given back; after [`drain`](Self::drain), also until what
    /// is ready was handed out.
    pub async fn finished(&self) {
        poll_fn(|context| {
            let mut state = self.lock();
            if state.has_ended() && state.core.in_flight() == 0 {
                return Poll::Ready(());
            }
            if !state.finishers.iter().any(|waker| waker.will_wake(context.waker())) {
                state.finishers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// How full the queue is. It costs as much as there are tenants with a key that is ready.
    pub fn depth(&self) -> Depth {
        let now = self.now();
        self.lock().core.depth(now)
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.lock().core.counts()
    }

    fn now(&self) -> Now {
        self.shared.started.elapsed()
    }

    /// When the next key becomes ready by itself, if one does.
    fn next_moment(&self) -> Result<Option<Now>, Ending> {
        let state = self.lock();
        if state.phase == Phase::Open { Ok(state.core.wake_at()) } else { Err(Ending) }
    }

    /// Waits until [`next_moment`](Self::next_moment) is no longer `at`.
    fn poll_changed(&self, context: &mut Context<'_>, at: Option<Now>) -> Poll<()> {
        let mut state = self.lock();
        if state.phase != Phase::Open || state.core.wake_at() != at {
            return Poll::Ready(());
        }
        let unused = state.driver.replace(context.waker().clone());
        drop(state);
        drop(unused);
        Poll::Pending
    }

    fn end(&self, phase: Phase) {
        let mut state = self.lock();
        if state.phase != Phase::Closed {
            state.phase = phase;
        }
        state.core.abandon_waiting();
        let woken = state.wake_all();
        drop(state);
        woken.wake();
    }

    /// Changes what is wished, unless the queue is to end, and wakes as many as have something to do because of it.
    fn change<R>(&self, change: impl FnOnce(&mut Core<K>) -> R) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            let (_, woken) = state.change(|state| change(&mut state.core));
            drop(state);
            woken.wake();
        }
    }

    // Nothing panics under the lock but for a key that is given back to another queue, which `Taken` rules out.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Tenanted> State<K> {
    /// Changes the state, and picks those who have something to do because of it.
    fn change<R>(&mut self, change: impl FnOnce(&mut Self) -> R) -> (R, Woken) {
        let (ready, due) = (self.core.ready(), self.core.waiting.next());
        let result = change(self);
        if self.has_ended() {
            return (result, self.wake_all());
        }
        let fresh = self.core.ready().saturating_sub(ready);
        let taker = if fresh > 0 { self.takers.next() } else { None };
        let driver = if self.core.waiting.next() == due { None } else { self.driver.take() };
        if taker.is_none() && driver.is_none() {
            return (result, Woken(None));
        }
        let others = if fresh > 1 { self.takers.drain(fresh - 1) } else { Vec::new() };
        (result, Woken(Some(Wakers { taker, driver, others })))
    }

    /// Returns true if nothing will be handed out any more.
    fn has_ended(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            // A key in flight may come back to be handed out again.
            Phase::Draining => self.core.ready() == 0 && self.core.in_flight() == 0,
            Phase::Closed => true,
        }
    }

    fn wake_all(&mut self) -> Woken {
        let mut others = self.takers.drain(usize::MAX);
        others.append(&mut self.finishers);
        Woken(Some(Wakers { taker: None, driver: self.driver.take(), others }))
    }
}

impl Woken {
    fn wake(self) {
        if let Self(Some(Wakers { taker, driver, others })) = self {
            taker.into_iter().chain(driver).chain(others).for_each(Waker::wake);
        }
    }
}

// Not by way of `as_nanos`, whose 128 bits cost more than all else that is done with a moment.
fn nanos(duration: Duration) -> Nanos {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}

#[cfg(test)]
mod tests;
