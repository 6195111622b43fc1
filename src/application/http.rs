//! How an Application is reached from outside by a name: hosts, paths, and what leads them to it. Fields, limits and rules,
//! as in `spec`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Verbatim;
use super::spec::{add_rule, change};

/// The most hosts: as many as an `HTTPRoute` may have.
const MOST_HOSTS: u32 = 16;

/// The most paths: as many matches as a rule of an `HTTPRoute` may have.
const MOST_PATHS: u32 = 64;

/// The most parents of an `HTTPRoute`.
const MOST_PARENTS: u32 = 32;

/// Under which names and paths the Application is reached: by an `HTTPRoute` where `parentRefs` are given, else by an
/// `Ingress`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default, transform = http_rules)]
pub struct Http {
    /// Names under which it is reached, such as `shop.example.com` or `*.example.com`; any by default.
    #[schemars(extend("x-kubernetes-list-type" = "set"), transform = host_rules)]
    pub hosts: Option<Vec<String>>,

    /// Paths that lead to it; all by default.
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path", "pathType"]),
        transform = path_rules
    )]
    pub paths: Option<Vec<Path>>,

    /// Gateways that lead to it, as an `HTTPRoute` names them.
    #[schemars(extend("minItems" = 1, "maxItems" = MOST_PARENTS))]
    pub parent_refs: Option<Vec<ParentReference>>,

    /// `IngressClass` of the `Ingress`; the cluster's own by default.
    #[schemars(length(min = 1, max = 253))]
    pub ingress_class_name: Option<String>,

    /// That it is reached by `https`.
    pub tls: Option<Tls>,

    /// Annotations of the `Ingress` or `HTTPRoute`.
    pub annotations: Option<Verbatim<BTreeMap<String, String>>>,
}

/// A path, or what paths begin with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Path {
    /// The path, such as `/api`.
    #[serde(default = "root")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,

    /// How it is compared.
    #[serde(default)]
    pub path_type: PathType,
}

/// How a path is compared with that of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PathType {
    /// The same.
    Exact,
    /// The same, element by element, as far as it goes.
    #[default]
    Prefix,
    /// As the `IngressClass` does.
    ImplementationSpecific,
}

/// A Gateway, or another parent of an `HTTPRoute`: the fields of the Gateway API's own type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ParentReference {
    /// API group of the parent; `gateway.networking.k8s.io` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,

    /// Kind of the parent; `Gateway` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,

    /// Namespace of the parent; the Application's own by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,

    /// Name of the parent.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Listener of the parent; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,

    /// Port of the parent; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
}

/// That an Application is reached by `https`, and with which certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct Tls {
    /// Secret with the certificate of the `Ingress`; the one of whoever serves it by default. That of a Gateway is its own.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
}

impl Http {
    /// Whether it takes an `HTTPRoute`, rather than an `Ingress`.
    pub fn is_route(&self) -> bool {
        self.parent_refs.as_ref().is_some_and(|parents| !parents.is_empty())
    }

    /// The paths, or the one that stands for all.
    pub fn paths(&self) -> Vec<Path> {
        let all = || vec![Path { path: root(), path_type: PathType::default() }];
        self.paths.clone().filter(|paths| !paths.is_empty()).unwrap_or_else(all)
    }

    /// Where a browser finds it: the first host that is one name, with the first path; `None` if there is no such host.
    pub fn url(&self) -> Option<String> {
        let host = self.hosts.iter().flatten().find(|host| !host.starts_with('*'))?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let path = self.paths().into_iter().next().map_or_else(root, |first| first.path);
        Some(format!("{scheme}://{host}{}", if path == "/" { "" } else { &path }))
    }
}

fn root() -> String {
    "/".to_owned()
}

fn http_rules(schema: &mut Schema) {
    change(schema, |http| {
        add_rule(
            http,
            "!has(self.parentRefs) || !has(self.ingressClassName)",
            "parentRefs make an HTTPRoute, and ingressClassName is of an Ingress: leave one of them out",
        );
        add_rule(
            http,
            "!has(self.parentRefs) || !has(self.tls) || !has(self.tls.secretName)",
            "the certificate is the Gateway's own: leave tls.secretName out, and write tls: {} where the Gateway serves https",
        );
        add_rule(
            http,
            "!has(self.parentRefs) || !has(self.paths) || \
             self.paths.all(path, path.pathType != 'ImplementationSpecific')",
            "pathType ImplementationSpecific is of an Ingress, and parentRefs make an HTTPRoute: write Exact or Prefix",
        );
    });
}

fn host_rules(schema: &mut Schema) {
    change(schema, |hosts| {
        (hosts["minItems"], hosts["maxItems"]) = (json!(1), json!(MOST_HOSTS));
        hosts["items"]["maxLength"] = json!(253);
        add_rule(
            &mut hosts["items"],
            "self.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
            "a host is a name in lower-case letters, without scheme, port and path, such as shop.example.com or *.example.com",
        );
    });
}

fn path_rules(schema: &mut Schema) {
    change(schema, |paths| {
        (paths["minItems"], paths["maxItems"]) = (json!(1), json!(MOST_PATHS));
        add_rule(
            &mut paths["items"]["properties"]["path"],
            "self.matches('^/[-A-Za-z0-9/._~!$&()*+,;=:@%]*$') && !self.contains('//') && !self.contains('/./') && \
             !self.contains('/../') && !self.endsWith('/.') && !self.endsWith('/..')",
            "a path begins with / and has neither spaces, nor //, /./ or /../ in it, such as /api",
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(http: &serde_json::Value) -> Option<String> {
        serde_json::from_value::<Http>(http.clone()).unwrap().url()
    }

    #[test]
    fn a_url_takes_the_first_host_that_is_one_and_the_first_path() {
        assert_eq!(url(&json!({})), None);
        assert_eq!(url(&json!({"hosts": ["*.example.com"]})), None, "that is no name to go to");
        assert_eq!(url(&json!({"hosts": ["*.a.b", "c.d"]})).as_deref(), Some("http://c.d"));
        assert_eq!(url(&json!({"hosts": ["a.b"], "tls": {}})).as_deref(), Some("https://a.b"));
        let paths = json!([{"path": "/api"}, {"path": "/"}]);
        assert_eq!(url(&json!({"hosts": ["a.b"], "paths": paths})).as_deref(), Some("http://a.b/api"));
    }
}
