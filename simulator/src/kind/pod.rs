//! `v1 Pod`, also as the template of others: defaults, the status of a new one, rules.

use serde_json::{Map, Value, json};

use super::{exclusive, resources};
use crate::failure::Cause;
use crate::object;

pub(super) fn default(object: &mut Value) {
    let pod = object::child(object, "spec");
    spec(pod);
    fill(pod, "enableServiceLinks", || true.into());
}

/// The defaults of the template that a spec has.
pub(super) fn template(spec: &mut Map<String, Value>) {
    let template = object::map(spec.entry("template").or_insert(Value::Null));
    object::map(template.entry("metadata").or_insert(Value::Null));
    self::spec(object::map(template.entry("spec").or_insert(Value::Null)));
}

/// How long a pod stays on a node that is in trouble, in seconds: the admission plugin's (`DefaultTolerationSeconds`).
const TOLERATION: i64 = 300;

/// What the real server's admission plugins fill in, and the status of a new pod.
pub(super) fn prepare(object: &mut Value) {
    let spec = object::child(object, "spec");
    fill(spec, "priority", || 0.into());
    fill(spec, "preemptionPolicy", || "PreemptLowerPriority".into());
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    for taint in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerates = |one: &Value| {
            let (key, effect) = (one["key"].as_str().unwrap_or_default(), one["effect"].as_str().unwrap_or_default());
            (key.is_empty() || key == taint) && matches!(effect, "" | "NoExecute")
        };
        let list = tolerations.as_array_mut().filter(|list| !list.iter().any(tolerates));
        if let Some(list) = list {
            list.push(json!({
                "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION,
            }));
        }
    }
    object["status"] = json!({"phase": "Pending", "qosClass": quality(&object["spec"])});
}

/// The class that decides who is evicted first.
fn quality(spec: &Value) -> &'static str {
    let lists = ["containers", "initContainers"].map(|name| spec[name].as_array());
    let all = || lists.into_iter().flatten().flatten().map(|container| &container["resources"]);
    if all().all(|resources| resources["limits"].is_null() && resources["requests"].is_null()) {
        "BestEffort"
    } else if all().all(resources::is_guaranteed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// The defaults of a pod's spec.
pub(super) fn spec(spec: &mut Map<String, Value>) {
    fill(spec, "restartPolicy", || "Always".into());
    fill(spec, "terminationGracePeriodSeconds", || 30.into());
    fill(spec, "dnsPolicy", || "ClusterFirst".into());
    fill(spec, "schedulerName", || "default-scheduler".into());
    object::map(spec.entry("securityContext").or_insert(Value::Null));
    if let Some(name) = spec.get("serviceAccountName").cloned() {
        spec.insert("serviceAccount".into(), name);
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        let volume = object::map(volume);
        // One of no kind is an empty directory, as is one whose directory has lost all that was said of it.
        volume.retain(|_, source| !source.is_null());
        if volume.keys().all(|field| field == "name") {
            volume.insert("emptyDir".into(), json!({}));
        }
        source_defaults(volume);
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            container_defaults(object::map(container));
        }
    }
}

/// Readable for all, and writable for the owner: 0644.
const MODE: i64 = 420;

/// How long a token lasts that is renewed, in seconds.
const TOKEN: i64 = 3600;

/// The defaults of a volume's source.
fn source_defaults(volume: &mut Map<String, Value>) {
    for source in ["configMap", "downwardAPI", "projected", "secret"] {
        if let Some(source) = volume.get_mut(source).and_then(Value::as_object_mut) {
            fill(source, "defaultMode", || MODE.into());
        }
    }
    if let Some(source) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
        fill(source, "type", || "".into());
    }
    let projected = volume.get_mut("projected").and_then(|projected| projected.get_mut("sources"));
    for source in projected.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(token) = source.get_mut("serviceAccountToken").and_then(Value::as_object_mut) {
            fill(token, "expirationSeconds", || TOKEN.into());
        }
        source.get_mut("downwardAPI").map(reference_defaults);
    }
    volume.get_mut("downwardAPI").map(reference_defaults);
}

fn reference_defaults(source: &mut Value) {
    for item in source["items"].as_array_mut().into_iter().flatten() {
        if let Some(reference) = item.get_mut("fieldRef").and_then(Value::as_object_mut) {
            fill(reference, "apiVersion", || "v1".into());
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
            handler_defaults(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        let hook = container.get_mut("lifecycle").and_then(|hooks| hooks.get_mut(hook));
        hook.and_then(Value::as_object_mut).map(handler_defaults);
    }
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(reference) = variable.pointer_mut("/valueFrom/fieldRef").and_then(Value::as_object_mut) {
            fill(reference, "apiVersion", || "v1".into());
        }
    }
}

fn handler_defaults(handler: &mut Map<String, Value>) {
    if let Some(get) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        fill(get, "scheme", || "HTTP".into());
        fill(get, "path", || "/".into());
    }
    if let Some(call) = handler.get_mut("grpc").and_then(Value::as_object_mut) {
        fill(call, "service", || "".into());
    }
}

/// Sets a field that is absent or empty.
pub(super) fn fill(map: &mut Map<String, Value>, name: &str, value: impl FnOnce() -> Value) {
    if map.get(name).is_none_or(|value| value.is_null() || *value == "") {
        map.insert(name.to_owned(), value());
    }
}

/// What is wrong with the volumes and containers of the pod's spec at `path`.
pub(super) fn validate(pod: &Value, path: &str) -> Vec<Cause> {
    let list = |name: &str| pod[name].as_array().into_iter().flatten();
    let (mut causes, volumes) = exclusive::volumes(&pod["volumes"], &format!("{path}.volumes"));
    let mut names = Vec::new();
    if list("containers").next().is_none() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    for (index, container) in list("containers").enumerate() {
        let path = format!("{path}.containers[{index}]");
        causes.extend(self::container(container, &path, &volumes));
        unique(container, &path, &mut names, &mut causes);
        causes.extend(exclusive::handlers(container, &path));
    }
    for (index, container) in list("initContainers").enumerate() {
        let path = format!("{path}.initContainers[{index}]");
        causes.extend(self::container(container, &path, &volumes));
        // Beside those of the first list.
        unique(container, &path, &mut names, &mut causes);
        if container["restartPolicy"] == "Always" {
            causes.extend(exclusive::handlers(container, &path));
            continue;
        }
        let unasked = ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"];
        let why = "may not be set for init containers without restartPolicy=Always";
        let set = unasked.iter().filter(|name| !container[**name].is_null());
        causes.extend(set.map(|name| Cause::forbidden(format!("{path}.{name}"), why)));
    }
    causes
}

/// What is wrong with the container at `path`, wherever it stands, in a pod that has these `volumes`.
fn container(container: &Value, path: &str, volumes: &[&str]) -> Vec<Cause> {
    let is_missing = |name: &&str| container[*name].as_str().unwrap_or_default().is_empty();
    let missing = ["name", "image"].into_iter().filter(is_missing);
    let mut causes: Vec<Cause> = missing.map(|name| Cause::required(format!("{path}.{name}"), "")).collect();
    causes.extend(exclusive::variables(&container["env"], &format!("{path}.env")));
    causes.extend(exclusive::mounts(&container["volumeMounts"], &format!("{path}.volumeMounts"), volumes));
    causes.extend(resources::validate(&container["resources"], &format!("{path}.resources")));
    causes
}

/// Takes the container's name into `names`, among which it may not be yet.
fn unique<'a>(container: &'a Value, path: &str, names: &mut Vec<&'a str>, causes: &mut Vec<Cause>) {
    match container["name"].as_str().unwrap_or_default() {
        "" => {}
        name if names.contains(&name) => causes.push(Cause::duplicate(format!("{path}.name"), &format!("{name:?}"))),
        name => names.push(name),
    }
}
