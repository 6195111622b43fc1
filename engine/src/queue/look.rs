//! A look at what waits in a queue, for people: a part of it, at the cost of that part.

use std::hash::BuildHasher;
use std::time::Duration;

use super::core::Core;
use super::{Queue, Tenanted, nanos};
use crate::trigger::Cause;

/// A key whose time has not come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delayed<K> {
    /// The key.
    pub key: K,
    /// How long it still waits, if nothing asks for it before.
    pub due_in: Duration,
    /// For how long nothing but an urgent trigger can ask for it; zero if it is held by no backoff.
    pub held_for: Duration,
    /// Its failures in a row.
    pub failures: u32,
    /// What asked for it since it was last handed out.
    pub cause: Cause,
}

impl<K: Tenanted + Clone> Queue<K> {
    /// The keys that wait for their time and are due first, at most `most` of them.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use engine::backoff::Schedule;
    /// # use engine::object::Key;
    /// # use engine::queue::{Bucket, Limits, Queue};
    /// let per_key = Schedule::new(Duration::from_millis(5), Duration::from_secs(60));
    /// let queue = Queue::new(Limits { per_key, overall: Bucket::new(50, 500) });
    /// for seconds in [30, 10, 20] {
    ///     queue.add_after(Key::new("default", format!("in-{seconds}-s")), Duration::from_secs(seconds));
    /// }
    /// let first: Vec<_> = queue.delayed(2).into_iter().map(|delayed| delayed.key.name).collect();
    /// assert_eq!(first, ["in-10-s".into(), "in-20-s".into()]);
    /// ```
    pub fn delayed(&self, most: usize) -> Vec<Delayed<K>> {
        let now = nanos(self.now());
        self.lock().core.delayed(now, most)
    }
}

impl<K: Tenanted + Clone, S: BuildHasher> Core<K, S> {
    fn delayed(&self, now: super::Nanos, most: usize) -> Vec<Delayed<K>> {
        let until = |moment: super::Nanos| Duration::from_nanos(moment.saturating_sub(now));
        let delayed = self.waiting.first(&self.items, most).into_iter().filter_map(|slot| {
            let item = &self.items[slot];
            let key = item.key.clone()?;
            let (due_in, held_for) = (until(item.due), until(item.floor));
            Some(Delayed { key, due_in, held_for, failures: item.failures, cause: item.cause })
        });
        delayed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::Schedule;
    use crate::object::Key;
    use crate::queue::{Bucket, Limits, Verdict};
    use crate::trigger::{Reason, Trigger, Urgency};

    fn key(number: u64) -> Key {
        Key::new("n", format!("{number}"))
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_due_first_are_seen_and_those_that_were_called_off_are_not() {
        let second = Duration::from_secs(1);
        let queue = Queue::new(Limits { per_key: Schedule::new(second, second), overall: Bucket::new(100, 100) });
        // In an order that is none.
        for number in 0..1000 {
            queue.add_after(key(number), second * 10 + second * u32::try_from(number * 619 % 1000).expect("small"));
        }
        for number in 0..1000 {
            if number * 619 % 2 == 1 {
                queue.add(key(number), Trigger::new(Reason::Updated).with_urgency(Urgency::Urgent));
            }
        }
        while let Some(taken) = queue.try_take() {
            taken.done(Verdict::Done);
        }
        let seen = queue.delayed(3);
        let waits: Vec<_> = seen.iter().map(|delayed| delayed.due_in.as_secs()).collect();
        assert_eq!(waits, [10, 12, 14]);
        assert_eq!((seen[0].failures, seen[0].held_for), (0, Duration::ZERO));
        assert_eq!(queue.delayed(10_000).len(), 500);
        assert_eq!(queue.delayed(0), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_backoff_is_seen_with_its_failures() {
        let minute = Duration::from_mins(1);
        let queue = Queue::new(Limits { per_key: Schedule::new(minute, minute), overall: Bucket::new(100, 100) });
        queue.add(key(1), Reason::Created);
        queue.try_take().expect("a key").done(Verdict::Failed);
        let [delayed] = &queue.delayed(10)[..] else { panic!("one waits") };
        assert_eq!((&delayed.key, delayed.failures), (&key(1), 1));
        assert!(delayed.held_for > Duration::ZERO && delayed.held_for <= delayed.due_in, "{delayed:?}");
        assert_eq!(delayed.cause.to_string(), Cause::new(Reason::Retry).to_string());
    }
}
