//! What a container has written, as it arrives.

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;

use super::path::{object_path, query};
use super::{Client, Error, Subresource, request_as};
use crate::object::{Key, Resource};
use crate::transport;

const PODS: Resource = Resource { group: "", version: "v1", kind: "Pod", plural: "pods" };

/// Which log of a pod, and how much of it; by default, all that its only container has written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// The container; may be left out where the pod has one.
    pub container: Option<String>,
    /// That of the container's run before this one.
    pub previous: bool,
    /// Whether it goes on until the container ends.
    pub follow: bool,
    /// So many lines from the end; all, if there is no number.
    pub tail_lines: Option<u64>,
    /// Whether each line begins with its time (RFC 3339).
    pub timestamps: bool,
}

/// An open log.
pub struct Log {
    body: transport::Body,
}

impl Client {
    /// Opens the log of a container of the pod with this key.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; a 400 where the container has not started, or there is no run before this one.
    pub async fn log(&self, pod: &Key, options: &LogOptions) -> Result<Log, Error> {
        let mut path = object_path(&PODS, pod, Some(Subresource::Other("log")))?;
        path.push_str("?follow=");
        path.push_str(if options.follow { "true" } else { "false" });
        if options.previous {
            query(&mut path, "previous", "true");
        }
        if options.timestamps {
            query(&mut path, "timestamps", "true");
        }
        if let Some(lines) = options.tail_lines {
            query(&mut path, "tailLines", &lines.to_string());
        }
        if let Some(container) = &options.container {
            query(&mut path, "container", container);
        }
        let response = self.open(request_as("*/*", Method::GET, path, None)?).await?;
        Ok(Log { body: response.into_body() })
    }
}

impl Log {
    /// What comes next, cut anywhere; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Transport`] where the connection breaks; the log is of no more use then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::Transport(error)),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}
