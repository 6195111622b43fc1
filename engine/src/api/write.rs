//! The verbs that write. Each says what it assumes, and whether it may be sent twice.

use bytes::Bytes;
use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::path::{collection_path, escape, object_path};
use super::{Client, Deleted, Deletion, Error, PatchType, Subresource, decode};
use crate::object::{Key, Metadata, Object, Resource, ResourceVersion, Uid};
use crate::transport::{self, Repeatable};

/// What must hold for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The object does not exist.
    Absent,
    /// The object is this life of its name, in exactly this state.
    Unchanged {
        /// Which life.
        uid: Uid,
        /// Which state.
        version: ResourceVersion,
    },
    /// The object is this life of its name, in whatever state.
    SameLife {
        /// Which life.
        uid: Uid,
    },
}

impl Precondition {
    /// The object is as `metadata` says.
    pub fn unchanged(metadata: &Metadata) -> Self {
        Self::Unchanged { uid: metadata.uid.clone(), version: metadata.resource_version.clone() }
    }
}

/// What the server does with fields that it does not know, or finds twice (`fieldValidation`, KEP-2885).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldValidation {
    /// It refuses the write.
    Strict,
    /// It drops them, and says so in a warning, which is logged. The server's own default.
    Warn,
    /// It drops them.
    Ignore,
}

/// The part of an object that autoscalers and `kubectl scale` act on (`autoscaling/v1` `Scale`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "RawScale")]
#[non_exhaustive]
pub struct Scale {
    /// The version of the object that this is about.
    pub version: ResourceVersion,
    /// How many replicas are wished.
    pub wished: i32,
    /// How many there are.
    pub present: i32,
    /// Which pods they are, as a label selector; empty if the kind does not say.
    pub selector: String,
}

impl Client {
    /// Makes the object's fields those of `body` (server-side apply), taking them from whoever holds them, and returns the
    /// new state. `body` needs `apiVersion`, `kind` and `metadata.name`.
    ///
    /// # Errors
    ///
    /// [`Error::is_conflict`] where the precondition does not hold, or a 422 for a foreign uid.
    pub async fn apply<T: Object>(
        &self,
        key: &Key,
        body: impl Serialize,
        precondition: &Precondition,
    ) -> Result<T, Error> {
        self.apply_as(&T::RESOURCE, key, None, body, precondition).await
    }

    /// [`apply`](Self::apply) to a part of an object of `resource`, or to the whole of it, as any type.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub async fn apply_as<T: DeserializeOwned>(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: Option<Subresource>,
        body: impl Serialize,
        precondition: &Precondition,
    ) -> Result<T, Error> {
        // Seen on 1.37: an apply with a version that no object can have creates where the name is free, and is refused with
        // 409 where it is not. Unlike a POST it makes the field ownership an apply's from the first write on.
        let (uid, version) = match precondition {
            Precondition::Absent => (None, Some(ResourceVersion::never())),
            Precondition::Unchanged { uid, version } => (Some(uid), Some(version.clone())),
            Precondition::SameLife { uid } => (Some(uid), None),
        };
        let mut body = encode(body)?;
        let metadata = metadata_of(&mut body)?;
        if let Some(version) = version {
            metadata.insert("resourceVersion".into(), json!(version));
        }
        if let Some(uid) = uid {
            metadata.insert("uid".into(), json!(uid));
        }
        let path = format!("{}?force=true", object_path(resource, key, subresource)?);
        self.write(Method::PATCH, path, "application/apply-patch+yaml", &body, Repeatable::Yes).await
    }

    /// Merges `body` into the object (RFC 7396), or into a part of it, and returns the new state. A `resourceVersion` in
    /// `body` makes it a precondition, and so does a `uid`.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; [`Error::is_conflict`] where the precondition does not hold.
    pub async fn merge<T: Object>(
        &self,
        key: &Key,
        subresource: Option<Subresource>,
        body: impl Serialize,
    ) -> Result<T, Error> {
        self.patch(key, subresource, PatchType::Merge, body).await
    }

    /// Changes the object, or a part of it, as `body` says, and returns the new state. `body` is a partial object, or a list
    /// of [`Operation`](super::Operation)s for [`PatchType::Json`].
    ///
    /// # Errors
    ///
    /// Any [`Error`]; [`Error::is_conflict`] where a `resourceVersion` in `body` does not hold, a 422 where a test in a JSON
    /// patch does not.
    pub async fn patch<T: Object>(
        &self,
        key: &Key,
        subresource: Option<Subresource>,
        patch_type: PatchType,
        body: impl Serialize,
    ) -> Result<T, Error> {
        self.patch_as(&T::RESOURCE, key, subresource, patch_type, body).await
    }

    /// [`patch`](Self::patch) of an object of `resource`, as any type.
    ///
    /// # Errors
    ///
    /// As [`patch`](Self::patch).
    pub async fn patch_as<T: DeserializeOwned>(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: Option<Subresource>,
        patch_type: PatchType,
        body: impl Serialize,
    ) -> Result<T, Error> {
        let path = object_path(resource, key, subresource)?;
        let body = encode(body)?;
        // Merged twice is merged, but what another writer has changed in between would be undone. A JSON patch may append.
        let is_conditional = body.pointer("/metadata/resourceVersion").is_some();
        let repeatable = if is_conditional && patch_type != PatchType::Json { Repeatable::Yes } else { Repeatable::No };
        self.write(Method::PATCH, path, patch_type.content_type(), &body, repeatable).await
    }

    /// Creates an object in `namespace` (`None` for a kind without namespaces), and returns it.
    ///
    /// Never sent twice by this client: with `generateName` that would make two. For an object of a known name
    /// [`apply`](Self::apply) with [`Precondition::Absent`] is the better create.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; [`Error::is_conflict`] where the name is taken.
    pub async fn create<T: Object>(&self, namespace: Option<&str>, body: impl Serialize) -> Result<T, Error> {
        self.create_as(&T::RESOURCE, namespace, body).await
    }

    /// [`create`](Self::create) of an object of `resource`, as any type.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub async fn create_as<T: DeserializeOwned>(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        body: impl Serialize,
    ) -> Result<T, Error> {
        let path = collection_path(resource, namespace)?;
        self.write(Method::POST, path, JSON, &encode(body)?, Repeatable::No).await
    }

    /// Puts `body` in the place of the object, or of a part of it, and returns the new state. What `body` leaves out is
    /// removed.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] where `body` has no `metadata.resourceVersion`: it would overwrite what nobody has looked at.
    /// [`Error::is_conflict`] where that version does not hold.
    pub async fn replace<T: Object>(
        &self,
        key: &Key,
        subresource: Option<Subresource>,
        body: impl Serialize,
    ) -> Result<T, Error> {
        let mut body = encode(body)?;
        let version = metadata_of(&mut body)?.get("resourceVersion").and_then(Value::as_str);
        if version.is_none_or(str::is_empty) {
            return Err(Error::Request("it is to replace an object of no resourceVersion".to_owned()));
        }
        let path = object_path(&T::RESOURCE, key, subresource)?;
        self.write(Method::PUT, path, JSON, &body, Repeatable::Yes).await
    }

    /// Reads how many replicas an object wishes, and how many it has.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; a 404 where the object does not exist, or its kind has no scale.
    pub async fn scale<T: Object>(&self, key: &Key) -> Result<Scale, Error> {
        let path = object_path(&T::RESOURCE, key, Some(Subresource::Scale))?;
        decode(&self.call(super::request(Method::GET, path, None)?).await?)
    }

    /// Makes `replicas` the wish of an object whose kind has a scale, as `kubectl scale` does.
    ///
    /// # Errors
    ///
    /// As [`scale`](Self::scale).
    pub async fn set_scale<T: Object>(&self, key: &Key, replicas: i32) -> Result<Scale, Error> {
        let body = json!({"spec": {"replicas": replicas}});
        self.patch_as(&T::RESOURCE, key, Some(Subresource::Scale), PatchType::Merge, body).await
    }

    /// Deletes an object. One that is not there is [`Deleted::Gone`].
    ///
    /// # Errors
    ///
    /// [`Error::is_conflict`] where the name is another life's, or the object has changed since it was looked at.
    pub async fn delete<T: Object>(&self, key: &Key, deletion: &Deletion) -> Result<Deleted<T>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            metadata: Option<Metadata>,
        }
        let path = object_path(&T::RESOURCE, key, None)?;
        let answer = match self.send(Method::DELETE, path, JSON, &deletion.body(self.dry_run), Repeatable::Yes).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(Deleted::Gone),
            Err(error) => return Err(error),
        };
        // A status where it is gone at once, for most kinds; the object itself where it is not.
        let Answer { metadata } = decode(&answer)?;
        if metadata.is_some_and(|metadata| metadata.is_terminating()) {
            decode(&answer).map(Deleted::Terminating)
        } else {
            Ok(Deleted::Gone)
        }
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        content_type: &'static str,
        body: &Value,
        repeatable: Repeatable,
    ) -> Result<T, Error> {
        decode(&self.send(method, path, content_type, body, repeatable).await?)
    }

    async fn send(
        &self,
        method: Method,
        mut path: String,
        content_type: &'static str,
        body: &Value,
        repeatable: Repeatable,
    ) -> Result<Bytes, Error> {
        let mut separator = if path.contains('?') { '&' } else { '?' };
        let mut add = |name: &str, value: &str| {
            path.push(separator);
            path.push_str(name);
            path.push('=');
            escape(value, &mut path);
            separator = '&';
        };
        // A delete says all in its body.
        if method != Method::DELETE {
            add("fieldManager", self.field_manager);
            match self.field_validation {
                None => {}
                Some(FieldValidation::Strict) => add("fieldValidation", "Strict"),
                Some(FieldValidation::Warn) => add("fieldValidation", "Warn"),
                Some(FieldValidation::Ignore) => add("fieldValidation", "Ignore"),
            }
            if self.dry_run {
                add("dryRun", "All");
            }
        }
        let mut request: transport::Request = super::request(method, path, Some((content_type, body)))?;
        request.extensions_mut().insert(repeatable);
        self.call(request).await
    }
}

/// The media type of a whole object.
const JSON: &str = "application/json";

fn encode(body: impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(body).map_err(|error| Error::Request(error.to_string()))
}

/// The `metadata` of an object that is to be written.
fn metadata_of(body: &mut Value) -> Result<&mut Map<String, Value>, Error> {
    let object = body.as_object_mut().ok_or_else(|| Error::Request("it is no object".to_owned()))?;
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    metadata.as_object_mut().ok_or_else(|| Error::Request("its metadata is no object".to_owned()))
}

/// A scale as the server writes it.
#[derive(Deserialize)]
struct RawScale {
    metadata: Metadata,
    #[serde(default)]
    spec: Replicas,
    #[serde(default)]
    status: Replicas,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Replicas {
    replicas: i32,
    selector: String,
}

impl From<RawScale> for Scale {
    fn from(RawScale { metadata, spec, status }: RawScale) -> Self {
        Self {
            version: metadata.resource_version,
            wished: spec.replicas,
            present: status.replicas,
            selector: status.selector,
        }
    }
}
