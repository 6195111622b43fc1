//! The catalog → `OpenAPI` v3: which group versions there are, and of each the types and what can be asked of them.
//!
//! As much as kubectl reads: schemas with `x-kubernetes-group-version-kind` (explain, client-side apply), and the patch of
//! each resource with its query parameters (by which kubectl learns that the server validates fields itself).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Map, Value, json};

use crate::request::Request;
use crate::resource::{Nature, Resource};
use crate::schema;
use crate::state::State;
use crate::view::definition;

/// What a patch can be asked by its query.
const PARAMETERS: [&str; 4] = ["dryRun", "fieldManager", "fieldValidation", "force"];

/// What is said of the fields that every custom resource has.
const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should \
    convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this \
    from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// What is answered to a GET of `/openapi/v3` and the documents below it; `None` for other paths.
pub fn document(state: &State, request: &Request) -> Option<Value> {
    let path = request.path.trim_matches('/').strip_prefix("openapi/v3")?;
    let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
    match steps.as_slice() {
        [] => Some(index(state)),
        ["api", version] => group_version(state, "", version),
        ["apis", group, version] => group_version(state, group, version),
        _ => None,
    }
}

/// Where the documents are. A document's address changes with it, so that clients may keep what they have read.
fn index(state: &State) -> Value {
    let mut all: Vec<(&str, &str)> =
        state.catalog.all().map(|one| (one.group.as_str(), one.version.as_str())).collect();
    all.dedup();
    let mut paths = Map::new();
    for (group, version) in all {
        let mut hasher = DefaultHasher::new();
        group_version(state, group, version).unwrap_or_default().to_string().hash(&mut hasher);
        let name = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        let address = format!("/openapi/v3/{name}?hash={:016X}", hasher.finish());
        paths.insert(name, json!({"serverRelativeURL": address}));
    }
    json!({"paths": paths})
}

fn group_version(state: &State, group: &str, version: &str) -> Option<Value> {
    let resources: Vec<&Resource> = state
        .catalog
        .all()
        .map(AsRef::as_ref)
        .filter(|one: &&Resource| one.group == group && one.version == version)
        .collect();
    if resources.is_empty() {
        return None;
    }
    let (mut paths, mut schemas) = (Map::new(), BTreeMap::new());
    for resource in resources {
        add(state, resource, &mut paths, &mut schemas);
    }
    let info = json!({"title": "Kubernetes", "version": "v1.37.2"});
    Some(json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}))
}

fn add(state: &State, resource: &Resource, paths: &mut Map<String, Value>, schemas: &mut BTreeMap<String, Value>) {
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let root = if resource.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", resource.group) };
    let space = if resource.is_namespaced { "/namespaces/{namespace}" } else { "" };
    let path = format!("{root}/{}{space}/{}/{{name}}", resource.version, resource.plural);
    let parameter =
        |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let operation = |action: &str| {
        json!({
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
            "parameters": PARAMETERS.map(parameter), "responses": {"200": {"description": "OK"}},
        })
    };
    paths.insert(path, json!({"get": operation("get"), "patch": operation("patch"), "put": operation("put")}));

    let mut schema = if resource.nature == Nature::Custom {
        custom(state, resource, schemas)
    } else {
        match published(&resource.schema.text, schemas) {
            Value::Object(schema) if !schema.is_empty() => schema.into(),
            _ => json!({"type": "object"}),
        }
    };
    schema["x-kubernetes-group-version-kind"] = json!([kind]);
    schemas.insert(resource.kind.clone(), schema);
}

/// The schema of a definition, with what every object has.
fn custom(state: &State, resource: &Resource, schemas: &mut BTreeMap<String, Value>) -> Value {
    let versions = definition(state, resource).and_then(|definition| definition["spec"]["versions"].as_array());
    let version = versions.into_iter().flatten().find(|version| version["name"] == resource.version);
    let mut schema = version.map(|version| version["schema"]["openAPIV3Schema"].clone()).unwrap_or_default();
    if !schema.is_object() {
        schema = json!({"type": "object"});
    }
    let metadata = json!({"allOf": [refer("ObjectMeta", schemas)], "description": METADATA});
    for (name, value) in [
        ("apiVersion", json!({"type": "string", "description": API_VERSION})),
        ("kind", json!({"type": "string", "description": KIND})),
        ("metadata", metadata),
    ] {
        schema["properties"][name] = value;
    }
    schema
}

/// A reference to a built-in type, which is taken in with all that hangs on it.
fn refer(name: &str, schemas: &mut BTreeMap<String, Value>) -> Value {
    if !schemas.contains_key(name) {
        // Known from here on, should the type be part of itself.
        schemas.insert(name.to_owned(), Value::Null);
        let schema = published(&schema::text(name), schemas);
        schemas.insert(name.to_owned(), schema);
    }
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A built-in's schema, with its references as `OpenAPI` writes them: what stands beside one has to be told around it.
fn published(text: &Value, schemas: &mut BTreeMap<String, Value>) -> Value {
    let Value::Object(fields) = text else { return text.clone() };
    let mut result = Map::new();
    for (name, value) in fields {
        match name.as_str() {
            "$ref" => {
                let reference = refer(value.as_str().unwrap_or_default(), schemas);
                if fields.len() == 1 {
                    return reference;
                }
                result.insert("allOf".to_owned(), json!([reference]));
            }
            "properties" => {
                let inner = value.as_object().into_iter().flatten();
                let inner = inner.map(|(name, value)| (name.clone(), published(value, schemas)));
                let inner: Map<String, Value> = inner.collect();
                result.insert(name.clone(), inner.into());
            }
            "items" | "additionalProperties" => drop(result.insert(name.clone(), published(value, schemas))),
            "x-kubernetes-int-or-string" => {
                result.insert("oneOf".to_owned(), json!([{"type": "integer"}, {"type": "string"}]));
            }
            _ => drop(result.insert(name.clone(), value.clone())),
        }
    }
    result.into()
}
