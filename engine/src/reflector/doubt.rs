//! A watch that was cut and goes on may go on at a server that has gone back in time: etcd was restored from a backup. Such a
//! server sends nothing until it is past the version that the watch starts at, and it never says so.
//!
//! Where a watch that was cut brings nothing at first, the server is asked for its present version. Silence alone would tell
//! only after minutes.

use std::cmp::Ordering;
use std::future::pending;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use crate::api::{Client, Collection};
use crate::object::{Object, PartialObjectMetadata, ResourceVersion, chain};
use crate::store::Writer;

/// How long a watch that was cut may bring nothing until the server is asked. Much less would ask a server for nothing that has
/// just restarted, and whose watches all come back at once; what is looked for takes somebody minutes to do.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest that the answer may take: one object's metadata.
const ANSWER: Duration = Duration::from_secs(10);

/// Whether a server is still what it was, and the question that will tell.
#[derive(Default)]
pub(super) struct Doubt {
    /// When to ask; `None` where there is no doubt.
    due: Option<Instant>,
    asking: Option<BoxFuture<'static, Option<bool>>>,
}

impl Doubt {
    /// A watch that had been cut goes on.
    pub(super) fn raise(&mut self) {
        self.due = Some(Instant::now() + PATIENCE);
        self.asking = None;
    }

    /// The server has shown that it is where it was.
    pub(super) fn settle(&mut self) {
        *self = Self::default();
    }

    /// Resolves once the server has gone back to before `version`, which the cache of `writer` is at; never, while it has not.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it resolves loses nothing.
    pub(super) async fn confirmed<T: Object>(
        &mut self,
        client: &Client,
        writer: &Writer<T>,
        version: Option<&ResourceVersion>,
    ) {
        loop {
            let (Some(due), Some(version)) = (self.due, version) else { return pending().await };
            sleep_until(due).await;
            let asking = self.asking.get_or_insert_with(|| {
                is_before::<T>(client.clone(), writer.collection().clone(), version.clone()).boxed()
            });
            let is_before = asking.await;
            self.asking = None;
            match is_before {
                Some(true) => return,
                Some(false) => self.due = None,
                // It may be starting.
                None => self.due = Some(Instant::now() + PATIENCE),
            }
        }
    }
}

/// Whether the server is at a version before `version`; `None` if it does not say.
async fn is_before<T: Object>(client: Client, collection: Collection, version: ResourceVersion) -> Option<bool> {
    // Lists are consistent, and have the version of the whole.
    let list = client.list::<PartialObjectMetadata<T>>(&collection, Some(1), None);
    let cause = match timeout(ANSWER, list).await {
        Ok(Ok(page)) => return Some(page.version.compare(&version).is_some_and(Ordering::is_lt)),
        Ok(Err(error)) => chain(&error),
        Err(_elapsed) => format!("no answer after {ANSWER:?}"),
    };
    debug!(resource = %T::RESOURCE, cause, "can't tell whether the server is where it was");
    None
}
