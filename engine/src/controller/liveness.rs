//! Whether a controller goes on: what only a restart mends, and nothing that passes by itself.
//!
//! A worker that waits is cut off by its deadline. One that never yields can't be: it computes for ever, or blocks its thread.
//! That is what shows here. A server that can't be reached does not, since a restart would not bring it back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::RECONCILE_DEADLINE;
use crate::object::Key;
use crate::queue::Queue;

/// How many deadlines a worker may hold a key for. Its deadline comes first; only a thread that is blocked is so late.
const STUCK: u32 = 2;

/// Time between two beats of the runtime.
const BEAT: Duration = Duration::from_secs(1);

/// The longest silence of the runtime: a machine that is so slow that a timer is late by half a minute makes probes fail on
/// its own account.
const STALLED: Duration = Duration::from_secs(30);

/// Tells whether a controller's workers and its runtime go on.
#[derive(Debug, Clone)]
pub struct Liveness {
    queue: Queue<Key>,
    deadline: Duration,
    /// When the runtime last ran a timer, since the controller runs.
    beat: Arc<Mutex<Option<Instant>>>,
}

impl Liveness {
    pub(super) fn new(queue: Queue<Key>) -> Self {
        Self { queue, deadline: RECONCILE_DEADLINE, beat: Arc::default() }
    }

    pub(super) fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Whether no worker holds a key for longer than any may.
    ///
    /// # Errors
    ///
    /// For how long one has been held.
    pub fn workers(&self) -> Result<(), String> {
        let longest = self.queue.depth().longest_running;
        if longest > self.deadline.saturating_mul(STUCK) {
            Err(format!("one is stuck: it has held a key for {} s", longest.as_secs()))
        } else {
            Ok(())
        }
    }

    /// Whether the runtime runs its timers. A controller that does not run yet, or no longer, has nothing to complain of.
    ///
    /// # Errors
    ///
    /// For how long it has run none.
    pub fn runtime(&self) -> Result<(), String> {
        let beat = *self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        match beat.map(|beat| beat.elapsed()) {
            Some(silence) if silence > STALLED => Err(format!("stalled: no timer has run for {} s", silence.as_secs())),
            _ => Ok(()),
        }
    }

    /// Beats as long as it is polled.
    pub(super) fn beat(&self) -> impl Future<Output = ()> + use<> {
        let pulse = Pulse(self.beat.clone());
        async move {
            loop {
                pulse.set(Some(Instant::now()));
                sleep(BEAT).await;
            }
        }
    }
}

/// Leaves no last beat behind to grow old when it is dropped.
struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    fn set(&self, beat: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = beat;
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.set(None);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;
    use crate::backoff::Schedule;
    use crate::queue::{Bucket, Limits};
    use crate::trigger::Reason;

    fn queue() -> Queue<Key> {
        let second = Duration::from_secs(1);
        Queue::new(Limits { per_key: Schedule::new(second, second), overall: Bucket::new(1, 1) })
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_holds_a_key_for_too_long_is_stuck() {
        let queue = queue();
        let liveness = Liveness::new(queue.clone());
        queue.add(Key::new("n", "a"), Reason::Updated);
        let taken = queue.try_take().expect("a key");
        advance(RECONCILE_DEADLINE * STUCK).await;
        assert_eq!(liveness.workers(), Ok(()));
        advance(Duration::from_secs(1)).await;
        assert_eq!(liveness.workers(), Err("one is stuck: it has held a key for 121 s".to_owned()));
        drop(taken);
        assert_eq!(liveness.workers(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_runs_no_timer_is_stalled() {
        let liveness = Liveness::new(queue());
        advance(STALLED * 2).await;
        assert_eq!(liveness.runtime(), Ok(()), "before it runs");
        let mut beating = Box::pin(liveness.beat());
        assert!(beating.as_mut().now_or_never().is_none(), "it never ends");
        advance(STALLED).await;
        assert_eq!(liveness.runtime(), Ok(()), "it may be late");
        advance(BEAT).await;
        assert_eq!(liveness.runtime(), Err("stalled: no timer has run for 31 s".to_owned()));
        assert!(beating.as_mut().now_or_never().is_none());
        assert_eq!(liveness.runtime(), Ok(()), "it beats again");
        advance(STALLED * 2).await;
        drop(beating);
        assert_eq!(liveness.runtime(), Ok(()), "after it has ended");
    }
}
