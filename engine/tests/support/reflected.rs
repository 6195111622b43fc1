//! A cache that is kept up to date, and every change that it told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::api::{Client, Entry};
use engine::object::{Key, Object};
use engine::reflector::Reflector;
use engine::store::{self, Change, Reader, Stats};
use tokio::task::JoinHandle;

use super::{ConfigMap, State};

/// A cache of one namespace. Its reflector ends when it is dropped.
pub(crate) struct Reflected {
    pub(crate) reader: Reader<ConfigMap>,
    changes: Arc<Mutex<Vec<Change<ConfigMap>>>>,
    task: JoinHandle<()>,
}

impl Reflected {
    /// Starts to fill a cache of `namespace` through `client`.
    pub(crate) fn start(client: Client, namespace: &str) -> Self {
        Self::audited(client, namespace, None)
    }

    /// The same, held against the server now and then.
    pub(crate) fn audited(client: Client, namespace: &str, period: Option<Duration>) -> Self {
        let (mut writers, reader) = store::new::<ConfigMap>(&[namespace.into()]);
        let changes: Arc<Mutex<Vec<_>>> = Arc::default();
        let told = changes.clone();
        let reflector = Reflector::new(client, writers.remove(0)).audited_every(period);
        let task = tokio::spawn(reflector.run(move |change| {
            told.lock().unwrap_or_else(PoisonError::into_inner).push(change.clone());
        }));
        Self { reader, changes, task }
    }

    /// What the cache holds.
    pub(crate) fn state(&self) -> State {
        let objects = self.reader.keys().into_iter().filter_map(|key| self.reader.get(&key));
        objects.map(|entry| state_of(&entry)).collect()
    }

    /// What an object says, as the cache has it; nothing, if it has none.
    pub(crate) fn value(&self, key: &Key) -> Option<String> {
        self.reader.get(key).map(|entry| state_of(&entry).1.2)
    }

    /// Every change so far.
    pub(crate) fn changes(&self) -> Vec<Change<ConfigMap>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What has been counted of it.
    pub(crate) fn stats(&self) -> Arc<Stats> {
        self.reader.stats()[0].clone()
    }

    /// What happened to a name, a sign each: `+` it came, `~` it changed, `-` it went.
    pub(crate) fn signs(&self, name: &str) -> String {
        let changes = self.changes();
        let of_name = changes.iter().filter(|change| &*change.key().name == name);
        of_name
            .map(|change| match (&change.old, &change.new) {
                (None, _) => '+',
                (_, None) => '-',
                _ => '~',
            })
            .collect()
    }

    /// Asserts that every change began where the one before it had ended, and that together they lead to what the cache
    /// holds: none is missing, none was told twice.
    #[track_caller]
    pub(crate) fn assert_history(&self) {
        let mut known: HashMap<Key, (String, String, String)> = HashMap::new();
        for change in self.changes() {
            let key = change.key();
            let before = known.get(&key).cloned();
            let old = change.old.as_ref().map(|entry| state_of(entry).1);
            match (&before, &old, &change.new) {
                (None, None, Some(_)) => {}
                // The last state of an object that is gone has the version of the deletion, where that is known.
                (Some(before), Some(old), None) => assert_eq!((&before.0, &before.2), (&old.0, &old.2), "{key}"),
                (Some(before), Some(old), Some(_)) => assert_eq!(before, old, "{key}"),
                _ => panic!("{key} was {before:?}, and the change began at {old:?}"),
            }
            match change.new {
                Some(new) => {
                    let new = state_of(&new).1;
                    assert_ne!(before.as_ref(), Some(&new), "{key} changed into itself");
                    known.insert(key, new);
                }
                None => drop(known.remove(&key)),
            }
        }
        let told: State = known.into_iter().map(|(key, state)| (key.name.to_string(), state)).collect();
        assert_eq!(told, self.state());
    }
}

impl Drop for Reflected {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn state_of(entry: &Entry<ConfigMap>) -> (String, (String, String, String)) {
    let Entry::Valid(object) = entry else { panic!("{entry:?} is a good ConfigMap") };
    let metadata = object.metadata();
    let state = (metadata.uid.to_string(), metadata.resource_version.to_string(), object.value().to_owned());
    (metadata.name.to_string(), state)
}
