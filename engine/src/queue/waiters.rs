//! Those who wait for a key, in the order in which they came. Pure.
//!
//! Wakers that are no longer needed are handed back, to be dropped when the queue's lock is free: that may run what takes it.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

/// Identifies one who waits; rising with the time of arrival.
pub(super) type Ticket = u64;

#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// Rising by ticket. Who is woken is no longer here.
    waiting: VecDeque<(Ticket, Waker)>,
    issued: Ticket,
}

impl Waiters {
    /// Waits under `ticket`, or under a new one, and returns it and the waker that it had before. Who was woken in vain gets
    /// his old place back.
    pub(super) fn enter(&mut self, ticket: Option<Ticket>, waker: Waker) -> (Ticket, Option<Waker>) {
        let Some(ticket) = ticket else {
            self.issued += 1;
            self.waiting.push_back((self.issued, waker));
            return (self.issued, None);
        };
        match self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket) {
            Ok(place) => (ticket, Some(mem::replace(&mut self.waiting[place].1, waker))),
            Err(place) => {
                self.waiting.insert(place, (ticket, waker));
                (ticket, None)
            }
        }
    }

    /// Waits no longer. It returns nothing if the one of that ticket was woken before.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        let place = self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        self.waiting.remove(place).map(|(_, waker)| waker)
    }

    /// Takes out the one who has waited for longest, to be woken.
    pub(super) fn next(&mut self) -> Option<Waker> {
        self.waiting.pop_front().map(|(_, waker)| waker)
    }

    /// Takes out `count` of them, or all if there are fewer.
    pub(super) fn drain(&mut self, count: usize) -> Vec<Waker> {
        self.waiting.drain(..count.min(self.waiting.len())).map(|(_, waker)| waker).collect()
    }
}
