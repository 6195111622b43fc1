//! What is in the `ConfigMaps` and Secrets that Applications follow: read when their version has changed, and kept as
//! digests, never as what they are.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::api::{self, Client};
use engine::object::{Key, Metadata, ResourceVersion, Uid, chain};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::{info, warn};

use crate::application::Application;
use crate::application::config::{Reference, Source};
use crate::config::{self, Decision, Pods, ValueDigest};
use crate::observe::{Configuration, Observed, Part, config as stamps};
use crate::plan::rollout;

/// Wait before what could not be read is read again. The pods run on meanwhile.
const RETRY: Duration = Duration::from_secs(10);

/// Wait for an event that is on its way: many times what it takes.
const LOOK: Duration = Duration::from_secs(1);

/// Objects that are remembered before all are forgotten, and read again where they are still of use: some MB.
const REMEMBERED: usize = 10_000;

/// Reads contents, and remembers their digests.
pub struct Contents {
    client: Client,
    known: Mutex<Known>,
}

type Known = HashMap<(Source, Key), Arc<Digests>>;

/// The digest of each value of an object, at one version of it.
struct Digests {
    uid: Uid,
    version: ResourceVersion,
    values: BTreeMap<Box<str>, ValueDigest>,
}

/// An object as it is read. Its values are not decoded, so that no error can quote one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<Box<str>, Box<RawValue>>>,
    #[serde(default)]
    binary_data: Option<BTreeMap<Box<str>, Box<RawValue>>>,
}

impl Digests {
    /// Whether they are of that life, at that version or a later one.
    fn is_of(&self, uid: &Uid, version: &ResourceVersion) -> bool {
        self.uid == *uid && self.version.reaches(version)
    }

    /// Whether pods can't start for a key that is not there.
    fn lacks(&self, reference: &Reference) -> bool {
        !reference.is_optional && reference.key.as_ref().is_some_and(|key| !self.values.contains_key(key))
    }
}

impl Contents {
    /// Reads through `client`.
    pub fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// Puts into `configuration`, whose caches are filled, what the pods of `application` are to run with, and returns after which
    /// time to look again, if that is known. What else there is of it was `observed`.
    pub async fn settle(
        &self,
        application: &Application,
        observed: &Observed,
        configuration: &mut Configuration,
    ) -> Option<Duration> {
        let versions = config::versions(&configuration.parts);
        if configuration.rolled.as_ref().is_some_and(|rolled| rolled.versions == versions) {
            return None;
        }
        let pods = rollout::decide(application, observed).pods(application, observed);
        if pods == Pods::Former && configuration.rolled.is_some() {
            return None;
        }
        let digest = match self.digest(application, &configuration.parts).await {
            Ok(Some((digest, lacking))) => {
                configuration.lacking = lacking;
                digest
            }
            // Gone a moment ago, which the caches are about to hear.
            Ok(None) => return Some(LOOK),
            Err(error) => {
                warn!(error = chain(&error), "the configuration can't be read");
                return Some(RETRY);
            }
        };
        let interval = application.spec.rolling_config()?.interval();
        match config::decide(configuration, pods, digest, interval, Timestamp::now()) {
            Decision::Keep => None,
            Decision::Wait(wait) => Some(wait),
            Decision::Roll(rolled) => {
                if configuration.rolled.is_some() {
                    info!("the configuration has changed, replacing the pods");
                }
                configuration.rolled = Some(rolled);
                None
            }
        }
    }

    /// The key that pods of `application` can't start without and that is not in the object which is there, of those that were
    /// read.
    pub fn lacking(&self, application: &Application, parts: &[Part]) -> Option<Reference> {
        let known = self.known();
        let lacks = |part: &&Part| {
            let Part { reference, there: Some((uid, version)) } = part else { return false };
            let key = application.metadata.key().sibling(&*reference.name);
            known.get(&(reference.source, key)).is_some_and(|known| known.is_of(uid, version) && known.lacks(reference))
        };
        parts.iter().find(lacks).map(|part| part.reference.clone())
    }

    /// The digest of all, and what [`Contents::lacking`] finds; `None` if something has gone that the caches still have.
    async fn digest(
        &self,
        application: &Application,
        parts: &[Part],
    ) -> Result<Option<(String, Option<Reference>)>, api::Error> {
        let mut all: BTreeMap<(Source, &str), Arc<Digests>> = BTreeMap::new();
        for Part { reference, there } in parts {
            let Some((uid, version)) = there else { continue };
            if all.contains_key(&(reference.source, &*reference.name)) {
                continue;
            }
            let key = application.metadata.key().sibling(&*reference.name);
            let Some(digests) = self.read(reference.source, key, uid, version).await? else { return Ok(None) };
            all.insert((reference.source, &reference.name), digests);
        }
        let value = |reference: &Reference| {
            let values = &all.get(&(reference.source, &*reference.name))?.values;
            let whole = || {
                let all = values.iter().flat_map(|(key, digest)| [key.as_bytes(), &[0], digest].concat());
                Some(config::bytes_digest(&all.collect::<Vec<u8>>()))
            };
            reference.key.as_ref().map_or_else(whole, |key| values.get(key).copied())
        };
        let lacks = |one: &&Reference| all.get(&(one.source, &*one.name)).is_some_and(|digests| digests.lacks(one));
        let lacking = parts.iter().map(|part| &part.reference).find(lacks).cloned();
        Ok(Some((config::digest(application, parts, value), lacking)))
    }

    /// The digests of an object at that version or a later one; `None` if it has gone meanwhile.
    async fn read(
        &self,
        source: Source,
        key: Key,
        uid: &Uid,
        version: &ResourceVersion,
    ) -> Result<Option<Arc<Digests>>, api::Error> {
        let known = self.known().get(&(source, key.clone())).cloned();
        if let Some(known) = known.filter(|known| known.is_of(uid, version)) {
            return Ok(Some(known));
        }
        let Some(content) = self.client.get_as::<Content>(&stamps::resource(source), &key).await? else {
            return Ok(None);
        };
        let all = content.data.into_iter().chain(content.binary_data).flatten();
        let values = all.map(|(key, value)| (key, config::bytes_digest(value.get().as_bytes()))).collect();
        let Metadata { uid, resource_version: version, .. } = content.metadata;
        let digests = Arc::new(Digests { uid, version, values });
        let mut known = self.known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert((source, key), digests.clone());
        Ok(Some(digests))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing under the lock can panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
