//! A run is a function of its seed, the times and the requests.

use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::{Answer, Request, Server};

/// What a server with this seed answers to a few writes that draw uids, names, addresses and ports.
fn trace(seed: u64) -> Vec<Value> {
    let now = Timestamp::UNIX_EPOCH;
    let mut server = Server::new(seed, now);
    let bodies = [
        ("services", json!({"metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}})),
        ("configmaps", json!({"metadata": {"generateName": "b-"}})),
    ];
    let mut answers = Vec::new();
    for (resource, body) in bodies {
        let mut request = Request::new("POST", &format!("/api/v1/namespaces/default/{resource}"));
        request.body = body.to_string().into_bytes();
        let Answer::Document { code: 201, body, .. } = server.handle(now, &request) else { panic!("{resource}") };
        answers.push(body);
    }
    answers
}

#[test]
fn the_same_seed_gives_the_same_run_to_the_letter() {
    assert_eq!(trace(7), trace(7));
}

#[test]
fn another_seed_gives_other_uids_names_addresses_and_ports() {
    let (a, b) = (trace(7), trace(8));
    for path in ["/0/metadata/uid", "/0/spec/clusterIP", "/0/spec/ports/0/nodePort", "/1/metadata/name"] {
        let at = |trace: &[Value]| json!(trace).pointer(path).cloned().expect("it is drawn");
        assert_ne!(at(&a), at(&b), "{path}");
    }
}
