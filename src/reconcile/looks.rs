//! Looks at caches that are not filled yet, which no event tells of: soon, and ever more seldom the longer it takes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::object::Key;

/// First and longest time between two looks. A list takes less than the first. What the server does not know, or may not be
/// read, is not asked for by the engine any more often than the longest.
const BETWEEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// After which time it is told that a cache is not filled: many times what a list takes.
const LATE: Duration = Duration::from_secs(10);

/// Since when each Application waits for a cache.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<HashMap<Key, Instant>>);

impl Looks {
    /// When to look again for the Application with this key: after as long as it has waited so far.
    pub(super) fn again(&self, key: &Key, now: Instant) -> Duration {
        let since = *self.all().entry(key.clone()).or_insert(now);
        now.duration_since(since).clamp(BETWEEN.0, BETWEEN.1)
    }

    /// Whether it has waited for longer than it should.
    pub(super) fn is_late(&self, key: &Key, now: Instant) -> bool {
        self.all().get(key).is_some_and(|since| now.duration_since(*since) >= LATE)
    }

    /// It waits no more.
    pub(super) fn end(&self, key: &Key) {
        self.all().remove(key);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Instant>> {
        // Nothing under the lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_looks_ever_more_seldom_and_is_late_in_the_end() {
        let (looks, key, start) = (Looks::default(), Key::new("shop", "web"), Instant::now());
        let mut now = start;
        let waits: Vec<u64> = (0..8)
            .map(|_| {
                let wait = looks.again(&key, now);
                now += wait;
                wait.as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 1, 2, 4, 8, 16, 30, 30]);
        assert!(!looks.is_late(&key, start + Duration::from_secs(9)) && looks.is_late(&key, start + LATE));
        assert!(!looks.is_late(&Key::new("shop", "other"), now), "nobody waits for another's cache");
        looks.end(&key);
        assert_eq!((looks.again(&key, now), looks.is_late(&key, now)), (BETWEEN.0, false));
    }
}
