//! The two sources of objects: a server that is asked once, and caches that follow it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::api::{Client, Entry, Scope};
use engine::informer::{Informers, Subscription};
use tokio::sync::Notify;

use super::error::Error;
use super::object::{Known, Seen};
use super::snapshot::Source;
use crate::application::Application;

/// Objects in a page of a list, as kubectl asks for them.
const PAGE: u32 = 500;

/// How long the first list of a kind is waited for that could be read a moment ago. A cache never gives up by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the server, each time anew.
pub struct Once(pub Client);

/// Follows the server, and tells when there is news.
pub struct Kept {
    informers: Informers,
    /// The kinds that could not be read, by what the server calls them.
    unread: Vec<&'static str>,
    subscriptions: Mutex<BTreeMap<&'static str, Subscription>>,
    news: Arc<Notify>,
}

impl Source for Once {
    async fn objects<T: Known>(&self, scope: Scope) -> Result<Option<Vec<Arc<Seen<T>>>>, Error> {
        let mut objects = Vec::new();
        for collection in scope.collections() {
            let mut token = None;
            loop {
                let page = match self.0.list::<Seen<T>>(&collection, Some(PAGE), token.as_deref()).await {
                    Ok(page) => page,
                    Err(error) if is_withheld::<T>(&error) => return Ok(None),
                    Err(source) => return Err(Error::of(format!("read {}", T::RESOURCE), source)),
                };
                objects.extend(valid(page.entries));
                token = page.continue_token;
                if token.is_none() {
                    break;
                }
            }
        }
        Ok(Some(sorted(objects)))
    }
}

impl Kept {
    /// Follows what `client` may read, but for the kinds in `unread`.
    pub fn new(client: Client, unread: &[&'static str]) -> Self {
        Self {
            informers: Informers::new(client),
            unread: unread.to_vec(),
            subscriptions: Mutex::default(),
            news: Arc::default(),
        }
    }

    /// Resolves once something has changed since it last did.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

impl Source for Kept {
    async fn objects<T: Known>(&self, scope: Scope) -> Result<Option<Vec<Arc<Seen<T>>>>, Error> {
        if self.unread.contains(&T::RESOURCE.plural) {
            return Ok(None);
        }
        let informer = self.informers.of_scope::<Seen<T>>(&scope);
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).entry(T::RESOURCE.plural).or_insert_with(
            || {
                let news = self.news.clone();
                informer.subscribe(move |_| news.notify_one())
            },
        );
        informer.start();
        if tokio::time::timeout(PATIENCE, informer.reader().synced()).await.is_err() {
            return Err(Error::Impossible(format!("can't watch {}: there is no answer, or no right to", T::RESOURCE)));
        }
        Ok(Some(sorted(valid(informer.reader().list()).collect())))
    }
}

/// Whether the kind may not be read, or is not known here. Of Applications that is an error.
fn is_withheld<T: Known>(error: &engine::api::Error) -> bool {
    let is_application = T::RESOURCE == <Application as Known>::RESOURCE;
    match error.status().map(|status| status.code) {
        Some(404) => true,
        Some(403) => !is_application,
        _ => false,
    }
}

fn valid<T: Known>(entries: Vec<Entry<Seen<T>>>) -> impl Iterator<Item = Arc<Seen<T>>> {
    entries.into_iter().filter_map(|entry| entry.valid().cloned())
}

fn sorted<T>(mut objects: Vec<Arc<Seen<T>>>) -> Vec<Arc<Seen<T>>> {
    objects.sort_by_key(|object| object.metadata.key());
    objects
}
