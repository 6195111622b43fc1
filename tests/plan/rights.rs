//! A plan writes nothing, and needs no right but to read and to try.

use serde_json::json;
use testbed::Feature;

use crate::command::{Plan, file};
use crate::support::wait_for;
use crate::{APPLICATION, manifest, operated};

#[test]
fn nothing_is_written_and_no_more_is_needed_than_to_read_and_to_try() {
    if !testbed::has(Feature::Authorisation) {
        return;
    }
    let Some((space, _operator)) = operated("readonly") else { return };
    let kubeconfig = space.world.cluster.kubeconfig_for("limited");
    let children = "deployments.apps,services,poddisruptionbudgets.policy,horizontalpodautoscalers.autoscaling";
    let resources = format!("--resource=applications.minetto.dev,{children}");
    space.kubectl(&["create", "role", "planner", "--verb=get,create,patch", &resources]);
    let owners = ["create", "role", "owner", "--verb=update", "--resource=applications.minetto.dev/finalizers"];
    space.kubectl(&owners);
    space.kubectl(&["create", "rolebinding", "owner", "--role=owner", "--user=limited"]);
    space.kubectl(&["create", "rolebinding", "planner", "--role=planner", "--user=limited"]);
    wait_for("the rights to count", || {
        let plan = Plan::with(&kubeconfig, &["-n", "readonly"], "readonly", &[APPLICATION]);
        (plan.code == Some(2)).then_some(())
    });
    let applied = manifest("web", &json!({"image": "nginx:1", "port": 80, "podDisruptionBudget": {}}));
    space.kubectl(&["apply", "-f", file("readonly.yaml", &applied).to_str().expect("UTF-8")]);
    space.wait_until_converged("web");
    // The last that the operator writes, where no other controller acts.
    space.wait_for_status("web", "to be looked at", |_| true);
    let before: Vec<_> = ["applications", "deployments", "services"].map(|kind| space.list(kind)).into();
    let plan = Plan::with(&kubeconfig, &["-n", "readonly"], "readonly", &[APPLICATION]);
    plan.shows(2, &["you may not read the namespace", "+  replicas: 3\n", "- PodDisruptionBudget web-budget"]);
    let after: Vec<_> = ["applications", "deployments", "services"].map(|kind| space.list(kind)).into();
    assert_eq!(before, after);
    let asked: Vec<_> = space.world.requests().into_iter().filter(|request| request.user == "limited").collect();
    assert!(asked.iter().any(|request| request.uri.contains("dryRun=All")), "{asked:#?}");
    let written: Vec<_> =
        asked.iter().filter(|request| !request.is_read() && !request.uri.contains("dryRun=All")).collect();
    assert!(written.is_empty(), "{written:#?}");
}

#[test]
fn without_the_right_to_try_a_child_it_is_foretold_all_the_same() {
    if !testbed::has(Feature::Authorisation) {
        return;
    }
    let Some((space, _operator)) = operated("rights") else { return };
    let spec = json!({"image": "nginx:1", "port": 80, "replicas": 2, "env": [{"name": "A", "value": "1"}]});
    space.kubectl(&["apply", "-f", file("applied.yaml", &manifest("web", &spec)).to_str().expect("UTF-8")]);
    space.wait_until_converged("web");
    let kubeconfig = space.world.cluster.kubeconfig_for("other");
    let plan = || {
        Plan::with(
            &kubeconfig,
            &["-n", "rights"],
            "rights",
            &[&manifest("web", &json!({"image": "nginx:1", "port": 80, "replicas": 2}))],
        )
    };
    plan().is_refused("can't read Application web: the API server answered 403 Forbidden");

    let rules = ["create", "role", "app", "--verb=get,create,patch", "--resource=applications.minetto.dev"];
    space.kubectl(&rules);
    space.kubectl(&["create", "rolebinding", "app", "--role=app", "--user=other"]);
    wait_for("the rights to count", || (!plan().said.contains("Application web: the API")).then_some(()));
    plan().is_refused("can't read Deployment web-deployment");

    let children = "deployments.apps,services,poddisruptionbudgets.policy,horizontalpodautoscalers.autoscaling";
    space.kubectl(&["create", "role", "children", "--verb=get", &format!("--resource={children}")]);
    space.kubectl(&["create", "rolebinding", "children", "--role=children", "--user=other"]);
    let plan = wait_for("the rights to count", || Some(plan()).filter(|plan| plan.code == Some(2)));
    plan.shows(
        2,
        &[
            "you may not write deployments.apps: what becomes of Deployment web-deployment is told without the server",
            "-      - env:\n-        - name: A\n",
            "replaces 2 pods",
        ],
    );
}
