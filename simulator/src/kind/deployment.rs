//! `apps/v1 Deployment`: defaults and rules.

use serde_json::{Map, Value, json};

use crate::failure::Cause;
use crate::object;

pub(super) fn default(object: &mut Value) {
    let spec = object::child(object, "spec");
    fill(spec, "replicas", || 1.into());
    fill(spec, "revisionHistoryLimit", || 10.into());
    fill(spec, "progressDeadlineSeconds", || 600.into());
    let strategy = object::map(spec.entry("strategy").or_insert(Value::Null));
    fill(strategy, "type", || "RollingUpdate".into());
    if strategy["type"] == "RollingUpdate" {
        let rolling = object::map(strategy.entry("rollingUpdate").or_insert(Value::Null));
        fill(rolling, "maxUnavailable", || "25%".into());
        fill(rolling, "maxSurge", || "25%".into());
    }
    let template = object::map(spec.entry("template").or_insert(Value::Null));
    object::map(template.entry("metadata").or_insert(Value::Null));
    pod(object::map(template.entry("spec").or_insert(Value::Null)));
}

/// The defaults of a pod's spec.
fn pod(spec: &mut Map<String, Value>) {
    fill(spec, "restartPolicy", || "Always".into());
    fill(spec, "terminationGracePeriodSeconds", || 30.into());
    fill(spec, "dnsPolicy", || "ClusterFirst".into());
    fill(spec, "schedulerName", || "default-scheduler".into());
    object::map(spec.entry("securityContext").or_insert(Value::Null));
    if let Some(name) = spec.get("serviceAccountName").cloned() {
        spec.insert("serviceAccount".into(), name);
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            container_defaults(object::map(container));
        }
    }
}

fn container_defaults(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    let is_latest = !name.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    let policy = if is_latest { "Always" } else { "IfNotPresent" };
    fill(container, "imagePullPolicy", || policy.into());
    fill(container, "terminationMessagePath", || "/dev/termination-log".into());
    fill(container, "terminationMessagePolicy", || "File".into());
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
            for (name, value) in
                [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
            {
                fill(probe, name, || value.into());
            }
            if let Some(get) = probe.get_mut("httpGet").and_then(Value::as_object_mut) {
                fill(get, "scheme", || "HTTP".into());
                fill(get, "path", || "/".into());
            }
        }
    }
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(reference) = variable.pointer_mut("/valueFrom/fieldRef").and_then(Value::as_object_mut) {
            fill(reference, "apiVersion", || "v1".into());
        }
    }
}

fn fill(map: &mut Map<String, Value>, name: &str, value: impl FnOnce() -> Value) {
    if map.get(name).is_none_or(|value| value.is_null() || *value == "") {
        map.insert(name.to_owned(), value());
    }
}

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    for name in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        if let Some(number) = spec[name].as_i64().filter(|number| *number < 0) {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(format!("spec.{name}"), &number.to_string(), why));
        }
    }
    let (selector, labels) = (&spec["selector"], &spec["template"]["metadata"]["labels"]);
    let wished = selector["matchLabels"].as_object();
    if selector.is_null() {
        causes.push(Cause::required("spec.selector", ""));
    } else if wished.is_none() && selector["matchExpressions"].is_null() {
        let why = "empty selector is invalid for deployment";
        causes.push(Cause::invalid("spec.selector", "{}", why));
    }
    if wished.is_some_and(|wished| wished.iter().any(|(name, value)| labels.get(name) != Some(value))) {
        let shown = if labels.is_null() { "null".to_owned() } else { labels.to_string() };
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", &shown, why));
    }
    causes.extend(containers(&spec["template"]["spec"]));
    if old.is_some_and(|old| old["spec"]["selector"] != *selector) {
        causes.push(Cause::invalid("spec.selector", &selector.to_string(), "field is immutable"));
    }
    causes
}

fn containers(pod: &Value) -> Vec<Cause> {
    let (mut causes, mut names) = (Vec::new(), Vec::new());
    let path = "spec.template.spec.containers";
    let empty = json!([]);
    let list = pod["containers"].as_array().or(empty.as_array());
    if list.is_some_and(Vec::is_empty) {
        causes.push(Cause::required(path, ""));
    }
    for (index, container) in list.into_iter().flatten().enumerate() {
        let at = |field: &str| format!("{path}[{index}].{field}");
        match container["name"].as_str().unwrap_or_default() {
            "" => causes.push(Cause::required(at("name"), "")),
            name if names.contains(&name) => causes.push(Cause::duplicate(at("name"), &format!("{name:?}"))),
            name => names.push(name),
        }
        if container["image"].as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required(at("image"), ""));
        }
    }
    causes
}
