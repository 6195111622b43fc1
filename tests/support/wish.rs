//! What is not as an Application says. Written from the user's side: it shares no code with the operator.

use serde_json::{Value, json};

/// What stands under the names of an Application's children.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Children {
    pub(crate) deployment: Option<Value>,
    pub(crate) service: Option<Value>,
}

/// Where the children differ from what `application` says; empty if they don't.
pub(crate) fn faults(application: &Value, children: &Children) -> Vec<String> {
    let (Some(deployment), Some(service)) = (&children.deployment, &children.service) else {
        let there = |child: &Option<Value>| if child.is_some() { "there" } else { "missing" };
        return vec![format!("Deployment {}, Service {}", there(&children.deployment), there(&children.service))];
    };
    let (name, spec) = (&application["metadata"]["name"], &application["spec"]);
    let port = &spec["port"];
    let template = &deployment["spec"]["template"];
    let containers = template["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let container_name = json!(format!("{}-container", name.as_str().unwrap_or_default()));
    let container = containers.into_iter().find(|container| container["name"] == container_name).unwrap_or_default();

    let mut found = Vec::new();
    let mut expect = |what: &str, seen: Value, wished: Value| {
        if seen != wished {
            found.push(format!("{what} is {seen}, not {wished}"));
        }
    };
    for (kind, child) in [("Deployment", deployment), ("Service", service)] {
        expect(&format!("{kind} deletion"), child["metadata"]["deletionTimestamp"].clone(), Value::Null);
        expect(&format!("{kind} label app"), child["metadata"]["labels"]["app"].clone(), name.clone());
        let owners = child["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        let owners: Vec<_> = owners.iter().map(|owner| (&owner["uid"], &owner["controller"])).collect();
        let wished = [(&application["metadata"]["uid"], &Value::Bool(true))];
        expect(&format!("{kind} owner"), json!(owners), json!(wished));
    }
    expect("Deployment label", deployment["metadata"]["labels"]["label"].clone(), name.clone());
    expect("replicas", deployment["spec"]["replicas"].clone(), spec["replicas"].clone());
    expect("pod label app", template["metadata"]["labels"]["app"].clone(), name.clone());
    expect("pod label", template["metadata"]["labels"]["label"].clone(), name.clone());
    expect("image", container["image"].clone(), spec["image"].clone());
    expect(
        "container ports",
        without(&container["ports"], "name"),
        json!([{"containerPort": port, "protocol": "TCP"}]),
    );
    expect("Service type", service["spec"]["type"].clone(), json!("NodePort"));
    expect("traffic policy", service["spec"]["externalTrafficPolicy"].clone(), json!("Local"));
    expect("Service selector", service["spec"]["selector"].clone(), json!({"app": name}));
    expect(
        "Service ports",
        without(&service["spec"]["ports"], "nodePort"),
        json!([{"name": "http", "port": port, "targetPort": port, "protocol": "TCP"}]),
    );
    found
}

/// A list of ports without a field that is anybody's.
fn without(ports: &Value, field: &str) -> Value {
    let mut ports = ports.clone();
    for port in ports.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        port.remove(field);
    }
    ports
}
