//! Manifests → server-side applies, as kubectl makes them where it is told to, for a server without kubectl.

use serde_json::Value;

use crate::admin::Admin;

/// Of which the simulator knows nothing, and which would change nothing there: nobody is refused anything.
const ROLES: &str = "rbac.authorization.k8s.io/";

/// Applies each document of `yaml`.
#[track_caller]
pub(crate) fn apply(admin: &Admin, yaml: &str) {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("YAML");
    for object in documents.iter().filter(|object| object.is_object()) {
        let version = object["apiVersion"].as_str().expect("an apiVersion");
        if version.starts_with(ROLES) {
            continue;
        }
        let base = format!("/{}/{version}", if version.contains('/') { "apis" } else { "api" });
        let kind = object["kind"].as_str().expect("a kind");
        let known = admin.get(&base).unwrap_or_default();
        let is_it = |resource: &&Value| {
            resource["kind"] == kind && resource["name"].as_str().is_some_and(|name| !name.contains('/'))
        };
        let resource = known["resources"].as_array().into_iter().flatten().find(is_it);
        let resource = resource.unwrap_or_else(|| panic!("{version} has no {kind}"));
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let inside = if resource["namespaced"] == true { format!("namespaces/{namespace}/") } else { String::new() };
        let (plural, name) = (resource["name"].as_str(), object["metadata"]["name"].as_str());
        let (plural, name) = (plural.expect("a plural"), name.expect("a name"));
        let path = format!("{base}/{inside}{plural}/{name}?fieldManager=kubectl&force=true");
        let (code, said) = admin.apply(&path, object);
        assert!(matches!(code, 200 | 201), "{kind} {name}: {said}");
    }
}
