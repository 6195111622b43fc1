//! The Kubernetes API in verbs: get, list, watch, apply, patch, create. Knows nothing of caches.
//!
//! Requests go into one [`transport::Service`]; decoded entries and [`Error`]s come out.

mod decode;
mod error;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Collected, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::ServiceExt;

#[cfg(test)]
pub(crate) use self::decode::tests::Thing;
pub use self::decode::{Entry, Event, Invalid, Page};
pub use self::error::{Error, Status};
use crate::frame::Frames;
use crate::object::{Key, Object, Resource, ResourceVersion, Uid};
use crate::transport;

/// Speaks to one API server as one field manager.
#[derive(Clone)]
pub struct Client {
    service: transport::Service,
    /// The name under which the server files the fields that this client sets.
    field_manager: &'static str,
}

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

/// Where a watch starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// After this version.
    After(ResourceVersion),
    /// With every object that exists, as a list would; then on (WatchList, KEP-3157).
    WithList,
}

/// A part of an object with an endpoint of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// `/status`.
    Status,
}

impl Client {
    /// A client that sends its requests through `service`, and names itself `field_manager` as the owner of what it writes.
    pub fn new(service: transport::Service, field_manager: &'static str) -> Self {
        Self { service, field_manager }
    }

    /// The owner of what it writes.
    pub fn field_manager(&self) -> &'static str {
        self.field_manager
    }

    /// Reads one object as it is now; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but one for which [`Error::is_not_found`] holds.
    pub async fn get<T: Object>(&self, key: &Key) -> Result<Option<T>, Error> {
        self.get_as(&T::RESOURCE, key).await
    }

    /// Reads one object of `resource` as any type.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn get_as<T: DeserializeOwned>(&self, resource: &Resource, key: &Key) -> Result<Option<T>, Error> {
        let request = request(Method::GET, object_path(resource, key, None)?, None)?;
        match self.call(request).await.and_then(|body| decode(&body)) {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads one page of all objects, or of those in one namespace, at the newest version.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; a 410 means that `continue_token` has expired and the list must start over.
    pub async fn list<T: Object>(
        &self,
        namespace: Option<&str>,
        limit: u32,
        continue_token: Option<&str>,
    ) -> Result<Page<T>, Error> {
        let mut path = format!("{}?limit={limit}", collection_path(&T::RESOURCE, namespace)?);
        if let Some(token) = continue_token {
            path.push_str("&continue=");
            escape(token, &mut path);
        }
        Page::decode(&self.call(request(Method::GET, path, None)?).await?)
    }

    /// Opens a watch that the server ends after `timeout_seconds`.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; a 410 means that the version to start at is compacted away.
    pub async fn watch<T: Object>(
        &self,
        namespace: Option<&str>,
        start: &Start,
        timeout_seconds: u64,
    ) -> Result<Watch<T>, Error> {
        let mut path = format!(
            "{}?watch=1&allowWatchBookmarks=true&timeoutSeconds={timeout_seconds}",
            collection_path(&T::RESOURCE, namespace)?
        );
        match start {
            Start::After(version) => {
                path.push_str("&resourceVersion=");
                escape(&version.0, &mut path);
            }
            Start::WithList => path.push_str("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
        }
        let response = self.open(request(Method::GET, path, None)?).await?;
        Ok(Watch { body: response.into_body(), frames: Frames::default(), decoded: std::marker::PhantomData })
    }

    /// Makes the object's fields those of `body` (server-side apply), taking them from whoever holds them, and returns the
    /// new state. `body` needs `apiVersion`, `kind` and `metadata.name`.
    ///
    /// # Errors
    ///
    /// [`Error::is_conflict`] where the precondition does not hold, or a 422 for a foreign uid.
    ///
    /// # Panics
    ///
    /// If `body` or its `metadata` is no JSON object.
    pub async fn apply<T: Object>(&self, key: &Key, mut body: Value, precondition: &Precondition) -> Result<T, Error> {
        // Seen on 1.37: an apply with a version that no object can have creates where the name is free, and is refused with
        // 409 where it is not. Unlike a POST it makes the field ownership an apply's from the first write on.
        let (uid, version) = match precondition {
            Precondition::Absent => (None, Some(ResourceVersion::never())),
            Precondition::Unchanged { uid, version } => (Some(uid), Some(version.clone())),
            Precondition::SameLife { uid } => (Some(uid), None),
        };
        if let Some(version) = version {
            body["metadata"]["resourceVersion"] = json!(version);
        }
        if let Some(uid) = uid {
            body["metadata"]["uid"] = json!(uid);
        }
        let path = format!("{}?fieldManager={}&force=true", object_path(&T::RESOURCE, key, None)?, self.field_manager);
        let request = request(Method::PATCH, path, Some(("application/apply-patch+yaml", &body)))?;
        decode(&self.call(request).await?)
    }

    /// Merges `body` into the object (RFC 7396), or into a part of it, and returns the new state. A `resourceVersion` in
    /// `body` makes it a precondition.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; [`Error::is_conflict`] where the precondition does not hold.
    pub async fn merge<T: Object>(
        &self,
        key: &Key,
        subresource: Option<Subresource>,
        body: &Value,
    ) -> Result<T, Error> {
        let path = format!("{}?fieldManager={}", object_path(&T::RESOURCE, key, subresource)?, self.field_manager);
        let request = request(Method::PATCH, path, Some(("application/merge-patch+json", body)))?;
        decode(&self.call(request).await?)
    }

    /// Creates an object in `namespace`.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; [`Error::is_conflict`] where the name is taken.
    pub async fn create(&self, resource: &Resource, namespace: &str, body: &Value) -> Result<(), Error> {
        let path = format!("{}?fieldManager={}", collection_path(resource, Some(namespace))?, self.field_manager);
        self.call(request(Method::POST, path, Some(("application/json", body)))?).await.map(drop)
    }

    /// Sends a request and reads the whole body of a good answer.
    async fn call(&self, request: transport::Request) -> Result<Bytes, Error> {
        let body = self.open(request).await?.into_body();
        Ok(body.collect().await.map_err(Error::Transport)?.to_bytes())
    }

    /// Sends a request and returns once a good answer begins.
    async fn open(&self, request: transport::Request) -> Result<transport::Response, Error> {
        let response = self.service.clone().oneshot(request).await.map_err(Error::Transport)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        // What can't be read of a refusal says no more than its code does.
        let body = Limited::new(body, LONGEST_REFUSAL).collect().await.map(Collected::to_bytes).unwrap_or_default();
        let mut status = Status::from_body(head.status.as_u16(), &body);
        // Priority and fairness answers in plain text, and says how long to wait in the header alone.
        if status.details.retry_after_seconds == 0 {
            let asked = head.headers.get(header::RETRY_AFTER).and_then(|asked| asked.to_str().ok()?.parse().ok());
            status.details.retry_after_seconds = asked.unwrap_or(0);
        }
        Err(Error::Status(status))
    }
}

/// The longest body of a refusal that is read, in bytes: many times what the API server says, and no proxy's page is worth
/// more.
const LONGEST_REFUSAL: usize = 1 << 20;

/// An open watch.
pub struct Watch<T> {
    body: transport::Body,
    frames: Frames,
    decoded: std::marker::PhantomData<fn() -> T>,
}

impl<T: Object> Watch<T> {
    /// The next event; `None` once the server has ended the watch. What is cut off in the middle of a document is dropped:
    /// a watch resumed from the last event brings it again.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; the watch is of no more use then.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it resolves loses no event.
    pub async fn next(&mut self) -> Result<Option<Event<T>>, Error> {
        loop {
            if let Some(document) = self.frames.next_document().map_err(Error::Frame)? {
                return Event::decode(&document).map(Some);
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::Transport(error)),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.frames.push(bytes);
                    }
                }
            }
        }
    }
}

fn request(method: Method, path: String, body: Option<(&'static str, &Value)>) -> Result<transport::Request, Error> {
    let request = Request::builder().method(method).uri(path).header(header::ACCEPT, "application/json");
    match body {
        None => request.body(Bytes::new()),
        Some((content_type, body)) => request.header(header::CONTENT_TYPE, content_type).body(body.to_string().into()),
    }
    .map_err(|error| Error::Request(error.to_string()))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(Error::Decode)
}

fn collection_path(resource: &Resource, namespace: Option<&str>) -> Result<String, Error> {
    let mut path = if resource.group.is_empty() { String::from("/api/") } else { format!("/apis/{}/", resource.group) };
    path.push_str(resource.version);
    if let Some(namespace) = namespace {
        path.push_str("/namespaces/");
        path.push_str(segment(namespace)?);
    }
    path.push('/');
    path.push_str(resource.plural);
    Ok(path)
}

fn object_path(resource: &Resource, key: &Key, subresource: Option<Subresource>) -> Result<String, Error> {
    let namespace = (!key.namespace.is_empty()).then_some(&*key.namespace);
    let mut path = collection_path(resource, namespace)?;
    path.push('/');
    path.push_str(segment(&key.name)?);
    match subresource {
        None => {}
        Some(Subresource::Status) => path.push_str("/status"),
    }
    Ok(path)
}

/// Refuses a name that would lead a request astray; the API server allows no such name, so this one never existed.
fn segment(name: &str) -> Result<&str, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'_');
    if !name.is_empty() && name != "." && name != ".." && name.bytes().all(plain) {
        Ok(name)
    } else {
        Err(Error::Request(format!("{name:?} is no name of an object")))
    }
}

/// Percent-encodes a query value (RFC 3986).
fn escape(value: &str, into: &mut String) {
    use std::fmt::Write as _;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: Resource = Resource { group: "apps", version: "v1", kind: "Deployment", plural: "deployments" };
    const SERVICE: Resource = Resource { group: "", version: "v1", kind: "Service", plural: "services" };

    #[test]
    fn paths_are_those_of_the_kubernetes_api() {
        let key = Key::new("shop", "web");
        assert_eq!(
            object_path(&DEPLOYMENT, &key, Some(Subresource::Status)).expect("a path"),
            "/apis/apps/v1/namespaces/shop/deployments/web/status"
        );
        assert_eq!(collection_path(&SERVICE, None).expect("a path"), "/api/v1/services");
    }

    #[test]
    fn a_name_that_would_change_the_path_is_refused() {
        for name in ["", "..", "a/b", "a?b", "a%2fb", "a b"] {
            assert!(object_path(&SERVICE, &Key::new("shop", name), None).is_err(), "{name:?}");
        }
    }

    #[test]
    fn query_values_are_escaped() {
        let mut escaped = String::new();
        escape("a+b/c=&é", &mut escaped);
        assert_eq!(escaped, "a%2Bb%2Fc%3D%26%C3%A9");
    }

    #[test]
    fn an_answer_that_is_no_status_is_quoted_in_short() {
        let status = Status::from_body(502, b"<html>Bad Gateway</html>");
        assert_eq!(status.to_string(), "502: <html>Bad Gateway</html>");
        assert!(Status::from_body(500, &[b'x'; 5000]).to_string().len() < 250);
    }
}
