//! How fast requests may be sent once the server has said that there are too many. Pure: time is what has passed since the
//! start.
//!
//! There is no limit until a 429 comes, since the server has priority and fairness, and knows better. Then it is half of what
//! was sent lately, half again with each second that brings another, and rises a little with each second that brings none
//! (additive increase, multiplicative decrease: what makes many clients of one server share it evenly).

use std::time::Duration;

/// Within this time refusals are those of one overload, and halve the rate once.
const ROUND: Duration = Duration::from_secs(1);

/// Requests a second that are added with each round without a refusal: back from the slowest to a hundred within 20 s.
const INCREASE: f64 = 5.0;

/// Requests a second that are always sent. A server that can't take these refuses them, and says how long to wait.
const SLOWEST: f64 = 5.0;

/// How long after the last refusal the limit is forgotten: an overload that is over leaves no trace.
const FORGET: Duration = Duration::from_mins(1);

/// The state.
#[derive(Debug, Default)]
pub(super) struct Pace {
    limit: Option<Limit>,
    /// When the present count of requests began, and the count.
    since: Duration,
    sent: u32,
    /// Requests a second, as last counted.
    measured: f64,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    /// Requests a second.
    rate: f64,
    /// When the next request may be sent.
    next: Duration,
    /// The last refusal that halved the rate, and the last one at all.
    halved: Duration,
    refused: Duration,
    /// When the rate was raised last.
    raised: Duration,
}

impl Pace {
    /// How long the request that comes at `now` has to wait. It counts as sent.
    pub(super) fn admit(&mut self, now: Duration) -> Duration {
        let counted = now.saturating_sub(self.since);
        if counted >= ROUND {
            self.measured = f64::from(self.sent) / counted.as_secs_f64();
            (self.since, self.sent) = (now, 0);
        }
        self.sent = self.sent.saturating_add(1);
        if self.limit.is_some_and(|limit| now >= limit.refused + FORGET) {
            self.limit = None;
        }
        let Some(limit) = &mut self.limit else { return Duration::ZERO };
        while now >= limit.raised + ROUND {
            limit.raised += ROUND;
            limit.rate += INCREASE;
        }
        let at = limit.next.max(now);
        limit.next = at + Duration::from_secs_f64(1.0 / limit.rate);
        at.saturating_sub(now)
    }

    /// Takes in a refusal (429), and says whether it is the first after a time without a limit.
    pub(super) fn refused(&mut self, now: Duration) -> bool {
        let measured = self.measured.max(f64::from(self.sent));
        match &mut self.limit {
            None => {
                let rate = (measured / 2.0).max(SLOWEST);
                self.limit = Some(Limit { rate, next: now, halved: now, refused: now, raised: now });
                true
            }
            Some(limit) => {
                limit.refused = now;
                limit.raised = now;
                if now >= limit.halved + ROUND {
                    limit.halved = now;
                    limit.rate = (limit.rate / 2.0).max(SLOWEST);
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// How many requests get through from `from` for so many seconds, if as many come as may.
    fn passed(pace: &mut Pace, from: Duration, seconds: u64) -> usize {
        let (mut now, end, mut count) = (from, from + millis(seconds * 1000), 0);
        loop {
            now += pace.admit(now) + millis(1);
            if now >= end {
                return count;
            }
            count += 1;
        }
    }

    #[test]
    fn nobody_waits_until_a_refusal_comes() {
        let mut pace = Pace::default();
        assert!((0..10_000).all(|number| pace.admit(millis(number / 10)).is_zero()));
    }

    #[test]
    fn a_refusal_halves_what_was_sent_and_many_at_once_do_so_once() {
        let mut pace = Pace::default();
        for number in 0..2000 {
            pace.admit(millis(number * 10));
        }
        for _ in 0..50 {
            pace.refused(millis(20_000));
        }
        let first = passed(&mut pace, millis(20_000), 1);
        assert!((45..=60).contains(&first), "{first} of a hundred");
        pace.refused(millis(21_000));
        let second = passed(&mut pace, millis(21_000), 1);
        assert!((20..=35).contains(&second), "{second}");
    }

    #[test]
    fn the_rate_rises_again_and_is_free_after_a_minute() {
        let mut pace = Pace::default();
        pace.admit(millis(0));
        pace.refused(millis(0));
        let first = passed(&mut pace, millis(0), 1);
        assert!(first <= 6, "{first}");
        let later = passed(&mut pace, millis(20_000), 1);
        assert!((95..=115).contains(&later), "{later}");
        assert!((0..1000).all(|_| pace.admit(millis(60_000)).is_zero()));
    }

    proptest! {
        #[test]
        fn a_server_that_refuses_all_is_asked_at_the_slowest_rate_and_never_less(refusals in 1u64..200) {
            let mut pace = Pace::default();
            let mut now = Duration::ZERO;
            for _ in 0..refusals {
                now += pace.admit(now) + millis(300);
                pace.refused(now);
            }
            let wait = pace.admit(now);
            prop_assert!(wait <= millis(200), "{wait:?}");
        }

        #[test]
        fn requests_are_spread_and_none_waits_for_more_than_those_before_it(count in 1u32..300) {
            let mut pace = Pace::default();
            pace.refused(Duration::ZERO);
            let waits: Vec<Duration> = (0..count).map(|_| pace.admit(Duration::ZERO)).collect();
            prop_assert!(waits.is_sorted());
            let slowest = Duration::from_secs_f64(f64::from(count) / SLOWEST);
            prop_assert!(waits.iter().all(|wait| *wait < slowest));
        }
    }
}
