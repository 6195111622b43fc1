//! The Kubernetes API in verbs: get, list, watch, apply, patch, replace, create, delete. Knows nothing of caches.
//!
//! Requests go into one [`transport::Service`]; decoded entries and [`Error`]s come out.

mod decode;
mod delete;
mod error;
mod finalizer;
mod log;
mod ownership;
mod patch;
mod path;
mod selector;
mod warning;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Collected, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt;
use tracing::warn;

#[cfg(test)]
pub(crate) use self::decode::tests::Thing;
pub use self::decode::{Entry, Event, Invalid, Page};
pub use self::delete::{Deleted, Deletion, Propagation};
pub use self::error::{Error, Status, StatusCause, StatusDetails};
pub use self::finalizer::Finalizer;
pub use self::log::{Log, LogOptions};
pub use self::ownership::{FieldOwner, take_over};
pub use self::patch::{Operation, PatchType, pointer};
use self::path::{collection_path, object_path, query};
pub use self::selector::{Collection, Error as SelectorError, Field, Label, Labels, Scope, Selector};
use self::warning::Warnings;
pub use self::write::{FieldValidation, Precondition, Scale};
use crate::frame::Frames;
use crate::object::{Key, Object, Resource, ResourceVersion};
use crate::transport;

/// Speaks to one API server as one field manager.
#[derive(Clone)]
pub struct Client {
    service: transport::Service,
    /// The name under which the server files the fields that this client sets.
    field_manager: &'static str,
    /// Whether writes are admitted and answered, and not kept.
    dry_run: bool,
    field_validation: Option<FieldValidation>,
    warnings: Arc<Warnings>,
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
#[non_exhaustive]
pub enum Subresource {
    /// `/status`.
    Status,
    /// `/scale`.
    Scale,
    /// Another one by its name, such as `approval` or `resize`.
    Other(&'static str),
}

impl Subresource {
    /// The name in URLs.
    pub fn name(&self) -> &str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Other(name) => name,
        }
    }
}

impl Client {
    /// A client that sends its requests through `service`, and names itself `field_manager` as the owner of what it writes.
    pub fn new(service: transport::Service, field_manager: &'static str) -> Self {
        Self { service, field_manager, dry_run: false, field_validation: None, warnings: Arc::default() }
    }

    /// A client whose writes the server checks, admits and answers as any others, and does not keep (`dryRun=All`).
    pub fn dry_run(&self) -> Self {
        Self { dry_run: true, ..self.clone() }
    }

    /// A client that says what the server does with fields that it does not know; the server decides by default.
    pub fn field_validation(&self, validation: FieldValidation) -> Self {
        Self { field_validation: Some(validation), ..self.clone() }
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
        let path = object_path(&T::RESOURCE, key, None)?;
        self.read(request_as(accept::<T>(false), Method::GET, path, None)?).await
    }

    /// Reads one object of `resource` as any type.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn get_as<T: DeserializeOwned>(&self, resource: &Resource, key: &Key) -> Result<Option<T>, Error> {
        self.read(request(Method::GET, object_path(resource, key, None)?, None)?).await
    }

    async fn read<T: DeserializeOwned>(&self, request: transport::Request) -> Result<Option<T>, Error> {
        match self.call(request).await.and_then(|body| decode(&body)) {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads one page of a collection, of at most `limit` objects, at the newest version; all of it, if there is no limit.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; a 410 means that `continue_token` has expired and the list must start over.
    pub async fn list<T: Object>(
        &self,
        collection: &Collection,
        limit: Option<u32>,
        continue_token: Option<&str>,
    ) -> Result<Page<T>, Error> {
        let mut path = collection_path(&T::RESOURCE, collection.namespace.as_deref())?;
        if let Some(limit) = limit {
            query(&mut path, "limit", &limit.to_string());
        }
        if let Some(token) = continue_token {
            query(&mut path, "continue", token);
        }
        select(&mut path, &collection.selector);
        let request = request_as(accept::<T>(true), Method::GET, path, None)?;
        Page::decode(&self.call(request).await?)
    }

    /// Opens a watch that the server ends after `timeout_seconds`.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; a 410 means that the version to start at is compacted away.
    pub async fn watch<T: Object>(
        &self,
        collection: &Collection,
        start: &Start,
        timeout_seconds: u64,
    ) -> Result<Watch<T>, Error> {
        let mut path = format!(
            "{}?watch=1&allowWatchBookmarks=true&timeoutSeconds={timeout_seconds}",
            collection_path(&T::RESOURCE, collection.namespace.as_deref())?
        );
        match start {
            Start::After(version) => query(&mut path, "resourceVersion", &version.0),
            Start::WithList => path.push_str("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
        }
        select(&mut path, &collection.selector);
        let response = self.open(request_as(accept::<T>(false), Method::GET, path, None)?).await?;
        Ok(Watch { body: response.into_body(), frames: Frames::default(), decoded: std::marker::PhantomData })
    }

    /// Sends a request and reads the whole body of a good answer.
    async fn call(&self, request: transport::Request) -> Result<Bytes, Error> {
        let body = self.open(request).await?.into_body();
        Ok(body.collect().await.map_err(Error::Transport)?.to_bytes())
    }

    /// Sends a request and returns once a good answer begins.
    async fn open(&self, request: transport::Request) -> Result<transport::Response, Error> {
        let response = self.service.clone().oneshot(request).await.map_err(Error::Transport)?;
        for warning in self.warnings.new_in(response.headers()) {
            warn!(%warning, "the API server warns");
        }
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

/// What is asked for of a `T`, or of a list of them. A server that can't leave out all but the metadata sends the whole,
/// which is read as well.
fn accept<T: Object>(is_list: bool) -> &'static str {
    match (T::METADATA_ONLY, is_list) {
        (false, _) => "application/json",
        (true, false) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
        (true, true) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
    }
}

fn request(method: Method, path: String, body: Option<(&'static str, &Value)>) -> Result<transport::Request, Error> {
    request_as("application/json", method, path, body)
}

fn request_as(
    accept: &'static str,
    method: Method,
    path: String,
    body: Option<(&'static str, &Value)>,
) -> Result<transport::Request, Error> {
    let request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept);
    match body {
        None => request.body(Bytes::new()),
        Some((content_type, body)) => request.header(header::CONTENT_TYPE, content_type).body(body.to_string().into()),
    }
    .map_err(|error| Error::Request(error.to_string()))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(Error::Decode)
}

fn select(path: &mut String, selector: &Selector) {
    if !selector.labels.0.is_empty() {
        query(path, "labelSelector", &selector.labels.to_string());
    }
    if !selector.fields.is_empty() {
        query(path, "fieldSelector", &selector.fields());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_no_status_is_quoted_in_short() {
        let status = Status::from_body(502, b"<html>Bad Gateway</html>");
        assert_eq!(status.to_string(), "502: <html>Bad Gateway</html>");
        assert!(Status::from_body(500, &[b'x'; 5000]).to_string().len() < 250);
    }
}
