//! `ConfigMaps` and Secrets that Applications refer to: which life and version each is, and with what the pods run.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use engine::object::{Key, Metadata, Object, Resource, ResourceVersion, Uid};
use engine::store::{Index, Reader};
use serde::{Deserialize, Deserializer};

use super::Live;
use crate::application::Application;
use crate::application::config::{Reference, Source};

/// On a Deployment, its pod template, and so its pods: the digest of the configuration that they run with.
pub const DIGEST_ANNOTATION: &str = "minetto.dev/config-digest";

/// On a Deployment: the versions of the objects that the digest was made of. While these are there, nothing is read.
pub const VERSIONS_ANNOTATION: &str = "minetto.dev/config-versions";

/// On a Deployment: since when its template has the digest (RFC 3339).
pub const ROLLED_ANNOTATION: &str = "minetto.dev/config-rolled-at";

/// Names a [`Source`] as a type, for caches, which are typed.
pub trait Configures: Send + Sync + 'static {
    /// The source.
    const SOURCE: Source;
}

/// Names [`Source::ConfigMap`].
#[derive(Debug)]
pub enum ConfigMaps {}

/// Names [`Source::Secret`].
#[derive(Debug)]
pub enum Secrets {}

impl Configures for ConfigMaps {
    const SOURCE: Source = Source::ConfigMap;
}

impl Configures for Secrets {
    const SOURCE: Source = Source::Secret;
}

/// Where the API server serves a source.
pub const fn resource(source: Source) -> Resource {
    let (kind, plural) = match source {
        Source::ConfigMap => ("ConfigMap", "configmaps"),
        Source::Secret => ("Secret", "secrets"),
    };
    Resource { group: "", version: "v1", kind, plural }
}

/// A `ConfigMap` or Secret, of which nothing is sent but its metadata, and nothing kept but which life and version it is: a
/// cluster may have ten thousand, most of which concern no Application.
pub struct Stamp<S>(Metadata, PhantomData<fn() -> S>);

impl<S> fmt::Debug for Stamp<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.0.key(), self.0.resource_version)
    }
}

impl<'de, S> Deserialize<'de> for Stamp<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Bare {
            metadata: Identity,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Identity {
            name: Arc<str>,
            namespace: Arc<str>,
            uid: Uid,
            resource_version: ResourceVersion,
        }
        let Identity { name, namespace, uid, resource_version } = Bare::deserialize(deserializer)?.metadata;
        Ok(Self(Metadata { name, namespace, uid, resource_version, ..Metadata::default() }, PhantomData))
    }
}

impl<S: Configures> Object for Stamp<S> {
    const RESOURCE: Resource = resource(S::SOURCE);
    const METADATA_ONLY: bool = true;

    fn metadata(&self) -> &Metadata {
        &self.0
    }
}

/// Which life and version of an object there is, if there is one.
pub(super) fn version<S: Configures>(cache: &Reader<Stamp<S>>, key: &Key) -> Option<(Uid, ResourceVersion)> {
    let entry = cache.get(key)?;
    let metadata = entry.metadata();
    Some((metadata.uid.clone(), metadata.resource_version.clone()))
}

/// Applications by the configuration that they want to follow.
#[derive(Debug)]
pub struct FollowersOf;

impl Index<Application> for FollowersOf {
    type Value = (Source, Key);

    fn values(application: &Application) -> impl IntoIterator<Item = (Source, Key)> {
        let references = application.spec.rolling_config().map(|_| application.spec.references()).unwrap_or_default();
        let key = application.metadata.key();
        // In order, so that those of one object stand together.
        let mut named: Vec<_> = references.into_iter().map(|one| (one.source, key.sibling(&*one.name))).collect();
        named.dedup();
        named
    }
}

/// What the pods of an Application run with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rolled {
    /// The digest of it.
    pub digest: String,
    /// The versions of the objects that it was made of.
    pub versions: String,
    /// Since when, as RFC 3339 has it.
    pub at: String,
}

impl Rolled {
    /// What a Deployment says of its own pods, if it says so.
    pub fn of(deployment: &Live) -> Option<Self> {
        let said = |annotation: &str| Some(deployment.metadata.annotations.get(annotation)?.to_string());
        Some(Self {
            digest: said(DIGEST_ANNOTATION)?,
            versions: said(VERSIONS_ANNOTATION)?,
            at: said(ROLLED_ANNOTATION).unwrap_or_default(),
        })
    }
}

/// One reference, and which life and version of the object there is; `None` if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What is referred to.
    pub reference: Reference,
    /// What there is.
    pub there: Option<(Uid, ResourceVersion)>,
}

/// The configuration of an Application whose pods follow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// What its pods run with, or are to run with; `None` while that is not known.
    pub rolled: Option<Rolled>,
    /// What they refer to, of the sources that are looked at.
    pub parts: Vec<Part>,
    /// Whether the caches are filled, so that what is not in them is not there.
    pub is_listed: bool,
    /// Whether they have not been for longer than that takes.
    pub is_late: bool,
    /// A key that pods can't start without, and that the object does not have which is there.
    pub lacking: Option<Reference>,
}

/// What pods can't start without, and is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing<'c> {
    /// The object.
    Object(&'c Reference),
    /// The key of an object that is there.
    Key(&'c Reference),
}

impl Configuration {
    /// The configuration that the pods run with, for those who look at nothing else; `None` if they follow none, or none yet.
    pub fn of_pods(application: &Application, deployment: Option<&Arc<Live>>) -> Option<Self> {
        application.spec.rolling_config()?;
        let rolled = Rolled::of(deployment?)?;
        Some(Self { rolled: Some(rolled), is_listed: true, ..Self::default() })
    }

    /// What pods can't start without, and is not there.
    pub fn missing(&self) -> Option<Missing<'_>> {
        let mut parts = self.parts.iter().filter(|_| self.is_listed);
        let gone = parts.find(|part| part.there.is_none() && !part.reference.is_optional);
        let gone = gone.map(|part| Missing::Object(&part.reference));
        gone.or_else(|| self.lacking.as_ref().map(Missing::Key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_keeps_nothing_that_may_be_secret_or_long() {
        let json = r#"{"metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"l": "x"},
            "annotations": {"a": "x"}, "managedFields": []}, "data": {"password": "x"}}"#;
        let stamp: Stamp<Secrets> = serde_json::from_str(json).unwrap();
        assert_eq!(stamp.0.key(), Key::new("n", "a"));
        assert!(stamp.0.labels.is_empty() && stamp.0.annotations.is_empty());
        assert_eq!(format!("{stamp:?}"), "n/a at 7");
    }
}
