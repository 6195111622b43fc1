//! `v1 Service`: defaults, addresses and node ports, rules.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::failure::{Cause, Failure};
use crate::identity::Identities;
use crate::object;

pub(super) fn default(object: &mut Value) {
    let spec = object::child(object, "spec");
    fill(spec, "sessionAffinity", "None".into());
    fill(spec, "type", "ClusterIP".into());
    if has_address(spec) {
        fill(spec, "internalTrafficPolicy", "Cluster".into());
    }
    if has_node_ports(spec) {
        fill(spec, "externalTrafficPolicy", "Cluster".into());
    }
    if spec["type"] == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true.into());
    }
    if spec["sessionAffinity"] == "None" {
        spec.remove("sessionAffinityConfig");
    } else {
        fill(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10_800}}));
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let port = object::map(port);
        fill(port, "protocol", "TCP".into());
        let number = port.get("port").cloned().unwrap_or(0.into());
        if port.get("targetPort").is_none_or(|target| target.is_null() || *target == 0 || *target == "") {
            port.insert("targetPort".into(), number);
        }
    }
}

fn fill(map: &mut Map<String, Value>, name: &str, value: Value) {
    if map.get(name).is_none_or(|value| value.is_null() || *value == "") {
        map.insert(name.to_owned(), value);
    }
}

fn has_address(spec: &Map<String, Value>) -> bool {
    spec.get("type").is_some_and(|kind| *kind != "ExternalName")
}

fn has_node_ports(spec: &Map<String, Value>) -> bool {
    spec.get("type").is_some_and(|kind| *kind == "NodePort" || *kind == "LoadBalancer")
}

fn is_balanced(spec: &Map<String, Value>) -> bool {
    spec.get("type").is_some_and(|kind| *kind == "LoadBalancer")
}

/// Gives it an address and node ports: those that it had, or new ones.
pub(super) fn prepare(object: &mut Value, old: Option<&Value>, identities: &mut Identities) -> Result<(), Failure> {
    let before = old.and_then(|old| old["spec"].as_object()).cloned().unwrap_or_default();
    if old.is_none() {
        object::child(object, "status").insert("loadBalancer".into(), json!({}));
    }
    let spec = object::child(object, "spec");
    if has_address(spec) {
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if let (None, Some(value)) = (spec.get(name), before.get(name)) {
                spec.insert(name.to_owned(), value.clone());
            }
        }
        // One that had no address although it might have had one gets none later, either.
        if old.is_none() || !has_address(&before) {
            fill(spec, "clusterIP", identities.address().into());
            let addresses = json!([spec["clusterIP"]]);
            fill(spec, "clusterIPs", addresses);
        }
        fill(spec, "ipFamilies", json!(["IPv4"]));
        fill(spec, "ipFamilyPolicy", "SingleStack".into());
    } else {
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            spec.remove(name);
        }
    }
    // What a type asks for goes with the type, if nobody has changed it at the same time.
    for (name, goes) in [
        ("externalTrafficPolicy", has_node_ports(&before) && !has_node_ports(spec)),
        ("allocateLoadBalancerNodePorts", is_balanced(&before) && !is_balanced(spec)),
        ("loadBalancerClass", is_balanced(&before) && !is_balanced(spec)),
    ] {
        if goes && spec.get(name) == before.get(name) {
            spec.remove(name);
        }
    }
    node_ports(spec, &before, old.is_some(), identities)
}

fn node_ports(
    spec: &mut Map<String, Value>,
    before: &Map<String, Value>,
    is_update: bool,
    identities: &mut Identities,
) -> Result<(), Failure> {
    let wants = has_node_ports(spec) && spec.get("allocateLoadBalancerNodePorts") != Some(&false.into());
    let had = has_node_ports(before);
    let known = before.get("ports").and_then(Value::as_array).cloned().unwrap_or_default();
    let given: Vec<Value> = node_ports_of(spec).collect();
    let mut drawn: BTreeMap<String, Value> = BTreeMap::new();
    let mut taken: Vec<String> = Vec::new();
    let mut ports: BTreeSet<(String, String)> = BTreeSet::new();
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let port = object::map(port);
        // A port keeps the node port of the one that had its name, unless another has it now.
        let old = known.iter().find(|old| old.get("name") == port.get("name")).and_then(|old| old.get("nodePort"));
        if wants {
            let old = old.filter(|old| !given.contains(old)).cloned();
            // Ports of the same number share a node port, whatever their protocols.
            let number = port.get("port").map(ToString::to_string).unwrap_or_default();
            let shared = drawn.get(&number).cloned();
            let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or_default().to_owned();
            let known = port.get("nodePort").cloned().or(old);
            // An update is validated before ports are drawn: one that is there twice is refused without a node port.
            if !ports.insert((number.clone(), protocol.clone())) && known.is_none() && is_update {
                continue;
            }
            let chosen: Value = known.or(shared).unwrap_or_else(|| identities.node_port().into());
            let shown = format!("{{{protocol} {chosen}}}");
            if had && taken.contains(&shown) {
                let message = format!("duplicate nodePort: {shown}");
                return Err(Failure { code: 500, reason: "", message, details: None });
            }
            taken.push(shown);
            drawn.insert(number, chosen.clone());
            port.insert("nodePort".into(), chosen);
        } else if had && known.iter().any(|old| old.get("nodePort") == port.get("nodePort")) {
            // A Service that no longer has node ports gives back those that it was given.
            port.remove("nodePort");
        }
    }
    Ok(())
}

fn node_ports_of(spec: &Map<String, Value>) -> impl Iterator<Item = Value> {
    let ports = spec.get("ports").and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(|port| port.get("nodePort").cloned())
}

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    let ports = spec["ports"].as_array().map_or(&[][..], Vec::as_slice);
    if ports.is_empty() && spec["type"] != "ExternalName" && spec["clusterIP"] != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    let mut names: Vec<&str> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let at = |field: &str| format!("spec.ports[{index}].{field}");
        match port["name"].as_str().unwrap_or_default() {
            "" if ports.len() > 1 => causes.push(Cause::required(at("name"), "")),
            "" => {}
            name if names.contains(&name) => causes.push(Cause::duplicate(at("name"), &format!("{name:?}"))),
            name => names.push(name),
        }
        for field in ["port", "targetPort"] {
            if let Some(number) = port[field].as_i64().filter(|number| !(1..=65_535).contains(number)) {
                let why = "must be between 1 and 65535, inclusive";
                causes.push(Cause::invalid(at(field), &number.to_string(), why));
            }
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let same = |other: &&Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
        if ports[..index].iter().any(|other| same(&other)) {
            let shown = json!([port["protocol"], port.get("appProtocol"), port["port"]]);
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":{},\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                shown[0], shown[1], shown[2]
            );
            causes.push(Cause::duplicate(format!("spec.ports[{index}]"), &shown));
        }
        let taken = |other: &&Value| {
            other["nodePort"] == port["nodePort"]
                && other["protocol"] == port["protocol"]
                && port["nodePort"].is_number()
        };
        if ports[..index].iter().any(|other| taken(&other)) {
            causes.push(Cause::duplicate(format!("spec.ports[{index}].nodePort"), &port["nodePort"].to_string()));
        }
    }
    let class = &spec["loadBalancerClass"];
    let is_balanced = |object: &Value| object["spec"].as_object().is_some_and(is_balanced);
    if !is_balanced(object) && spec["loadBalancerSourceRanges"].as_array().is_some_and(|ranges| !ranges.is_empty()) {
        let why = "may only be used when `type` is 'LoadBalancer'";
        causes.push(Cause::forbidden("spec.LoadBalancerSourceRanges", why));
    }
    let before = old.filter(|old| is_balanced(old)).map(|old| &old["spec"]["loadBalancerClass"]);
    if !is_balanced(object) {
        if !class.is_null() {
            causes.push(Cause::forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'"));
        }
    } else if before.is_some_and(|before| before != class) {
        causes.push(Cause::invalid("spec.loadBalancerClass", &class.to_string(), "may not change once set"));
    }
    let address = |object: &Value| object["spec"]["clusterIP"].clone();
    let was = old.map(address).unwrap_or_default();
    if !was.is_null() && !address(object).is_null() && was != address(object) {
        let shown = spec["clusterIPs"].to_string();
        causes.insert(0, Cause::invalid("spec.clusterIPs[0]", &shown, "may not change once set"));
    }
    causes
}
