//! Which resources there are: the built-ins, and what definitions add to them.

mod builtin;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::history::Place;
use crate::object;
use crate::schema::{self, Schema};

/// What makes a resource's objects special.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// `v1 ConfigMap`
    ConfigMap,
    /// `v1 Service`
    Service,
    /// `v1 Namespace`
    Namespace,
    /// `apps/v1 Deployment`
    Deployment,
    /// `apps/v1 ReplicaSet`
    ReplicaSet,
    /// `v1 Pod`
    Pod,
    /// `batch/v1 Job`
    Job,
    /// `discovery.k8s.io/v1 EndpointSlice`
    EndpointSlice,
    /// A built-in without rules of its own here.
    Plain,
    /// `apiextensions.k8s.io/v1 CustomResourceDefinition`
    Definition,
    /// Defined by one of those.
    Custom,
}

/// Where an object's scale is kept, as paths of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// Wished for.
    pub spec: Vec<String>,
    /// Present.
    pub status: Vec<String>,
    /// A selector as a text; absent if it isn't offered.
    pub selector: Option<Vec<String>>,
}

/// A resource.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Empty for the core.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
    /// Such as `ConfigMap`.
    pub kind: String,
    /// Such as `configmaps`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub is_namespaced: bool,
    /// Of the whole object.
    pub schema: Arc<Schema>,
    /// What makes it special.
    pub nature: Nature,
    /// Whether `/status` is written apart from the rest.
    pub has_status: bool,
    /// Whether its objects count the generations of their wish.
    pub has_generation: bool,
    /// Whether there is `/scale`.
    pub scale: Option<Scale>,
}

impl Resource {
    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The collection, as places name it.
    pub fn collection(&self) -> String {
        // Events are one collection under two groups.
        let group = if self.plural == "events" && self.group == "events.k8s.io" { "" } else { &self.group };
        format!("{}.{group}", self.plural)
    }

    /// The object that a new one is compared with: a built-in's is never quite empty.
    pub fn zero(&self) -> Value {
        match self.nature {
            Nature::Custom | Nature::Definition => json!({}),
            _ => self.schema.zero(),
        }
    }

    /// Whether a built-in's Go type stands behind it, with what that does to a value on its way in.
    pub fn is_builtin(&self) -> bool {
        !matches!(self.nature, Nature::Custom | Nature::Definition)
    }
}

/// All resources, by group, version and plural.
#[derive(Debug, Clone)]
pub struct Catalog {
    resources: BTreeMap<(String, String, String), Arc<Resource>>,
}

impl Catalog {
    /// The built-ins.
    pub fn builtin() -> Self {
        let mut catalog = Self { resources: BTreeMap::new() };
        for resource in builtin::all() {
            catalog.insert(resource);
        }
        catalog
    }

    /// Takes in what a definition defines: a resource for each version that it serves.
    pub fn define(&mut self, definition: &Value) {
        let text = |path: &[&str]| object::at(definition, path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let versions = object::at(definition, &["spec", "versions"]).and_then(Value::as_array);
        for version in versions.into_iter().flatten().filter(|version| version["served"] == true) {
            let path = |name: &str| {
                let path = version["subresources"]["scale"][name].as_str()?;
                Some(path.trim_start_matches('.').split('.').map(str::to_owned).collect())
            };
            let scale = path("specReplicasPath").zip(path("statusReplicasPath"));
            self.insert(Resource {
                group: text(&["spec", "group"]),
                version: version["name"].as_str().unwrap_or_default().into(),
                kind: text(&["spec", "names", "kind"]),
                plural: text(&["spec", "names", "plural"]),
                is_namespaced: text(&["spec", "scope"]) == "Namespaced",
                schema: schema::custom(&version["schema"]["openAPIV3Schema"]),
                nature: Nature::Custom,
                has_status: version["subresources"]["status"].is_object(),
                has_generation: true,
                scale: scale.map(|(spec, status)| Scale { spec, status, selector: path("labelSelectorPath") }),
            });
        }
    }

    /// Forgets what a definition defined.
    pub fn forget(&mut self, definition: &Value) {
        let (group, plural) = (&definition["spec"]["group"], &definition["spec"]["names"]["plural"]);
        self.resources.retain(|(g, _, p), _| group != g.as_str() || plural != p.as_str());
    }

    /// A resource.
    pub fn get(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.resources.get(&(group.into(), version.into(), plural.into())).cloned()
    }

    /// The path of an object, or of its collection if the place has no name; `None` if there is no such resource.
    pub fn path(&self, place: &Place) -> Option<String> {
        let (plural, group) = place.resource.split_once('.')?;
        let found = self.resources.values().find(|one| one.group == group && one.plural == plural)?;
        let root = if group.is_empty() { "/api" } else { "/apis" };
        let space = if place.namespace.is_empty() { String::new() } else { format!("/namespaces/{}", place.namespace) };
        let name = if place.name.is_empty() { String::new() } else { format!("/{}", place.name) };
        Some(format!("{root}/{}{space}/{plural}{name}", found.api_version()))
    }

    /// The place of what a reference with these words means.
    pub fn place(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Option<Place> {
        let found = self.resources.values().find(|one| one.kind == kind && one.api_version() == api_version)?;
        let namespace = if found.is_namespaced { namespace.to_owned() } else { String::new() };
        Some(Place { resource: found.collection(), namespace, name: name.to_owned() })
    }

    /// All of them, in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    fn insert(&mut self, resource: Resource) {
        let key = (resource.group.clone(), resource.version.clone(), resource.plural.clone());
        self.resources.insert(key, Arc::new(resource));
    }
}
