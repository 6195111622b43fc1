//! Finalizers: what has to happen before a deletion completes. Set and removed under the version that was looked at.

use serde_json::json;

use super::{Client, Error};
use crate::object::{Metadata, Object};

/// What has become of a finalizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finalizer<T> {
    /// It is as it should be, and nothing was written.
    Unchanged,
    /// It was added or removed; this is the object's new state.
    Written(T),
    /// The object is being deleted, so that none may be added any more: what it would have guarded must not begin.
    Terminating,
}

impl Client {
    /// Makes sure that `object` has `finalizer`, unless it is being deleted. Write whatever the finalizer guards after this
    /// alone.
    ///
    /// # Errors
    ///
    /// [`Error::is_conflict`] where `object` is no longer the object's state.
    pub async fn add_finalizer<T: Object>(&self, object: &T, finalizer: &str) -> Result<Finalizer<T>, Error> {
        let metadata = object.metadata();
        if has(metadata, finalizer) {
            return Ok(Finalizer::Unchanged);
        }
        if metadata.is_terminating() {
            return Ok(Finalizer::Terminating);
        }
        let wished = metadata.finalizers.iter().map(|finalizer| &**finalizer).chain([finalizer]).collect::<Vec<_>>();
        self.set_finalizers(object, &wished).await
    }

    /// Makes sure that `object` does not have `finalizer`; others stay. An object that has none left and is being deleted is
    /// gone after that.
    ///
    /// # Errors
    ///
    /// [`Error::is_conflict`] where `object` is no longer the object's state.
    pub async fn remove_finalizer<T: Object>(&self, object: &T, finalizer: &str) -> Result<Finalizer<T>, Error> {
        let metadata = object.metadata();
        if !has(metadata, finalizer) {
            return Ok(Finalizer::Unchanged);
        }
        let kept = metadata.finalizers.iter().map(|kept| &**kept).filter(|kept| *kept != finalizer);
        self.set_finalizers(object, &kept.collect::<Vec<_>>()).await
    }

    async fn set_finalizers<T: Object>(&self, object: &T, finalizers: &[&str]) -> Result<Finalizer<T>, Error> {
        let Metadata { uid, resource_version, .. } = object.metadata();
        // The whole list, which the version makes safe: a merge patch knows no entries of lists.
        let body = json!({"metadata": {"uid": uid, "resourceVersion": resource_version, "finalizers": finalizers}});
        self.merge(&object.metadata().key(), None, &body).await.map(Finalizer::Written)
    }
}

fn has(metadata: &Metadata, finalizer: &str) -> bool {
    metadata.finalizers.iter().any(|present| **present == *finalizer)
}
