//! What every Kubernetes object has: a key, a version, an identity, owners. Knows no particular kind.

mod map;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Serialize};

pub use self::map::Map;

/// A kind of object as the API server serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version within the group, such as `v1`.
    pub version: &'static str,
    /// Kind, such as `Deployment`.
    pub kind: &'static str,
    /// The name in URLs, such as `deployments`.
    pub plural: &'static str,
}

impl Resource {
    /// The `apiVersion` of its objects: `group/version`, or the bare version in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for Resource {
    /// As `kubectl` names it: `deployments.apps`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(self.plural) } else { write!(f, "{}.{}", self.plural, self.group) }
    }
}

/// A type that an API server's object is decoded into and kept as.
///
/// It need not hold the whole object: what a controller does not read is best left out, since it
/// is never decoded then.
pub trait Object: DeserializeOwned + Send + Sync + 'static {
    /// Where the API server serves it.
    const RESOURCE: Resource;

    /// Whether the server is asked for the metadata alone (`PartialObjectMetadata`), so that it need not even send the rest.
    const METADATA_ONLY: bool = false;

    /// Whether its objects live in namespaces. It tells where they are listed, and where an owner of this type is to be looked
    /// for.
    const NAMESPACED: bool = true;

    /// Its metadata.
    fn metadata(&self) -> &Metadata;
}

/// The metadata of a `T`, for those who read no more of it: all else is neither sent nor decoded nor kept.
#[derive(Debug, Deserialize)]
#[serde(bound = "")]
pub struct PartialObjectMetadata<T> {
    /// The metadata.
    pub metadata: Metadata,
    #[serde(skip)]
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T: Object> Object for PartialObjectMetadata<T> {
    const RESOURCE: Resource = T::RESOURCE;
    const METADATA_ONLY: bool = true;
    const NAMESPACED: bool = T::NAMESPACED;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Namespace and name: what a controller passes from module to module in place of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Empty for an object without a namespace.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl Key {
    /// The key of `name` in `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of another name in the same namespace.
    pub fn sibling(&self, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: self.namespace.clone(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// One life of an object: a name that is deleted and created again has another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(#[serde(deserialize_with = "shared")] pub Arc<str>);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of an object or of a list, within one resource of one cluster.
///
/// KEP-5504 makes versions comparable where they are decimal numbers without a leading zero;
/// [`compare`](Self::compare) gives `None` where they are anything else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceVersion(#[serde(deserialize_with = "shared")] pub Arc<str>);

impl ResourceVersion {
    /// A version that no stored object can have: as a precondition of an apply it means "create".
    ///
    /// etcd's first revision is 1 and is taken before anything is stored.
    pub fn never() -> Self {
        Self("1".into())
    }

    /// Returns which of two versions is the later, or `None` where that cannot be told.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        if !self.is_comparable() || !other.is_comparable() {
            return (self == other && !self.0.is_empty()).then_some(Ordering::Equal);
        }
        Some(self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0)))
    }

    /// Returns true if this version is `other` or later, as far as can be told.
    pub fn reaches(&self, other: &Self) -> bool {
        self.compare(other).is_some_and(Ordering::is_ge)
    }

    /// Returns true if versions of this form have an order.
    pub fn is_comparable(&self) -> bool {
        let digits = self.0.as_bytes();
        !digits.is_empty() && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit)
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of `metadata` that controllers read; `managedFields` above all is left out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The object's name.
    #[serde(deserialize_with = "shared")]
    pub name: Arc<str>,
    /// Empty for an object without a namespace.
    #[serde(deserialize_with = "shared")]
    pub namespace: Arc<str>,
    /// Which life of that name this is.
    pub uid: Uid,
    /// The version of this state of the object.
    pub resource_version: ResourceVersion,
    /// Counts changes of the desired state; 0 for kinds that do not count them.
    pub generation: i64,
    /// Set once deletion was asked for (RFC 3339).
    pub deletion_timestamp: Option<Box<str>>,
    /// What has to happen before a deletion completes.
    #[serde(deserialize_with = "or_default")]
    pub finalizers: Vec<Box<str>>,
    /// Whose child it is.
    #[serde(deserialize_with = "or_default")]
    pub owner_references: Box<[OwnerReference]>,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: Map,
    /// Annotations, without what `kubectl apply` keeps there: it repeats the whole object.
    #[serde(deserialize_with = "annotations")]
    pub annotations: Map,
}

impl Metadata {
    /// The object's key.
    pub fn key(&self) -> Key {
        Key { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// Returns true once deletion was asked for.
    pub fn is_terminating(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// The owner that is marked as controller; the API server allows one.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }
}

/// Takes `null` for nothing, as servers other than Kubernetes' own may write it.
fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Text in one allocation, where serde's own way to an `Arc<str>` takes a `String` before it.
fn shared<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = Arc<str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E>(self, text: &str) -> Result<Arc<str>, E> {
            Ok(text.into())
        }
    }
    deserializer.deserialize_str(Text)
}

fn annotations<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Map, D::Error> {
    let annotations: Map = or_default(deserializer)?;
    Ok(annotations.without("kubectl.kubernetes.io/last-applied-configuration"))
}

/// Names an object as the owner of another in the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// The owner's `apiVersion`.
    pub api_version: Box<str>,
    /// The owner's kind.
    pub kind: Box<str>,
    /// The owner's name.
    #[serde(deserialize_with = "shared")]
    pub name: Arc<str>,
    /// The owner's life; garbage collection goes by it.
    pub uid: Uid,
    /// Whether the owner manages the object.
    pub controller: bool,
}

impl OwnerReference {
    /// Returns true if it refers to an object of `resource`'s group and kind, in any version.
    pub fn refers_to(&self, resource: &Resource) -> bool {
        let group = self.api_version.split_once('/').map_or("", |(group, _)| group);
        group == resource.group && &*self.kind == resource.kind
    }
}

/// An error and its causes in one line. Each error of this crate tells its own level only.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> ResourceVersion {
        ResourceVersion(text.into())
    }

    #[test]
    fn versions_compare_as_numbers_of_any_length() {
        assert_eq!(version("9").compare(&version("10")), Some(Ordering::Less));
        let (long, longer) = ("9".repeat(40), format!("1{}", "0".repeat(40)));
        assert_eq!(version(&longer).compare(&version(&long)), Some(Ordering::Greater));
        assert!(version("12").reaches(&version("12")));
    }

    #[test]
    fn versions_that_are_no_numbers_have_no_order() {
        for odd in ["", "0", "007", "1a", "-1"] {
            assert_eq!(version(odd).compare(&version("5")), None, "{odd:?}");
        }
        assert_eq!(version("abc").compare(&version("abc")), Some(Ordering::Equal));
        assert!(!version("").reaches(&version("")));
    }

    #[test]
    fn an_owner_is_recognised_in_every_version_of_its_group() {
        let widget = Resource { group: "example.dev", version: "v1", kind: "Widget", plural: "widgets" };
        let owner = |api_version: &str, kind: &str| OwnerReference {
            api_version: api_version.into(),
            kind: kind.into(),
            ..OwnerReference::default()
        };
        assert!(owner("example.dev/v1", "Widget").refers_to(&widget));
        assert!(!owner("other.dev/v1", "Widget").refers_to(&widget));
        assert!(!owner("v1", "Widget").refers_to(&widget));
        assert!(!owner("example.dev/v1", "Service").refers_to(&widget));
    }
}
