//! How many Events one object may have: a token bucket for each. Pure.

use std::collections::HashMap;
use std::time::Duration;

use super::core::{Now, REMEMBERED};

/// Events of one object that may come at once: client-go's (`defaultSpamBurst`).
pub(super) const BURST: u32 = 25;

/// Time in which an object may have one more: client-go's (`defaultSpamQPS`).
pub(super) const REFILL: Duration = Duration::from_mins(5);

/// The buckets, by the uid of the object.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    /// When the bucket will be full again. A bucket that is full is not known.
    full_at: HashMap<String, Now>,
}

impl Budgets {
    /// Takes a token, if there is one.
    pub(super) fn spend(&mut self, now: Now, uid: &str) -> bool {
        let full_at = self.full_at.get(uid).copied().unwrap_or_default().max(now) + REFILL;
        if full_at > now + REFILL * BURST {
            return false;
        }
        if self.full_at.len() >= REMEMBERED && !self.full_at.contains_key(uid) {
            self.make_room(now);
        }
        self.full_at.insert(uid.to_owned(), full_at);
        true
    }

    fn make_room(&mut self, now: Now) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= REMEMBERED
            // The one that has spent the least loses the least.
            && let Some(fullest) = self.full_at.iter().min_by_key(|(_, full_at)| **full_at).map(|(uid, _)| uid.clone())
        {
            self.full_at.remove(&fullest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_a_burst_and_then_one_event_in_five_minutes() {
        let mut budgets = Budgets::default();
        let start = Duration::from_hours(1);
        let spent = |budgets: &mut Budgets, at| (0..100).filter(|_| budgets.spend(at, "a")).count();
        assert_eq!(spent(&mut budgets, start), 25);
        assert!(budgets.spend(start, "b"), "each has its own");
        assert_eq!(spent(&mut budgets, start + REFILL.mul_f64(0.99)), 0);
        assert_eq!(spent(&mut budgets, start + REFILL), 1);
        assert_eq!(spent(&mut budgets, start + REFILL * 4), 3);
        assert_eq!(spent(&mut budgets, start + REFILL * 1_000), 25);
    }

    #[test]
    fn budgets_are_bounded_and_who_has_spent_most_is_remembered() {
        let mut budgets = Budgets::default();
        while budgets.spend(Now::ZERO, "spender") {}
        for number in 0..3 * REMEMBERED {
            assert!(budgets.spend(Now::ZERO, &number.to_string()));
            assert!(budgets.full_at.len() <= REMEMBERED);
        }
        assert!(!budgets.spend(Now::ZERO, "spender"));
    }
}
