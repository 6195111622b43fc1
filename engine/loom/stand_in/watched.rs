//! A value that others wait for, as tokio's channel `watch` has it: in the same steps, but on loom's locks. Between tokio's
//! own steps loom would see nothing, and try no other order.

use std::future::poll_fn;
use std::ops::Deref;
use std::task::{Poll, Waker};

use loom::sync::{Arc, Mutex, MutexGuard};

/// The one who changes it.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

/// One who waits.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Mutex<Shared<T>>>,
    /// How often it had been changed when this one last looked.
    seen: usize,
}

#[derive(Debug)]
struct Shared<T> {
    value: T,
    changes: usize,
    waiting: Vec<Waker>,
}

/// The value, for as long as it must not change.
pub struct Ref<'a, T>(MutexGuard<'a, Shared<T>>);

/// There is nobody left to change it.
#[derive(Debug)]
pub struct Closed;

impl<T> Sender<T> {
    pub fn new(value: T) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { value, changes: 0, waiting: Vec::new() })) }
    }

    pub fn send_replace(&self, value: T) -> T {
        let mut shared = lock(&self.shared);
        let former = std::mem::replace(&mut shared.value, value);
        shared.changes += 1;
        let waiting = std::mem::take(&mut shared.waiting);
        drop(shared);
        waiting.into_iter().for_each(Waker::wake);
        former
    }

    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(lock(&self.shared))
    }

    pub fn subscribe(&self) -> Receiver<T> {
        let seen = lock(&self.shared).changes;
        Receiver { shared: self.shared.clone(), seen }
    }
}

impl<T> Receiver<T> {
    pub async fn wait_for(&mut self, mut fits: impl FnMut(&T) -> bool) -> Result<(), Closed> {
        self.wait(|shared, _| fits(&shared.value)).await
    }

    pub async fn changed(&mut self) -> Result<(), Closed> {
        self.wait(|shared, seen| shared.changes != seen).await
    }

    async fn wait(&mut self, mut is_over: impl FnMut(&Shared<T>, usize) -> bool) -> Result<(), Closed> {
        poll_fn(|context| {
            let mut shared = lock(&self.shared);
            if is_over(&shared, self.seen) {
                self.seen = shared.changes;
                return Poll::Ready(Ok(()));
            }
            shared.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}
