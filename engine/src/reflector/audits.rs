//! The cache is held against a list of the server's now and then, beside a watch that goes well.

use std::future::pending;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::PAGE_SIZE;
use crate::api::{Client, Collection, Error};
use crate::backoff::jittered;
use crate::object::{Key, Object, PartialObjectMetadata, ResourceVersion, chain};
use crate::store::Writer;
use crate::watch::Audit;

/// The time between two audits, at most; half of it at least, so that caches which were filled together are not audited
/// together. An audit costs the server one list of metadata (about 10 MB for 20,000 objects), which an hour makes negligible;
/// and what it finds is so rare, a bug of etcd's or the API server's, that an hour is far from the weeks until a restart.
pub(super) const AUDIT: Duration = Duration::from_hours(1);

/// The longest that an audit's list may take. A page of it comes in well under a second.
const AUDIT_LIST: Duration = Duration::from_mins(2);

/// When to audit a cache, and the audit that is under way.
pub(super) struct Audits<T> {
    /// The longest time between two audits; `None` for never.
    period: Option<Duration>,
    next_audit: Instant,
    listing: Option<BoxFuture<'static, Result<Audit, String>>>,
    /// The audit that is under way, as far as the cache's own part of it goes, and where the cache was when it began.
    under_way: Option<(Audit, ResourceVersion)>,
    kind: std::marker::PhantomData<fn() -> T>,
}

/// What is to be done now.
pub(super) enum Task {
    /// Begin an audit.
    Begin,
    /// An audit's list is there, or has failed.
    Listed(Result<Audit, String>),
}

impl<T: Object> Audits<T> {
    pub(super) fn new(period: Option<Duration>) -> Self {
        let next_audit = Instant::now() + jittered(period.unwrap_or(AUDIT), fastrand::f64());
        Self { period, next_audit, listing: None, under_way: None, kind: std::marker::PhantomData }
    }

    /// The next thing to do.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it resolves loses nothing.
    pub(super) async fn next(&mut self) -> Task {
        let is_idle = self.listing.is_none() && self.under_way.is_none();
        tokio::select! {
            () = sleep_until(self.next_audit), if is_idle && self.period.is_some() => Task::Begin,
            listed = async {
                match &mut self.listing {
                    Some(listing) => listing.await,
                    None => pending().await,
                }
            } => {
                self.listing = None;
                Task::Listed(listed)
            }
        }
    }

    /// Begins an audit of a cache that is at `version`.
    pub(super) fn begin(&mut self, client: Client, collection: Collection, version: ResourceVersion) {
        self.under_way = Some((Audit::default(), version));
        self.listing = Some(list::<T>(client, collection).boxed());
    }

    /// Gives up an audit that is under way: the whole cache has just been listed anyway, or the list failed.
    pub(super) fn put_off(&mut self) {
        self.listing = None;
        self.under_way = None;
        self.next_audit = Instant::now() + jittered(self.period.unwrap_or(AUDIT), fastrand::f64());
    }

    /// Takes in that the watch has changed `key`.
    pub(super) fn touch(&mut self, key: impl FnOnce() -> Key) {
        if let Some((audit, _)) = &mut self.under_way {
            audit.touch(key());
        }
    }

    /// Takes in the list of an audit.
    pub(super) fn listed(&mut self, listed: Result<Audit, String>) {
        match (listed, &mut self.under_way) {
            (Ok(listed), Some((audit, _))) => audit.take_list(listed),
            (Err(cause), _) => {
                debug!(resource = %T::RESOURCE, cause, "audit put off");
                self.put_off();
            }
            (Ok(_), None) => {}
        }
    }

    /// Ends an audit if the cache, which is at `version`, can be held against it. Returns true if everything is to be listed
    /// again: something is wrong, or nobody can tell.
    pub(super) fn is_wrong(&mut self, version: &ResourceVersion, writer: &Writer<T>) -> bool {
        let Some((audit, _)) =
            self.under_way.take_if(|(audit, began_at)| audit.is_impossible(began_at) || audit.is_comparable(version))
        else {
            return false;
        };
        self.put_off();
        if !audit.is_comparable(version) {
            return true;
        }
        let differing = writer.audit(audit);
        // A handful tells as much as all of them.
        let some: Vec<String> = differing.iter().take(5).map(ToString::to_string).collect();
        if !differing.is_empty() {
            warn!(resource = %T::RESOURCE, objects = differing.len(), ?some, "the watch lost events: listing again");
        }
        !differing.is_empty()
    }
}

async fn list<T: Object>(client: Client, collection: Collection) -> Result<Audit, String> {
    let mut audit = Audit::default();
    let pages = async {
        let mut token = None;
        loop {
            let page = client.list::<PartialObjectMetadata<T>>(&collection, Some(PAGE_SIZE), token.as_deref()).await?;
            page.entries.iter().for_each(|entry| audit.list(entry.metadata()));
            token = page.continue_token;
            if token.is_none() {
                return Ok(page.version);
            }
        }
    };
    let pages: Result<Result<_, Error>, _> = timeout(AUDIT_LIST, pages).await;
    let version = pages.map_err(|_elapsed| format!("its list took longer than {AUDIT_LIST:?}"))?;
    audit.complete(version.map_err(|error| chain(&error))?);
    Ok(audit)
}
