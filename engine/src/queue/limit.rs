//! A token bucket: how often a thing may happen overall. Pure.

use std::time::Duration;

use super::Now;

/// How far ahead tokens are handed out at most. Not each token that is reserved is used: a key that failed may be woken before
/// its time. Without an end, a fleet that fails and is woken for hours would keep whatever fails next waiting for hours more;
/// with it, 15,000 keys at the usual 50 a second are still spaced as they should be.
const LONGEST_AHEAD: Duration = Duration::from_mins(5);

/// Spaces reservations so that at most `burst` are granted at once, and `per_second` in the long run.
///
/// The generic cell rate algorithm: one number says all, and a reservation costs the same however many wait.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Time between two tokens.
    interval: Duration,
    /// How far ahead of time tokens may be taken.
    burst: Duration,
    /// When the bucket would be full again.
    full_at: Now,
}

impl Bucket {
    /// A bucket that is full.
    ///
    /// # Panics
    ///
    /// If either number is zero.
    pub fn new(per_second: u32, burst: u32) -> Self {
        assert!(per_second > 0 && burst > 0, "a bucket without tokens never grants anything");
        let interval = Duration::from_secs(1) / per_second;
        Self { interval, burst: interval * burst, full_at: Now::ZERO }
    }

    /// Takes the next token, and returns when it is there.
    pub fn reserve(&mut self, now: Now) -> Now {
        self.full_at = (self.full_at.max(now) + self.interval).min(now + self.burst + LONGEST_AHEAD);
        self.full_at.saturating_sub(self.burst).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_granted_at_once_and_the_rest_at_the_rate() {
        let mut bucket = Bucket::new(10, 3);
        let now = Duration::from_secs(100);
        let waits: Vec<u128> = (0..5).map(|_| bucket.reserve(now).saturating_sub(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200]);
    }

    #[test]
    fn tokens_that_nobody_used_keep_nobody_waiting_for_more_than_minutes() {
        let mut bucket = Bucket::new(10, 3);
        let last = (0..100_000).map(|_| bucket.reserve(Duration::ZERO)).last();
        assert_eq!(last, Some(LONGEST_AHEAD));
    }

    #[test]
    fn an_idle_bucket_fills_up_and_no_further() {
        let mut bucket = Bucket::new(10, 2);
        let later = Duration::from_secs(1000);
        bucket.reserve(Duration::ZERO);
        let waits: Vec<u128> = (0..3).map(|_| bucket.reserve(later).saturating_sub(later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100]);
    }
}
