//! All that the server knows, and one request to it with what it is about.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::failure::{About, Failure};
use crate::history::{History, Place};
use crate::identity::Identities;
use crate::managed::Writer;
use crate::request::{Request, Target};
use crate::resource::{Catalog, Resource};

/// All that the server knows.
#[derive(Debug, Clone)]
pub struct State {
    /// Its resources.
    pub catalog: Catalog,
    /// Its objects.
    pub history: History,
    /// Where uids, addresses and generated names come from.
    pub identities: Identities,
}

/// A request, and what it is about.
#[derive(Debug)]
pub struct Call<'r> {
    /// The request itself.
    pub request: &'r Request,
    /// Where its path leads.
    pub target: Target,
    /// The resource there.
    pub resource: Arc<Resource>,
    /// The time.
    pub now: Timestamp,
}

impl State {
    /// An empty server, but for the namespaces that every server has.
    pub fn new(seed: u64) -> Self {
        Self { catalog: Catalog::builtin(), history: History::default(), identities: Identities::new(seed) }
    }

    /// The object that a call is about.
    ///
    /// # Errors
    ///
    /// If it isn't there.
    pub fn object(&self, call: &Call<'_>) -> Result<Arc<Value>, Failure> {
        let name = &call.target.name;
        self.history.get(&call.place(name)).cloned().ok_or_else(|| call.about(name).not_found())
    }
}

impl Call<'_> {
    /// The place of an object in the collection that the call is about.
    pub fn place(&self, name: &str) -> Place {
        let namespace = self.target.namespace.clone();
        Place { resource: self.collection(), namespace, name: name.to_owned() }
    }

    /// The collection, as places name it.
    pub fn collection(&self) -> String {
        self.resource.collection()
    }

    /// What a failure is about.
    pub fn about<'a>(&'a self, name: &'a str) -> About<'a> {
        About { group: &self.resource.group, plural: &self.resource.plural, name }
    }

    /// The same, where the real server names the kind in place of the resource.
    pub fn about_kind<'a>(&'a self, name: &'a str) -> About<'a> {
        About { plural: &self.resource.kind, ..self.about(name) }
    }

    /// Who writes.
    pub fn writer(&self, applies: bool) -> Writer {
        Writer {
            applies,
            manager: self.request.manager(),
            api_version: self.resource.api_version(),
            subresource: self.target.subresource.clone(),
        }
    }

    /// Whether nothing is to be kept (`dryRun=All`).
    pub fn is_dry_run(&self) -> bool {
        self.request.parameter("dryRun") == "All"
    }
}
