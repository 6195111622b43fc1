//! A list held against a cache that a watch has kept up to date: what differs, was lost on the way.
//!
//! The list is of one version, and the cache goes on while it is read. So a key is compared once the watch has reached that
//! version, and only if it did not change meanwhile: then the cache has to hold exactly what was listed.

use std::collections::{HashMap, HashSet};

use crate::object::{Key, Metadata, ResourceVersion, Uid};

/// One audit of a cache.
#[derive(Debug, Default)]
pub struct Audit {
    listed: HashMap<Key, (Uid, ResourceVersion)>,
    /// The list's version, once the whole of it is there.
    version: Option<ResourceVersion>,
    /// What has changed since the audit began.
    touched: HashSet<Key>,
}

impl Audit {
    /// Takes in an object of the list.
    pub fn list(&mut self, metadata: &Metadata) {
        self.listed.insert(metadata.key(), (metadata.uid.clone(), metadata.resource_version.clone()));
    }

    /// Takes in that the list is complete, and of `version`.
    pub fn complete(&mut self, version: ResourceVersion) {
        self.version = Some(version);
    }

    /// Takes in the list of another audit, which has seen nothing of the watch.
    pub fn take_list(&mut self, other: Self) {
        self.listed = other.listed;
        self.version = other.version;
    }

    /// Takes in that the watch has changed `key`.
    pub fn touch(&mut self, key: Key) {
        self.touched.insert(key);
    }

    /// Returns true once a cache that has reached `version` can be held against the list.
    pub fn is_comparable(&self, version: &ResourceVersion) -> bool {
        self.version.as_ref().is_some_and(|listed| version.reaches(listed))
    }

    /// Returns true if nothing will ever tell when to compare: versions have no order, or the list is older than what was
    /// seen before it began, which only a cluster can do that went back in time.
    pub fn is_impossible(&self, began_at: &ResourceVersion) -> bool {
        self.version.as_ref().is_some_and(|listed| !listed.reaches(began_at))
    }

    /// The keys of which the cache holds something else than the server had. Each object of the cache is to be given by its
    /// metadata.
    pub fn differing<'a>(mut self, cached: impl IntoIterator<Item = &'a Metadata>) -> Vec<Key> {
        let mut differing = Vec::new();
        for metadata in cached {
            let key = metadata.key();
            let listed = self.listed.remove(&key);
            let is_same =
                listed.is_some_and(|(uid, version)| uid == metadata.uid && version == metadata.resource_version);
            if !is_same && !self.touched.contains(&key) {
                differing.push(key);
            }
        }
        differing.extend(self.listed.into_keys().filter(|key| !self.touched.contains(key)));
        differing.sort_unstable();
        differing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> ResourceVersion {
        ResourceVersion(text.into())
    }

    fn object(name: &str, uid: &str, at: &str) -> Metadata {
        let (uid, resource_version) = (Uid(uid.into()), version(at));
        Metadata { name: name.into(), uid, resource_version, ..Metadata::default() }
    }

    fn audit(listed: &[Metadata]) -> Audit {
        let mut audit = Audit::default();
        for metadata in listed {
            audit.list(metadata);
        }
        audit.complete(version("10"));
        audit
    }

    fn differing(audit: Audit, cached: &[Metadata]) -> Vec<String> {
        audit.differing(cached).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_lost_create_change_delete_and_new_life_are_found() {
        let listed = [
            object("same", "s", "3"),
            object("created", "c", "4"),
            object("changed", "d", "9"),
            object("again", "2", "8"),
        ];
        let cached = [
            object("same", "s", "3"),
            object("changed", "d", "5"),
            object("deleted", "e", "2"),
            object("again", "1", "8"),
        ];
        assert_eq!(differing(audit(&listed), &cached), ["again", "changed", "created", "deleted"]);
    }

    #[test]
    fn what_changes_during_the_audit_is_left_to_the_next_one() {
        let mut audit = audit(&[object("gone", "g", "3"), object("changed", "c", "4")]);
        for name in ["gone", "changed", "new"] {
            audit.touch(Key::new("", name));
        }
        assert_eq!(differing(audit, &[object("changed", "c", "12"), object("new", "n", "13")]), [""; 0]);
    }

    #[test]
    fn a_cache_is_compared_once_it_is_as_late_as_the_list() {
        let mut audit = Audit::default();
        assert!(!audit.is_comparable(&version("99")), "the list is not complete");
        audit.complete(version("10"));
        assert!(!audit.is_comparable(&version("9")) && audit.is_comparable(&version("10")));
    }

    #[test]
    fn an_audit_that_could_never_be_compared_is_known_by_its_version() {
        assert!(!audit(&[]).is_impossible(&version("10")));
        assert!(audit(&[]).is_impossible(&version("11")), "the cluster went back in time");
        let mut without_order = Audit::default();
        without_order.complete(version("x"));
        assert!(without_order.is_impossible(&version("y")));
    }
}
