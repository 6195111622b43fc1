//! Changes in, the keys that have changed out, each once however often it has changed since it was read.

use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use super::{Informer, Subscription, lock};
use crate::object::{Key, Object};

/// The keys that have changed, in the order in which they first did since they were last read.
///
/// Those of objects that are gone are among them: whoever reads one asks the cache what there is. A reader that stops
/// reading costs a key for each object that there is or was in the meantime, and holds up nobody.
pub struct Keys {
    pending: Arc<Mutex<Pending>>,
    _subscription: Subscription,
}

#[derive(Default)]
struct Pending {
    /// Each key once.
    order: VecDeque<Key>,
    /// The same keys.
    present: HashSet<Key>,
    /// The reader, while it waits. Under the same lock as what it waits for, so that no wakeup is lost.
    reader: Option<Waker>,
}

impl Keys {
    pub(super) fn of<T: Object>(informer: &Informer<T>) -> Self {
        let pending: Arc<Mutex<Pending>> = Arc::default();
        let filled = pending.clone();
        let subscription = informer.subscribe(move |change| lock(&filled).add(change.key()));
        Self { pending, _subscription: subscription }
    }

    /// The next key.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it resolves loses no key.
    pub async fn next(&mut self) -> Key {
        poll_fn(|context| {
            let mut pending = lock(&self.pending);
            if let Some(key) = pending.take() {
                return Poll::Ready(key);
            }
            pending.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// How many keys are waiting to be read.
    pub fn len(&self) -> usize {
        lock(&self.pending).order.len()
    }

    /// Returns true if no key is waiting to be read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Pending {
    fn add(&mut self, key: Key) {
        if self.present.insert(key.clone()) {
            self.order.push_back(key);
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn take(&mut self) -> Option<Key> {
        let key = self.order.pop_front()?;
        self.present.remove(&key);
        Some(key)
    }
}
