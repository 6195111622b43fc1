//! What is written of the Lease, and into it.

use serde_json::json;

use super::*;

fn lease(text: serde_json::Value) -> Lease {
    serde_json::from_value(text).unwrap()
}

#[test]
fn a_lease_is_read_as_client_go_writes_it_and_as_sparse_as_the_api_allows() {
    let full = lease(json!({
        "metadata": {"name": "l", "namespace": "n", "resourceVersion": "7"},
        "spec": {
            "holderIdentity": "a_1", "leaseDurationSeconds": 15, "leaseTransitions": 3,
            "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z",
            "strategy": "OldestEmulationVersion", "preferredHolder": "b",
        },
    }));
    assert_eq!((full.spec.holder(), full.spec.duration()), ("a_1", Some(Duration::from_secs(15))));
    for sparse in [json!({"metadata": {}}), json!({"metadata": {}, "spec": {"holderIdentity": null}})] {
        let sparse = lease(sparse);
        assert_eq!((sparse.spec.holder(), sparse.spec.duration()), ("", None));
    }
}

#[test]
fn a_write_says_what_client_go_says_and_leaves_the_rest_alone() {
    let now: Timestamp = "2026-01-02T03:04:05.678901Z".parse().unwrap();
    let body = |version: Option<&str>, kind| {
        let version = version.map(|version| ResourceVersion(version.into()));
        record::body(&Write { version, kind, transitions: 4 }, "a_1", Duration::from_secs(15), "l", now)
    };
    let time = "2026-01-02T03:04:05.678901Z";
    assert_eq!(
        body(Some("7"), Kind::Renew),
        json!({"metadata": {"resourceVersion": "7"}, "spec": {
            "holderIdentity": "a_1", "leaseDurationSeconds": 15, "leaseTransitions": 4, "renewTime": time,
        }})
    );
    let acquired = body(None, Kind::Acquire);
    assert_eq!((&acquired["metadata"], &acquired["spec"]["acquireTime"]), (&json!({"name": "l"}), &json!(time)));
    assert_eq!(
        body(Some("7"), Kind::Release)["spec"],
        json!({
            "holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 4, "renewTime": time, "acquireTime": time,
        })
    );
}

#[test]
fn two_electors_of_one_name_are_two() {
    let service = crate::transport::Service::new(tower::service_fn(async |_| unreachable!("nothing is sent")));
    let elector = || {
        Elector::new(Client::new(service.clone(), "test"), Key::new("n", "l"), "pod", Timing::default())
            .identity()
            .to_owned()
    };
    let (first, second) = (elector(), elector());
    assert!(first != second && first.starts_with("pod_") && second.starts_with("pod_"));
}
