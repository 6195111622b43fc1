//! Many Applications, by several clients at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Does something for each of `count` names, by so many clients.
pub(crate) fn for_each(count: u64, clients: usize, act: impl Fn(&str) + Sync) {
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    act(&format!("app-{index}"));
                }
            });
        }
    });
}
