//! Nothing secret is said, however much is said: the binary's log at its most talkative, held against its own credentials.

mod support;

use serde_json::json;
use testbed::Options;

use crate::support::{World, wait_for};

#[test]
fn the_token_is_in_no_line_of_the_log_not_even_at_trace_level() {
    let Some(world) = World::start(Options::api_only()) else { return };
    let token = world.cluster.token();
    assert!(token.len() >= 8, "recognisable");
    // As the administrator, whose token is in the kubeconfig as it stands; and with a token that is refused.
    let good = world.operator_as(world.cluster.kubeconfig(), &["--log-level=trace", "--log-format=json"]);
    let kubeconfig = std::fs::read_to_string(world.cluster.kubeconfig()).expect("a kubeconfig");
    let wrong = world.cluster.folder().join("kubeconfig-wrong");
    std::fs::write(&wrong, kubeconfig.replace(token, "recognisable-and-wrong"))
        .expect("a file in the cluster's folder");
    let refused = world.operator_as(&wrong, &["--log-level=trace"]);

    good.wait_until_ready();
    let space = world.space("secrets");
    space.application("web", &json!({"image": "nginx", "port": 80}));
    space.wait_until_converged("web");
    wait_for("the refusal", || refused.log().contains("401").then_some(()));

    let log = good.log();
    // That which would show a token is shown: requests, and the wire below them.
    assert!(log.contains("traceparent") || log.contains("hyper") || log.contains("rustls"), "it is not talkative");
    assert!(log.lines().any(|line| line.contains("\"trace_id\"") && line.contains("reconcile")), "no trace in the log");
    for (log, secret) in [(log, token), (refused.log(), "recognisable-and-wrong")] {
        let told: Vec<_> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(told.is_empty(), "{} lines tell the token, such as {}", told.len(), told[0]);
    }
}
