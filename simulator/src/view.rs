//! What a client accepts → how an answer is shown to it: whole, as a table, or its metadata alone.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::alias;
use crate::failure::Failure;
use crate::history::Place;
use crate::resource::{Nature, Resource};
use crate::state::{Call, State};
use crate::table::{Includes, Table, partial};

/// How objects are shown.
#[derive(Debug, Clone)]
pub enum View {
    /// As they are.
    Whole,
    /// As `PartialObjectMetadata`.
    Metadata,
    /// As a `Table`.
    Table(Box<Table>),
}

impl View {
    /// The first that the client accepts and that there is.
    ///
    /// # Errors
    ///
    /// 406 if there is none.
    pub fn of(state: &State, call: &Call<'_>) -> Result<Self, Failure> {
        let accepted = call.request.accept.as_str();
        if accepted.is_empty() {
            return Ok(Self::Whole);
        }
        let views = accepted.split(',').map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let parameter = |name: &str| {
                let mut parts = range.split(';').filter_map(|part| part.trim().split_once('='));
                parts.find(|(key, _)| *key == name).map(|(_, value)| value)
            };
            match (kind, parameter("as"), parameter("v"), parameter("g")) {
                ("application/json" | "application/*" | "*/*", None, _, _) => Some(Self::Whole),
                ("application/json", Some("Table"), Some("v1"), Some("meta.k8s.io")) => Some(Self::table(state, call)),
                (
                    "application/json",
                    Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                    Some("v1"),
                    Some("meta.k8s.io"),
                ) => Some(Self::Metadata),
                _ => None,
            }
        });
        let first = views.flatten().next();
        first.ok_or_else(|| Failure {
            code: 406,
            reason: "NotAcceptable",
            message: "only the following media types are accepted: application/json".to_owned(),
            details: None,
        })
    }

    fn table(state: &State, call: &Call<'_>) -> Self {
        let includes = match call.request.parameter("includeObject") {
            "None" => Includes::Nothing,
            "Object" => Includes::Object,
            _ => Includes::Metadata,
        };
        let definition = definition(state, &call.resource);
        Self::Table(Box::new(Table::new(&call.resource, definition, includes)))
    }

    /// An object or a list of the resource; anything else stays as it is.
    pub fn show(&self, resource: &Resource, body: Value, now: Timestamp) -> Value {
        let is_list = body["kind"] == format!("{}List", resource.kind) && body["items"].is_array();
        if !is_list && body["kind"] != resource.kind {
            return body;
        }
        let body = if alias::is_alias(resource) { alias::shown(body) } else { body };
        match (self, is_list) {
            (Self::Whole, _) => body,
            (Self::Metadata, false) => partial(&body),
            (Self::Metadata, true) => {
                let items: Vec<Value> = items(&body).iter().map(partial).collect();
                json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": body["metadata"], "items": items,
                })
            }
            (Self::Table(table), true) => table.render(&body["metadata"], items(&body), resource, now),
            (Self::Table(table), false) => {
                let metadata = json!({"resourceVersion": body["metadata"]["resourceVersion"]});
                table.render(&metadata, &[body], resource, now)
            }
        }
    }

    /// An event of a watch.
    pub fn show_event(&mut self, resource: &Resource, mut event: Value, now: Timestamp) -> Value {
        if event["type"] == "ERROR" {
            return event;
        }
        let object = event["object"].take();
        event["object"] = match self {
            Self::Table(table) if event["type"] == "BOOKMARK" => table.render(&object["metadata"], &[], resource, now),
            _ => self.show(resource, object, now),
        };
        if let Self::Table(table) = self {
            table.head();
        }
        event
    }
}

fn items(body: &Value) -> &[Value] {
    body["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The definition of a custom resource.
pub fn definition<'s>(state: &'s State, resource: &Resource) -> Option<&'s Value> {
    if resource.nature != Nature::Custom {
        return None;
    }
    let name = format!("{}.{}", resource.plural, resource.group);
    let resource = "customresourcedefinitions.apiextensions.k8s.io".to_owned();
    state.history.get(&Place { resource, namespace: String::new(), name }).map(AsRef::as_ref)
}
