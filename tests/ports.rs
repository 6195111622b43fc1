//! From any list of ports that somebody leaves behind, to any port that the Application names: nothing wedges or lingers.
//!
//! The API server keys both lists by port number. An entry that another writer made survives an apply, and where names or
//! numbers collide, the server refuses every further one.

mod support;

use serde_json::{Value, json};

use crate::support::{Operator, Space};

/// One thing that somebody does to the ports of an Application on port 80.
struct Edit {
    what: &'static str,
    edit: fn(&Space<'_>, &str),
}

/// What the Application asks for, one after the other; 8080 and 9999 are those that the edits use as well.
const WALK: [u16; 4] = [8080, 9999, 443, 80];

const EDITS: [Edit; 18] = [
    Edit { what: "moved", edit: |space, app| service(space, app, &json!([tcp("http", 9999)])) },
    Edit { what: "moved-ahead", edit: |space, app| service(space, app, &json!([tcp("http", 8080)])) },
    Edit { what: "added", edit: |space, app| service(space, app, &json!([tcp("http", 80), tcp("extra", 9999)])) },
    Edit { what: "added-first", edit: |space, app| service(space, app, &json!([tcp("extra", 8080), tcp("http", 80)])) },
    Edit { what: "swapped", edit: |space, app| service(space, app, &json!([tcp("http", 9999), tcp("web", 80)])) },
    Edit { what: "renamed", edit: |space, app| service(space, app, &json!([tcp("web", 80)])) },
    Edit { what: "retargeted", edit: |space, app| service(space, app, &json!([target(80, &json!(1234))])) },
    Edit { what: "named-target", edit: |space, app| service(space, app, &json!([target(80, &json!("web"))])) },
    Edit { what: "udp", edit: |space, app| service(space, app, &json!([udp("http", 80)])) },
    Edit { what: "udp-beside", edit: |space, app| service(space, app, &json!([tcp("http", 80), udp("dns", 80)])) },
    Edit { what: "applied", edit: |space, app| apply_service(space, app, &json!([tcp("extra", 9999)])) },
    Edit { what: "applied-over", edit: |space, app| apply_service(space, app, &json!([tcp("web", 80)])) },
    Edit {
        what: "applied-many",
        edit: |space, app| {
            apply_service(space, app, &json!([tcp("a", 8080), tcp("b", 9999), tcp("c", 443)]));
        },
    },
    Edit { what: "pod-moved", edit: |space, app| container(space, app, &json!([{"containerPort": 9999}])) },
    Edit {
        what: "pod-added",
        edit: |space, app| {
            container(space, app, &json!([{"containerPort": 80}, {"containerPort": 8080, "name": "metrics"}]));
        },
    },
    Edit {
        what: "pod-udp",
        edit: |space, app| container(space, app, &json!([{"containerPort": 80, "protocol": "UDP"}])),
    },
    Edit { what: "pod-none", edit: |space, app| container(space, app, &json!([])) },
    Edit {
        what: "pod-applied",
        edit: |space, app| {
            let ports = json!([{"containerPort": 9999, "protocol": "TCP", "name": "x"}, {"containerPort": 443, "protocol": "TCP"}]);
            let container = json!({"name": format!("{app}-container"), "ports": ports});
            let wish = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "spec": {"template": {"spec": {"containers": [container]}}}});
            space.apply_as("somebody", "deployments", &format!("{app}-deployment"), &wish);
        },
    },
];

#[test]
fn an_edit_is_undone_and_then_any_port_is_reached() {
    let Some((space, _operator)) = applications("edit-then-change") else { return };
    edit_all(&space);
    wait_until_converged(&space);
    walk(&space);
}

#[test]
fn an_edit_and_a_change_that_are_seen_at_once_end_as_the_change_says() {
    let Some((space, operator)) = applications("edit-and-change") else { return };
    drop(operator);
    edit_all(&space);
    change_all(&space, WALK[0]);
    let _operator = space.operator();
    walk(&space);
}

#[test]
fn an_edit_that_undoes_a_change_is_undone() {
    let Some((space, _operator)) = applications("change-then-edit") else { return };
    change_all(&space, WALK[0]);
    wait_until_converged(&space);
    edit_all(&space);
    walk(&space);
}

/// An Application for each edit, which need no pods, and an operator of their own.
fn applications(name: &str) -> Option<(Space<'static>, Operator)> {
    let space = Space::new(name)?;
    let operator = space.operator();
    for Edit { what, .. } in &EDITS {
        space.application(what, &json!({"image": "nginx", "replicas": 0, "port": 80}));
    }
    wait_until_converged(&space);
    Some((space, operator))
}

fn edit_all(space: &Space<'_>) {
    for Edit { what, edit } in &EDITS {
        edit(space, what);
    }
}

fn change_all(space: &Space<'_>, port: u16) {
    for Edit { what, .. } in &EDITS {
        space.edit("applications", what, &json!({"spec": {"port": port}}));
    }
}

fn wait_until_converged(space: &Space<'_>) {
    for Edit { what, .. } in &EDITS {
        space.wait_until_converged(what);
    }
}

/// Leads every Application from port to port.
fn walk(space: &Space<'_>) {
    for port in WALK {
        change_all(space, port);
        wait_until_converged(space);
    }
}

fn tcp(name: &str, port: u16) -> Value {
    json!({"name": name, "port": port, "targetPort": port, "protocol": "TCP"})
}

fn udp(name: &str, port: u16) -> Value {
    json!({"name": name, "port": port, "targetPort": port, "protocol": "UDP"})
}

fn target(port: u16, target: &Value) -> Value {
    json!({"name": "http", "port": port, "targetPort": target, "protocol": "TCP"})
}

fn service(space: &Space<'_>, app: &str, ports: &Value) {
    space.edit("services", &format!("{app}-service"), &json!({"spec": {"ports": ports}}));
}

fn apply_service(space: &Space<'_>, app: &str, ports: &Value) {
    let wish = json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": ports}});
    space.apply_as("somebody", "services", &format!("{app}-service"), &wish);
}

fn container(space: &Space<'_>, app: &str, ports: &Value) {
    let containers = json!([{"name": format!("{app}-container"), "image": "nginx", "ports": ports}]);
    let change = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    space.edit("deployments", &format!("{app}-deployment"), &change);
}
