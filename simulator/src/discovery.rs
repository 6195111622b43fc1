//! The catalog → what clients learn of it before they ask for anything else: version, groups, resources.
//!
//! In both forms: aggregated (`apidiscovery.k8s.io/v2`, KEP-3352), as kubectl asks for it, and one document a group version.

use serde_json::{Map, Value, json};

use crate::request::Request;
use crate::resource::{Nature, Resource};
use crate::state::State;
use crate::view::definition;

/// The kind of the aggregated form.
pub const AGGREGATED: &str = "APIGroupDiscoveryList";

/// What a built-in can be asked, in the order of the real server.
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// What a custom resource can be asked, in the order of the real server.
const CUSTOM_VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// What a subresource can be asked.
const SUBRESOURCE_VERBS: [&str; 3] = ["get", "patch", "update"];

/// Names and categories of a resource, as kubectl takes them.
struct Names {
    singular: String,
    short: Vec<String>,
    categories: Vec<String>,
}

/// What is answered to a GET of `/version`, `/api`, `/apis` and the group versions below them; `None` for other paths.
pub fn document(state: &State, request: &Request) -> Option<Value> {
    let steps: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let is_aggregated = request.accept.split(',').any(|range| {
        let says = |what: &str| range.split(';').any(|part| part.trim() == what);
        says("as=APIGroupDiscoveryList") && says("v=v2") && says("g=apidiscovery.k8s.io")
    });
    match steps.as_slice() {
        ["version"] => Some(version()),
        ["api"] if is_aggregated => Some(aggregated(state, str::is_empty)),
        ["apis"] if is_aggregated => Some(aggregated(state, |group| !group.is_empty())),
        ["api"] => Some(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        })),
        ["apis"] => {
            let names = groups(state).into_iter().filter(|name| !name.is_empty());
            let groups: Vec<Value> = names.map(|name| group(state, &name)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] => {
            let mut found = group(state, name);
            found["kind"] = "APIGroup".into();
            found["apiVersion"] = "v1".into();
            groups(state).iter().any(|known| known == name).then_some(found)
        }
        ["api", version] => resources(state, "", version),
        ["apis", group, version] => resources(state, group, version),
        _ => None,
    }
}

/// The version that the simulator is held against.
fn version() -> Value {
    json!({
        "major": "1", "minor": "37", "gitVersion": "v1.37.2", "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

/// The groups, the core's empty one among them.
fn groups(state: &State) -> Vec<String> {
    let mut groups: Vec<String> = state.catalog.all().map(|resource| resource.group.clone()).collect();
    groups.dedup();
    groups
}

/// The versions of a group, the preferred one first.
pub fn versions(state: &State, group: &str) -> Vec<String> {
    let of_group = state.catalog.all().filter(|resource| resource.group == group);
    let mut versions: Vec<String> = of_group.map(|resource| resource.version.clone()).collect();
    versions.sort_by_key(|version| std::cmp::Reverse(maturity(version)));
    versions.dedup();
    versions
}

/// By which versions are ordered: stable before beta before alpha, and among equals the newer first.
fn maturity(version: &str) -> (u8, u32, u32) {
    let number = |text: &str| text.parse().unwrap_or(0);
    let rest = version.trim_start_matches('v');
    if let Some((major, minor)) = rest.split_once("alpha") {
        (0, number(major), number(minor))
    } else if let Some((major, minor)) = rest.split_once("beta") {
        (1, number(major), number(minor))
    } else {
        (2, number(rest), 0)
    }
}

fn group(state: &State, name: &str) -> Value {
    let version = |version: String| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<Value> = versions(state, name).into_iter().map(version).collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

/// The form that lists each group version by itself.
fn resources(state: &State, group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for resource in of(state, group, version) {
        let names = names(state, resource);
        let mut entry = Map::new();
        entry.insert("name".into(), resource.plural.as_str().into());
        entry.insert("singularName".into(), names.singular.into());
        entry.insert("namespaced".into(), resource.is_namespaced.into());
        entry.insert("kind".into(), resource.kind.as_str().into());
        entry.insert("verbs".into(), verbs(resource).into());
        for (field, values) in [("shortNames", names.short), ("categories", names.categories)] {
            if !values.is_empty() {
                entry.insert(field.into(), values.into());
            }
        }
        list.push(Value::Object(entry));
        for (name, kind) in subresources(resource) {
            let mut entry = json!({
                "name": format!("{}/{name}", resource.plural), "singularName": "",
                "namespaced": resource.is_namespaced, "kind": kind["kind"], "verbs": SUBRESOURCE_VERBS,
            });
            if kind["kind"] != resource.kind {
                entry["group"] = kind["group"].clone();
                entry["version"] = kind["version"].clone();
            }
            list.push(entry);
        }
    }
    let name = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let document = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": list});
    (!list.is_empty()).then_some(document)
}

/// The form that has everything in one document.
fn aggregated(state: &State, wants: impl Fn(&str) -> bool) -> Value {
    let items = groups(state).into_iter().filter(|group| wants(group)).map(|group| {
        let versions = versions(state, &group).into_iter().map(|version| {
            let resources: Vec<Value> =
                of(state, &group, &version).map(|resource| described(state, resource)).collect();
            json!({"version": version, "freshness": "Current", "resources": resources})
        });
        let versions: Vec<Value> = versions.collect();
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        json!({"metadata": metadata, "versions": versions})
    });
    let items: Vec<Value> = items.collect();
    json!({"kind": AGGREGATED, "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn described(state: &State, resource: &Resource) -> Value {
    let names = names(state, resource);
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": if resource.is_namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": names.singular,
        "verbs": verbs(resource),
    });
    for (field, values) in [("shortNames", names.short), ("categories", names.categories)] {
        if !values.is_empty() {
            entry[field] = values.into();
        }
    }
    let subresources: Vec<Value> = subresources(resource)
        .into_iter()
        .map(|(name, kind)| json!({"subresource": name, "responseKind": kind, "verbs": SUBRESOURCE_VERBS}))
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}

fn verbs(resource: &Resource) -> &'static [&'static str] {
    if resource.nature == Nature::Custom { &CUSTOM_VERBS } else { &VERBS }
}

/// The subresources of a resource, and of which kind they are.
fn subresources(resource: &Resource) -> Vec<(&'static str, Value)> {
    let own = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let mut found = Vec::new();
    if resource.scale.is_some() {
        found.push(("scale", json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})));
    }
    if resource.has_status {
        found.push(("status", own));
    }
    found
}

fn of<'s>(state: &'s State, group: &str, version: &str) -> impl Iterator<Item = &'s Resource> {
    let wanted = move |one: &&Resource| one.group == group && one.version == version;
    state.catalog.all().map(AsRef::as_ref).filter(wanted)
}

fn names(state: &State, resource: &Resource) -> Names {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if resource.nature == Nature::Custom {
        let names = definition(state, resource).map_or(&Value::Null, |definition| &definition["spec"]["names"]);
        let list = |field: &str| {
            let list = names[field].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let singular = names["singular"].as_str().map_or_else(|| resource.kind.to_lowercase(), str::to_owned);
        return Names { singular, short: list("shortNames"), categories: list("categories") };
    }
    let (short, categories): (&[&str], &[&str]) = match resource.plural.as_str() {
        "configmaps" => (&["cm"], &[]),
        "customresourcedefinitions" => (&["crd", "crds"], &["api-extensions"]),
        "deployments" => (&["deploy"], &["all"]),
        "events" => (&["ev"], &[]),
        "horizontalpodautoscalers" => (&["hpa"], &["all"]),
        "ingresses" => (&["ing"], &[]),
        "jobs" => (&[], &["all"]),
        "namespaces" => (&["ns"], &[]),
        "nodes" => (&["no"], &[]),
        "poddisruptionbudgets" => (&["pdb"], &[]),
        "pods" => (&["po"], &["all"]),
        "replicasets" => (&["rs"], &["all"]),
        "serviceaccounts" => (&["sa"], &[]),
        "services" => (&["svc"], &["all"]),
        _ => (&[], &[]),
    };
    Names { singular: resource.kind.to_lowercase(), short: words(short), categories: words(categories) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_maturity_and_age() {
        let mut versions = ["v1alpha1", "v2", "v1beta2", "v1", "v1beta10"];
        versions.sort_by_key(|version| std::cmp::Reverse(maturity(version)));
        assert_eq!(versions, ["v2", "v1", "v1beta10", "v1beta2", "v1alpha1"]);
    }
}
