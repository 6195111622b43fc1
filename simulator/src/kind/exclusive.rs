//! Where one thing in a pod's spec excludes another: sources of variables and volumes, handlers, mounts in one place or of nothing.

use serde_json::Value;

use crate::failure::Cause;

/// Sources of a volume, in the order in which the real server looks for them, each as it names it; those that nobody has used
/// for years are left out.
const VOLUMES: [(&str, &str); 12] = [
    ("emptyDir", "emptyDir"),
    ("hostPath", "hostPath"),
    ("secret", "secret"),
    ("nfs", "nfs"),
    ("iscsi", "iscsi"),
    ("persistentVolumeClaim", "persistentVolumeClaim"),
    // As it is written there.
    ("downwardAPI", "downwarAPI"),
    ("configMap", "configMap"),
    ("projected", "projected"),
    ("csi", "csi"),
    ("ephemeral", "ephemeral"),
    ("image", "image"),
];

/// Handlers of probes and hooks, in the same order.
const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// What is wrong with the volumes at `path`, and the names of those that are right.
pub(super) fn volumes<'a>(volumes: &'a Value, path: &str) -> (Vec<Cause>, Vec<&'a str>) {
    let (mut causes, mut names) = (Vec::new(), Vec::new());
    for (index, volume) in volumes.as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}[{index}]");
        let sources = VOLUMES.into_iter().filter(|(source, _)| !volume[*source].is_null());
        let mut found = Vec::new();
        for (count, (source, named)) in sources.enumerate() {
            if count > 0 {
                let why = "may not specify more than 1 volume type";
                found.push(Cause::forbidden(format!("{path}.{named}"), why));
                continue;
            }
            let name = match source {
                "secret" => "secretName",
                "configMap" => "name",
                "persistentVolumeClaim" => "claimName",
                _ => continue,
            };
            if is_empty(&volume[source][name]) {
                found.push(Cause::required(format!("{path}.{source}.{name}"), ""));
            }
        }
        let name = volume["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            found.push(Cause::required(format!("{path}.name"), ""));
        } else if names.contains(&name) {
            found.push(Cause::duplicate(format!("{path}.name"), &format!("{name:?}")));
        }
        if found.is_empty() {
            names.push(name);
        }
        causes.extend(found);
    }
    (causes, names)
}

/// What is wrong with the variables at `path`.
pub(super) fn variables(variables: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, variable) in variables.as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}[{index}]");
        if is_empty(&variable["name"]) {
            causes.push(Cause::required(format!("{path}.name"), ""));
        }
        let Some(sources) = variable["valueFrom"].as_object() else { continue };
        let path = format!("{path}.valueFrom");
        for source in ["configMapKeyRef", "secretKeyRef"] {
            if sources.get(source).is_some_and(|source| is_empty(&source["key"])) {
                causes.push(Cause::required(format!("{path}.{source}.key"), ""));
            }
        }
        let why = match sources.len() {
            0 => {
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
            }
            _ if !is_empty(&variable["value"]) => "may not be specified when `value` is not empty",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        causes.push(Cause::invalid(path, "\"\"", why));
    }
    causes
}

/// What is wrong with the mounts at `path` of a pod that has these `volumes`.
pub(super) fn mounts(mounts: &Value, path: &str, volumes: &[&str]) -> Vec<Cause> {
    let (mut causes, mut places) = (Vec::new(), Vec::new());
    for (index, mount) in mounts.as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}[{index}]");
        let name = mount["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            causes.push(Cause::required(format!("{path}.name"), ""));
        }
        if !volumes.contains(&name) {
            causes.push(Cause::not_found(format!("{path}.name"), &format!("{name:?}")));
        }
        let place = mount["mountPath"].as_str().unwrap_or_default();
        if place.is_empty() {
            causes.push(Cause::required(format!("{path}.mountPath"), ""));
        }
        if places.contains(&place) {
            causes.push(Cause::invalid(format!("{path}.mountPath"), &format!("{place:?}"), "must be unique"));
        }
        places.push(place);
    }
    causes
}

/// What is wrong with the hooks and probes of the container at `path`.
pub(super) fn handlers(container: &Value, path: &str) -> Vec<Cause> {
    let hooks =
        ["postStart", "preStop"].map(|hook| (&container["lifecycle"][hook], format!("{path}.lifecycle.{hook}")));
    let probes =
        ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| (&container[probe], format!("{path}.{probe}")));
    let set = hooks.into_iter().chain(probes).filter(|(handler, _)| !handler.is_null());
    set.flat_map(|(handler, path)| self::handler(handler, &path)).collect()
}

fn handler(handler: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let set: Vec<&str> = HANDLERS.into_iter().filter(|kind| !handler[*kind].is_null()).collect();
    for (count, kind) in set.iter().enumerate() {
        let path = format!("{path}.{kind}");
        if count > 0 {
            causes.push(Cause::forbidden(path, "may not specify more than 1 handler type"));
            continue;
        }
        match *kind {
            "exec" if handler["exec"]["command"].as_array().is_none_or(Vec::is_empty) => {
                causes.push(Cause::required(format!("{path}.command"), ""));
            }
            "httpGet" | "tcpSocket" | "grpc" => {
                let port = &handler[*kind]["port"];
                let number = if port.is_string() { None } else { Some(port.as_i64().unwrap_or_default()) };
                if let Some(number) = number.filter(|number| !(1..=65_535).contains(number)) {
                    let why = "must be between 1 and 65535, inclusive";
                    causes.push(Cause::invalid(format!("{path}.port"), &number.to_string(), why));
                }
            }
            _ => {}
        }
    }
    if set.is_empty() {
        causes.push(Cause::required(path, "must specify a handler type"));
    }
    causes
}

fn is_empty(text: &Value) -> bool {
    text.as_str().unwrap_or_default().is_empty()
}
