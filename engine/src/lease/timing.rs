//! How long a lease lasts, and when it is renewed. Pure.

use std::time::Duration;

/// By how much of itself a pause between two requests may be longer, so that electors do not stay in step: client-go's
/// factor, by which it also checks its periods.
pub(super) const JITTER: f64 = 1.2;

/// The periods of an election. [`Timing::default`] has client-go's.
///
/// # Invariants
///
/// `retry_period` × 1.2 < `renew_deadline` < `lease_duration`, which is a whole number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    pub(super) lease_duration: Duration,
    pub(super) renew_deadline: Duration,
    pub(super) retry_period: Duration,
}

/// Why periods make no election.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The field `leaseDurationSeconds` counts whole seconds, from 1.
    #[error("the lease duration must be a whole number of seconds, and at least one; {0:?} is not")]
    LeaseDuration(Duration),
    /// A leader would write when another one may.
    #[error("the renew deadline must be shorter than the lease duration; {renew:?} is not shorter than {lease:?}")]
    RenewDeadline {
        /// The renew deadline.
        renew: Duration,
        /// The lease duration.
        lease: Duration,
    },
    /// A leader would lose the Lease before it asks for a renewal.
    #[error(
        "the retry period must be positive and, times 1.2, shorter than the renew deadline; {retry:?} is not, with {renew:?}"
    )]
    RetryPeriod {
        /// The retry period.
        retry: Duration,
        /// The renew deadline.
        renew: Duration,
    },
}

impl Default for Timing {
    /// client-go's periods, which those of core components are too. 15 s without a leader after a crash is what operators
    /// are used to; the 5 s between the deadline and the lease cover a request that was under way, and clocks of which one
    /// runs by half faster than the other; a request each 2 s is no load, and five attempts fit before the deadline.
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

impl Timing {
    /// Others may take over `lease_duration` after they saw the last renewal; the leader stops `renew_deadline` after it began
    /// the last one that succeeded; it renews each `retry_period`, and so often tries anew.
    ///
    /// # Errors
    ///
    /// Where the periods do not fit together, as client-go checks them.
    pub fn new(lease_duration: Duration, renew_deadline: Duration, retry_period: Duration) -> Result<Self, Error> {
        if lease_duration.as_secs() == 0 || lease_duration.subsec_nanos() != 0 {
            return Err(Error::LeaseDuration(lease_duration));
        }
        if renew_deadline >= lease_duration {
            return Err(Error::RenewDeadline { renew: renew_deadline, lease: lease_duration });
        }
        if retry_period.is_zero() || retry_period.mul_f64(JITTER) >= renew_deadline {
            return Err(Error::RetryPeriod { retry: retry_period, renew: renew_deadline });
        }
        Ok(Self { lease_duration, renew_deadline, retry_period })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(lease: u64, renew: u64, retry: u64) -> Result<Timing, Error> {
        Timing::new(Duration::from_millis(lease), Duration::from_millis(renew), Duration::from_millis(retry))
    }

    #[test]
    fn the_defaults_are_client_gos_and_fit_together() {
        assert_eq!(timing(15_000, 10_000, 2_000), Ok(Timing::default()));
    }

    #[test]
    fn periods_that_would_let_two_lead_or_none_are_refused() {
        assert!(matches!(timing(1_500, 1_000, 200), Err(Error::LeaseDuration(_))));
        assert!(matches!(timing(0, 0, 0), Err(Error::LeaseDuration(_))));
        assert!(matches!(timing(3_000, 3_000, 200), Err(Error::RenewDeadline { .. })));
        assert!(matches!(timing(3_000, 1_200, 1_000), Err(Error::RetryPeriod { .. })));
        assert!(matches!(timing(3_000, 2_000, 0), Err(Error::RetryPeriod { .. })));
        assert!(timing(3_000, 1_201, 1_000).is_ok());
    }
}
