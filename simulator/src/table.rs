//! Objects → a `meta.k8s.io/v1` Table: what kubectl prints of them.

mod age;
mod autoscaler;
mod ingress;
mod others;
mod workloads;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::jsonpath::Path;
use crate::object;
use crate::resource::{Nature, Resource};

/// Name, type and priority of columns; those of priority 1 are for `-o wide`.
type Columns = [(&'static str, &'static str, u8)];

/// How the objects of one resource become rows.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Value>,
    cells: Cells,
    includes: Includes,
    /// Whether the columns have been told: in a watch only the first event tells them.
    is_headed: bool,
}

#[derive(Debug, Clone)]
enum Cells {
    /// Of a built-in.
    Of(fn(&Value, Timestamp) -> Vec<Value>),
    /// The name, and what a definition says: types and paths.
    At(Vec<(String, Option<Path>)>),
}

/// What each row holds of its object beside the cells (`includeObject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Includes {
    /// Nothing.
    Nothing,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

impl Table {
    /// That of a resource; `definition` is the one that defines it, if one does.
    pub fn new(resource: &Resource, definition: Option<&Value>, includes: Includes) -> Self {
        let (columns, cells) = if resource.nature == Nature::Custom {
            defined(resource, definition)
        } else {
            let (columns, cells) = builtin(&resource.group, &resource.kind);
            (columns.iter().map(|(name, kind, priority)| column(name, kind, *priority)).collect(), Cells::Of(cells))
        };
        Self { columns, cells, includes, is_headed: false }
    }

    /// One or more objects, with the metadata of their list.
    pub fn render(&self, metadata: &Value, objects: &[Value], resource: &Resource, now: Timestamp) -> Value {
        let rows = objects.iter().map(|object| {
            let mut row = json!({"cells": self.cells(object, now)});
            match self.includes {
                Includes::Nothing => {}
                Includes::Metadata => row["object"] = partial(object),
                Includes::Object => {
                    row["object"] = object.clone();
                    row["object"]["apiVersion"] = resource.api_version().into();
                    row["object"]["kind"] = resource.kind.as_str().into();
                }
            }
            row
        });
        let rows: Vec<Value> = rows.collect();
        let columns = if self.is_headed { Value::Null } else { self.columns.as_slice().into() };
        json!({
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": columns, "rows": rows,
        })
    }

    /// From now on without columns.
    pub fn head(&mut self) {
        self.is_headed = true;
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let columns = match &self.cells {
            Cells::Of(cells) => return cells(object, now),
            Cells::At(columns) => columns,
        };
        let cell = |(kind, path): &(String, Option<Path>)| {
            let found = path.as_ref().and_then(|path| path.find(object).first().copied());
            match (kind.as_str(), found) {
                (_, None | Some(Value::Null)) => Value::Null,
                ("date", Some(time)) => age::since(Some(time), now).into(),
                ("string", Some(Value::String(text))) => text.as_str().into(),
                ("string", Some(other)) => other.to_string().into(),
                ("integer", Some(number)) => number.as_i64().map_or(Value::Null, Value::from),
                (_, Some(other)) => other.clone(),
            }
        };
        std::iter::once(object::text(object, "name").into()).chain(columns.iter().map(cell)).collect()
    }
}

/// The metadata of an object, as a `meta.k8s.io/v1` `PartialObjectMetadata`.
pub fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn column(name: &str, kind: &str, priority: u8) -> Value {
    let format = if name == "Name" { "name" } else { "" };
    json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
}

/// The columns of a definition's version, and where their cells are.
fn defined(resource: &Resource, definition: Option<&Value>) -> (Vec<Value>, Cells) {
    let versions = definition.and_then(|definition| definition["spec"]["versions"].as_array());
    let version = versions.into_iter().flatten().find(|version| version["name"] == resource.version);
    let told = version.and_then(|version| version["additionalPrinterColumns"].as_array()).cloned();
    // What every definition without columns of its own gets.
    let age = || vec![json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})];
    let told = told.filter(|told| !told.is_empty()).unwrap_or_else(age);
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let mut columns = vec![column("Name", "string", 0)];
    columns.extend(told.iter().map(|one| {
        json!({
            "name": one["name"], "type": one["type"], "format": text(one, "format"),
            "description": text(one, "description"), "priority": one["priority"].as_i64().unwrap_or(0),
        })
    }));
    let cells = told.iter().map(|one| (text(one, "type"), Path::parse(&text(one, "jsonPath"))));
    (columns, Cells::At(cells.collect()))
}

type Cell = fn(&Value, Timestamp) -> Vec<Value>;

/// Columns and cells of a built-in.
fn builtin(group: &str, kind: &str) -> (&'static Columns, Cell) {
    match (group, kind) {
        ("apps", "Deployment") => (workloads::DEPLOYMENT, workloads::deployment),
        ("apps", "ReplicaSet") => (workloads::REPLICA_SET, workloads::replica_set),
        ("apps", "ControllerRevision") => (workloads::REVISION, workloads::revision),
        ("autoscaling", "HorizontalPodAutoscaler") => (autoscaler::COLUMNS, autoscaler::cells),
        ("networking.k8s.io", "Ingress") => (ingress::COLUMNS, ingress::cells),
        ("batch", "Job") => (workloads::JOB, workloads::job),
        ("", "Pod") => (workloads::POD, workloads::pod),
        ("", "Service") => (others::SERVICE, others::service),
        ("", "ConfigMap") => (others::CONFIG_MAP, others::config_map),
        ("", "Secret") => (others::SECRET, others::secret),
        ("", "Namespace") => (others::NAMESPACE, others::namespace),
        ("", "ServiceAccount") => (others::SERVICE_ACCOUNT, others::service_account),
        ("" | "events.k8s.io", "Event") => (others::EVENT, others::event),
        ("discovery.k8s.io", "EndpointSlice") => (others::ENDPOINT_SLICE, others::endpoint_slice),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => (others::DEFINITION, others::definition),
        ("policy", "PodDisruptionBudget") => (others::DISRUPTION_BUDGET, others::disruption_budget),
        ("coordination.k8s.io", "Lease") => (others::LEASE, others::lease),
        _ => (PLAIN, plain),
    }
}

/// What is shown of a kind about which nothing is known.
const PLAIN: &Columns = &[("Name", "string", 0), ("Created At", "date", 0)];

fn plain(object: &Value, _now: Timestamp) -> Vec<Value> {
    vec![object::text(object, "name").into(), object::text(object, "creationTimestamp").into()]
}

/// A map as `name=value,…`.
fn labels(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let pairs = pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    let text = pairs.collect::<Vec<_>>().join(",");
    if text.is_empty() { "<none>".to_owned() } else { text }
}
