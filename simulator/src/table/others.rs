//! Services, configurations, events and the like → the cells of their rows.

use jiff::Timestamp;
use serde_json::Value;

use super::{Columns, age, labels};
use crate::object;

pub(super) const SERVICE: &Columns = &[
    ("Name", "string", 0),
    ("Type", "string", 0),
    ("Cluster-IP", "string", 0),
    ("External-IP", "string", 0),
    ("Port(s)", "string", 0),
    ("Age", "string", 0),
    ("Selector", "string", 1),
];

pub(super) fn service(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    let address = spec["clusterIPs"][0].as_str().or(spec["clusterIP"].as_str()).filter(|text| !text.is_empty());
    let outer = join(&spec["externalIPs"], |one| one.as_str().map(str::to_owned));
    let outer = match text(spec, "type") {
        "ExternalName" => text(spec, "externalName").to_owned(),
        "LoadBalancer" => {
            let ingress = join(&object["status"]["loadBalancer"]["ingress"], |one| {
                one["ip"].as_str().or(one["hostname"].as_str()).map(str::to_owned)
            });
            match (ingress.as_str(), outer.as_str()) {
                ("", "") => "<pending>".to_owned(),
                ("", outer) => outer.to_owned(),
                (ingress, "") => ingress.to_owned(),
                (ingress, outer) => format!("{ingress},{outer}"),
            }
        }
        _ => none_if_empty(outer),
    };
    let ports = join(&spec["ports"], |port| {
        let node = port["nodePort"].as_i64().filter(|node| *node > 0);
        let node = node.map(|node| format!(":{node}")).unwrap_or_default();
        Some(format!("{}{node}/{}", port["port"], text(port, "protocol")))
    });
    vec![
        name(object),
        text(spec, "type").into(),
        address.unwrap_or("<none>").into(),
        outer.into(),
        none_if_empty(ports).into(),
        created(object, now),
        labels(&spec["selector"]).into(),
    ]
}

pub(super) const CONFIG_MAP: &Columns = &[("Name", "string", 0), ("Data", "integer", 0), ("Age", "string", 0)];

pub(super) fn config_map(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), (size(&object["data"]) + size(&object["binaryData"])).into(), created(object, now)]
}

pub(super) const SECRET: &Columns =
    &[("Name", "string", 0), ("Type", "string", 0), ("Data", "integer", 0), ("Age", "string", 0)];

pub(super) fn secret(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(object, "type").into(), size(&object["data"]).into(), created(object, now)]
}

pub(super) const NAMESPACE: &Columns = &[("Name", "string", 0), ("Status", "string", 0), ("Age", "string", 0)];

pub(super) fn namespace(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(&object["status"], "phase").into(), created(object, now)]
}

pub(super) const EVENT: &Columns = &[
    ("Last Seen", "string", 0),
    ("Type", "string", 0),
    ("Reason", "string", 0),
    ("Object", "string", 0),
    ("Subobject", "string", 1),
    ("Source", "string", 1),
    ("Message", "string", 0),
    ("First Seen", "string", 1),
    ("Count", "integer", 1),
    ("Name", "string", 1),
];

pub(super) fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    // The same event has one set of names in the core, and another in its own group.
    let either = |old: &str, new: &str| if object[old].is_null() { &object[new] } else { &object[old] };
    let about = either("involvedObject", "regarding");
    let time =
        |value: &Value| value.as_str().is_some_and(|text| !text.is_empty()).then(|| age::since(Some(value), now));
    let first = time(either("firstTimestamp", "deprecatedFirstTimestamp")).or_else(|| time(&object["eventTime"]));
    let last = time(&object["series"]["lastObservedTime"])
        .or_else(|| time(either("lastTimestamp", "deprecatedLastTimestamp")))
        .or_else(|| first.clone());
    let unknown = || "<unknown>".to_owned();
    let count = object["series"]["count"].as_i64().or(either("count", "deprecatedCount").as_i64());
    let kind = text(about, "kind").to_lowercase();
    let target = if text(about, "name").is_empty() { kind } else { format!("{kind}/{}", text(about, "name")) };
    let source = either("source", "deprecatedSource");
    let component = match text(source, "component") {
        "" => text(object, "reportingComponent"),
        component => component,
    };
    let component = if component.is_empty() { text(object, "reportingController") } else { component };
    let host = text(source, "host");
    vec![
        last.unwrap_or_else(unknown).into(),
        text(object, "type").into(),
        text(object, "reason").into(),
        target.into(),
        text(about, "fieldPath").into(),
        if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") }.into(),
        either("message", "note").as_str().unwrap_or_default().trim().into(),
        first.unwrap_or_else(unknown).into(),
        count.filter(|count| *count > 0).unwrap_or(1).into(),
        name(object),
    ]
}

pub(super) const ENDPOINT_SLICE: &Columns = &[
    ("Name", "string", 0),
    ("AddressType", "string", 0),
    ("Ports", "string", 0),
    ("Endpoints", "string", 0),
    ("Age", "string", 0),
];

/// As many as kubectl shows of a long list.
const SHOWN: usize = 3;

pub(super) fn endpoint_slice(object: &Value, now: Timestamp) -> Vec<Value> {
    let short = |all: Vec<String>| match all.len() {
        0 => "<unset>".to_owned(),
        count if count > SHOWN => format!("{} + {} more...", all[..SHOWN].join(","), count - SHOWN),
        _ => all.join(","),
    };
    let of = |field: &str| object[field].as_array().map(Vec::as_slice).unwrap_or_default();
    let ports = of("ports").iter().map(|one| one["port"].to_string()).collect();
    let texts = |one: &Value| -> Vec<String> {
        let addresses = one["addresses"].as_array().into_iter().flatten();
        addresses.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let addresses = of("endpoints").iter().flat_map(texts).collect();
    vec![
        name(object),
        text(object, "addressType").into(),
        short(ports).into(),
        short(addresses).into(),
        created(object, now),
    ]
}

pub(super) const DISRUPTION_BUDGET: &Columns = &[
    ("Name", "string", 0),
    ("Min Available", "string", 0),
    ("Max Unavailable", "string", 0),
    ("Allowed Disruptions", "integer", 0),
    ("Age", "string", 0),
];

pub(super) fn disruption_budget(object: &Value, now: Timestamp) -> Vec<Value> {
    let bound = |field: &str| match &object["spec"][field] {
        Value::Null => "N/A".to_owned(),
        Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    let allowed = object["status"]["disruptionsAllowed"].as_i64().unwrap_or(0);
    vec![
        name(object),
        bound("minAvailable").into(),
        bound("maxUnavailable").into(),
        allowed.into(),
        created(object, now),
    ]
}

pub(super) const SERVICE_ACCOUNT: &Columns = &[("Name", "string", 0), ("Age", "string", 0)];

pub(super) fn service_account(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), created(object, now)]
}

pub(super) const DEFINITION: &Columns =
    &[("Name", "string", 0), ("Scope", "string", 0), ("Versions", "string", 0), ("Created At", "date", 0)];

pub(super) fn definition(object: &Value, _now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    let versions = join(&spec["versions"], |version| {
        let stored = if version["storage"] == true { "(storage)" } else { "" };
        Some(format!("{}{stored}", text(version, "name")))
    });
    let time = object::text(object, "creationTimestamp");
    vec![name(object), text(spec, "scope").into(), versions.into(), time.into()]
}

pub(super) const LEASE: &Columns = &[("Name", "string", 0), ("Holder", "string", 0), ("Age", "string", 0)];

pub(super) fn lease(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(&object["spec"], "holderIdentity").into(), created(object, now)]
}

fn name(object: &Value) -> Value {
    object::text(object, "name").into()
}

fn created(object: &Value, now: Timestamp) -> Value {
    age::since(object::metadata(object).get("creationTimestamp"), now).into()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

fn size(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

fn join(list: &Value, text: impl Fn(&Value) -> Option<String>) -> String {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(text).collect::<Vec<_>>().join(",")
}

fn none_if_empty(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}
