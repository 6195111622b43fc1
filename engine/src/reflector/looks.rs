//! Own writes that the stream does not bring are read from the server, one after the other, beside whatever else is done.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tracing::debug;

use crate::api::Client;
use crate::object::{Object, chain};
use crate::store::Overdue;

/// How often own writes are looked at that the stream has not brought: between one and two of these periods after its answer
/// a write is taken for overdue. A stream that works brings it within milliseconds, so that this costs nothing; one that does
/// not leaves nobody with a wrong state for much longer than a reconcile may take.
const LOOK: Duration = Duration::from_secs(10);

/// How many objects are read one by one in a round. With more than that overdue the stream is as good as dead, and its silence
/// will end it; until then the load on the server is bounded.
const LOOKS: usize = 16;

/// The longest that one object may take. A server that is slower than that is asked again in the next round.
const ANSWER: Duration = Duration::from_secs(5);

/// What is overdue, and what the server says of it.
pub(super) struct Looks<T> {
    due: Interval,
    /// What is still to be read in this round.
    waiting: VecDeque<Overdue>,
    asking: Option<BoxFuture<'static, (Overdue, Answer<T>)>>,
}

/// What the server has; `None` if it does not say.
type Answer<T> = Option<Option<T>>;

/// What has happened.
pub(super) enum Look<T> {
    /// It is time to look at what is overdue.
    Due,
    /// This is what the server has of an object that was overdue.
    Found(Overdue, Option<T>),
}

impl<T: Object> Looks<T> {
    pub(super) fn new() -> Self {
        let mut due = interval_at(Instant::now() + LOOK, LOOK);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { due, waiting: VecDeque::new(), asking: None }
    }

    /// Waits for what is to be done next, and reads through `client` meanwhile.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it resolves loses nothing.
    pub(super) async fn next(&mut self, client: &Client) -> Look<T> {
        loop {
            if self.asking.is_none() {
                self.asking = self.waiting.pop_front().map(|overdue| ask(client.clone(), overdue).boxed());
            }
            let Some(asking) = &mut self.asking else {
                self.due.tick().await;
                return Look::Due;
            };
            let (overdue, answer) = asking.await;
            self.asking = None;
            match answer {
                Some(object) => return Look::Found(overdue, object),
                // It is as good as down. What is not read is overdue the next time as well.
                None => self.waiting.clear(),
            }
        }
    }

    /// Begins a round.
    pub(super) fn begin(&mut self, overdue: impl IntoIterator<Item = Overdue>) {
        self.waiting = overdue.into_iter().take(LOOKS).collect();
    }
}

async fn ask<T: Object>(client: Client, overdue: Overdue) -> (Overdue, Answer<T>) {
    let key = overdue.key();
    let cause = match timeout(ANSWER, client.get::<T>(key)).await {
        Ok(Ok(object)) => return (overdue, Some(object)),
        Ok(Err(error)) => chain(&error),
        Err(_elapsed) => format!("no answer after {ANSWER:?}"),
    };
    debug!(resource = %T::RESOURCE, object = %key, cause, "own write is overdue, and can't be read");
    (overdue, None)
}
