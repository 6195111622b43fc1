//! What leads requests from outside to an Application's Service: an `Ingress`, or an `HTTPRoute`. Pure.

use serde_json::{Value, json};

use super::{pod, service, set};
use crate::application::Application;
use crate::application::http::{Http, PathType};
use crate::observe::Kind;

/// The `Ingress`; `None` where none is asked for.
pub(super) fn ingress(application: &Application, port: Option<i32>) -> Option<Value> {
    let (name, http) = (&*application.metadata.name, asked(application, false)?);
    let port = service::http_port(application, port)?;
    let backend = json!({"service": {"name": Kind::Service.name(name), "port": {"number": port}}});
    let paths = http.paths().into_iter();
    let paths: Value =
        paths.map(|path| json!({"path": path.path, "pathType": path.path_type, "backend": backend})).collect();
    let rule = |host: Option<&String>| {
        let mut rule = json!({"http": {"paths": paths}});
        set(&mut rule, "host", host);
        rule
    };
    let rules: Vec<Value> = match &http.hosts {
        Some(hosts) if !hosts.is_empty() => hosts.iter().map(|host| rule(Some(host))).collect(),
        _ => vec![rule(None)],
    };
    let mut spec = json!({"rules": rules});
    set(&mut spec, "ingressClassName", http.ingress_class_name.as_ref());
    let tls = http.tls.as_ref().map(|tls| {
        let mut entry = json!({});
        set(&mut entry, "hosts", http.hosts.as_ref());
        set(&mut entry, "secretName", tls.secret_name.as_ref());
        json!([entry])
    });
    set(&mut spec, "tls", tls);
    Some(json!({"metadata": metadata(name, http), "spec": spec}))
}

/// The `HTTPRoute`; `None` where none is asked for.
pub(super) fn route(application: &Application, port: Option<i32>) -> Option<Value> {
    let (name, http) = (&*application.metadata.name, asked(application, true)?);
    let backend = json!({"group": "", "kind": "Service", "name": Kind::Service.name(name),
        "port": service::http_port(application, port)?});
    let kind = |of: PathType| if of == PathType::Exact { "Exact" } else { "PathPrefix" };
    let paths = http.paths().into_iter();
    let matches: Value =
        paths.map(|path| json!({"path": {"type": kind(path.path_type), "value": path.path}})).collect();
    let mut spec = json!({
        "parentRefs": http.parent_refs,
        "rules": [{"matches": matches, "backendRefs": [backend]}],
    });
    set(&mut spec, "hostnames", http.hosts.as_ref());
    Some(json!({"metadata": metadata(name, http), "spec": spec}))
}

/// Whether an Application whose pods listen on `port` asks for that child.
pub(super) fn is_asked(application: &Application, port: Option<i32>, for_route: bool) -> bool {
    asked(application, for_route).is_some() && service::http_port(application, port).is_some()
}

fn asked(application: &Application, for_route: bool) -> Option<&Http> {
    application.spec.http.as_deref().filter(|http| http.is_route() == for_route)
}

fn metadata(name: &str, http: &Http) -> Value {
    let mut metadata = json!({"labels": pod::labels(name)});
    set(&mut metadata, "annotations", http.annotations.as_ref());
    metadata
}
