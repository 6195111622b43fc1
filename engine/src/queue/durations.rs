//! How long things took, counted by orders of magnitude. Pure.

use std::time::Duration;

use super::Nanos;

/// A histogram with the bounds that client-go gives its `workqueue_*_duration_seconds`: powers of ten from 10 ns to 1,000 s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Durations {
    /// By the first bound that is no shorter; the last are those above all bounds.
    counts: [u64; Durations::BOUNDS.len() + 1],
    sum: u128,
}

impl Durations {
    /// Upper bounds of the counts but the last, in seconds; what equals a bound is below it.
    pub const BOUNDS: [f64; 12] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3];

    /// How many there were up to each bound and above the one before; at the end, those above all bounds.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long they took together.
    pub fn sum(&self) -> Duration {
        u64::try_from(self.sum).map_or(Duration::MAX, Duration::from_nanos)
    }

    pub(super) fn record(&mut self, took: Nanos) {
        // The bounds are 10^1, 10^2, … ns; what equals one is still below it.
        let place = took.saturating_sub(1).checked_ilog10().unwrap_or(0) as usize;
        self.counts[place.min(Self::BOUNDS.len())] += 1;
        self.sum += u128::from(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_under_the_first_bound_that_is_no_shorter() {
        for (nanos, place) in [(0, 0), (10, 0), (11, 1), (100, 1), (1_000_000, 5), (1_000_001, 6), (u64::MAX, 12)] {
            let mut durations = Durations::default();
            durations.record(nanos);
            assert_eq!(durations.counts().iter().position(|count| *count == 1), Some(place), "{nanos} ns");
        }
    }
}
