//! How long to wait after the n-th failure in a row. Pure: no clock, no randomness.
//!
//! The only module that names the crate `backoff`, whose last release is from 2021: taking another
//! in its place is a change to [`Schedule::new`].

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff as _;

/// Delays that double with each failure up to a ceiling.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Never empty, and rising; the last one holds for every later failure.
    delays: Box<[Duration]>,
}

impl Schedule {
    /// Delays from `first`, doubling, to at most `ceiling`.
    ///
    /// # Panics
    ///
    /// If `first` is zero or longer than `ceiling`.
    pub fn new(first: Duration, ceiling: Duration) -> Self {
        assert!(!first.is_zero() && first <= ceiling, "{first:?} must be in 0..={ceiling:?}");
        // Without a limit on elapsed time the crate's clock decides nothing, and a randomisation factor of zero makes it
        // deterministic; jitter is added by those who have randomness.
        let mut doubling = ExponentialBackoffBuilder::new()
            .with_initial_interval(first)
            .with_max_interval(ceiling)
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        let mut delays = Vec::new();
        while delays.last() != Some(&ceiling) {
            delays.push(doubling.next_backoff().map_or(ceiling, |delay| delay.min(ceiling)));
        }
        Self { delays: delays.into() }
    }

    /// The delay after `failures` failures in a row; zero after none.
    pub fn delay(&self, failures: u32) -> Duration {
        let Some(index) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let last = self.delays.len() - 1;
        self.delays[usize::try_from(index).map_or(last, |index| index.min(last))]
    }
}

/// Spreads `delay` over its upper half by `fraction` in 0..1, so that clients that failed together
/// do not return together.
pub fn jittered(delay: Duration, fraction: f64) -> Duration {
    delay.mul_f64(0.5 + 0.5 * fraction.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_ceiling_and_stay_there() {
        let schedule = Schedule::new(Duration::from_millis(5), Duration::from_secs(30));
        assert_eq!(schedule.delay(0), Duration::ZERO);
        assert_eq!(schedule.delay(1), Duration::from_millis(5));
        assert_eq!(schedule.delay(2), Duration::from_millis(10));
        assert_eq!(schedule.delay(12), Duration::from_millis(10_240));
        assert_eq!(schedule.delay(14), Duration::from_secs(30));
        assert_eq!(schedule.delay(u32::MAX), Duration::from_secs(30));
    }

    #[test]
    fn a_first_delay_at_the_ceiling_never_grows() {
        let schedule = Schedule::new(Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(schedule.delay(1), schedule.delay(9));
    }

    #[test]
    fn jitter_keeps_a_delay_between_its_half_and_itself() {
        let delay = Duration::from_secs(8);
        assert_eq!(jittered(delay, 0.0), Duration::from_secs(4));
        assert_eq!(jittered(delay, 1.0), delay);
        assert_eq!(jittered(delay, f64::NAN.max(2.0)), delay);
    }
}
