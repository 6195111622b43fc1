//! Plans without a cluster: what is written, on what conditions, and when nothing is.

use std::sync::Arc;

use engine::object::{ResourceVersion, Uid};

use super::*;

pub(crate) fn application(spec: &Value) -> Application {
    let mut application = json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "5", "generation": 1},
        "spec": {"image": "nginx:latest", "replicas": 2, "port": 80},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        application["spec"][field] = value.clone();
    }
    serde_json::from_value(application).unwrap()
}

/// What is missing of an Application with these children, to whom nothing is allowed.
fn plan(application: &Application, observed: &Observed) -> Plan {
    super::plan(application, observed, &Allowed::default())
}

fn nothing() -> Observed {
    Observed::default()
}

/// The child as the server would keep it after `write`, with `edit` made to it.
fn stored(write: Write, edit: impl Fn(&mut Value)) -> Found {
    let mut body = write.body.unwrap();
    body["metadata"]["uid"] = json!("c-1");
    body["metadata"]["resourceVersion"] = json!("9");
    body["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    edit(&mut body);
    Found::Own(Arc::new(serde_json::from_str(&body.to_string()).unwrap()))
}

/// All children as they are after the plan was carried out, with an edit made to each, and the revision.
fn converged(application: &Application, edit: impl Fn(&mut Value)) -> Observed {
    let plan = plan(application, &nothing());
    let revisions = plan.before.iter().filter_map(|step| match step {
        Step::Record { body } => Some(Arc::new(serde_json::from_str(&body.to_string()).unwrap())),
        _ => None,
    });
    let revisions = revisions.collect();
    let children = plan.children.into_iter().map(|(kind, write)| (kind, stored(write, &edit))).collect();
    Observed { children, revisions, ..nothing() }
}

/// What is written of a child.
fn written(plan: &mut Plan, kind: Kind) -> Option<Write> {
    plan.children.remove(&kind)
}

fn untouched(_: &mut Value) {}

#[test]
fn an_empty_namespace_gets_both_children_as_the_seed_names_them() {
    let mut plan = plan(&application(&json!({})), &nothing());
    assert_eq!((plan.finalizers.as_ref(), plan.children.len()), (None, 2));
    let deployment = written(&mut plan, Kind::Deployment).unwrap();
    let service = written(&mut plan, Kind::Service).unwrap();
    assert_eq!((&deployment.cause, &deployment.precondition), (&Cause::Missing, &Precondition::Absent));

    let body = deployment.body.as_ref().unwrap();
    assert_eq!(body["metadata"]["name"], "web-deployment");
    assert_eq!(body["metadata"]["namespace"], "shop");
    assert_eq!(body["metadata"]["labels"], json!({"label": "web", "app": "web"}));
    assert_eq!(body["metadata"]["annotations"]["imageregistry"], "https://hub.docker.com/");
    assert_eq!(body["spec"]["selector"]["matchLabels"], json!({"label": "web"}));
    assert_eq!(body["spec"]["replicas"], 2);
    let template = &body["spec"]["template"];
    assert_eq!(template["metadata"]["labels"], json!({"label": "web", "app": "web"}));
    let container = &template["spec"]["containers"][0];
    assert_eq!((&container["name"], &container["image"]), (&json!("web-container"), &json!("nginx:latest")));
    assert_eq!(container["ports"], json!([{"containerPort": 80, "protocol": "TCP"}]));

    let body = service.body.as_ref().unwrap();
    assert_eq!(body["metadata"]["name"], "web-service");
    assert_eq!(body["metadata"]["labels"], json!({"app": "web"}));
    assert_eq!(
        body["spec"],
        json!({"type": "NodePort", "externalTrafficPolicy": "Local", "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}]})
    );
    for child in [deployment.body.as_ref().unwrap(), service.body.as_ref().unwrap()] {
        let owner = &child["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["uid"], &owner["controller"]), (&json!("u-1"), &json!(true)));
    }
}

#[test]
fn pods_are_secured_as_far_as_any_image_allows() {
    let deployment = render(&application(&json!({})), &nothing(), Kind::Deployment).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"], false);
}

#[test]
fn what_has_converged_needs_no_write() {
    let application = application(&json!({}));
    assert!(plan(&application, &converged(&application, untouched)).is_empty());
}

#[test]
fn fields_that_others_add_are_left_alone() {
    let application = application(&json!({}));
    let observed = converged(&application, |child| {
        child["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("1");
        child["metadata"]["labels"]["team"] = json!("a");
        child["spec"]["progressDeadlineSeconds"] = json!(600);
        child["spec"]["clusterIP"] = json!("10.0.0.1");
        child["spec"]["template"]["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/restartedAt": "now"});
    });
    assert!(plan(&application, &observed).is_empty());
}

#[test]
fn a_changed_wish_updates_exactly_what_was_seen() {
    let before = converged(&application(&json!({})), untouched);
    let after = plan(&application(&json!({"port": 8080})), &before);
    assert_eq!(after.children.len(), 2);
    for write in after.children.into_values() {
        assert_eq!(write.cause, Cause::Wish);
        let version = ResourceVersion("9".into());
        assert_eq!(write.precondition, Precondition::Unchanged { uid: Uid("c-1".into()), version });
    }
    let mut scaled = plan(&application(&json!({"replicas": 0})), &before);
    assert_eq!(written(&mut scaled, Kind::Deployment).unwrap().body.unwrap()["spec"]["replicas"], 0);
    assert!(scaled.is_empty(), "the Service does not depend on the number of pods");
}

#[test]
fn an_edited_child_is_put_back_and_the_edit_is_named() {
    type Edit = fn(&mut Value);
    let application = application(&json!({}));
    let edits: [(&str, Edit); 5] = [
        ("spec.replicas", |child| child["spec"]["replicas"] = json!(5)),
        ("metadata.labels[app]", |child| child["metadata"]["labels"]["app"] = json!("other")),
        ("metadata.ownerReferences", |child| child["metadata"]["ownerReferences"] = json!([])),
        ("spec.template.spec.containers[web-container].image", |child| {
            child["spec"]["template"]["spec"]["containers"][0]["image"] = json!("evil");
        }),
        ("spec.template.spec.containers[web-container].ports[81]", |child| {
            let ports = &mut child["spec"]["template"]["spec"]["containers"][0]["ports"];
            ports.as_array_mut().unwrap().push(json!({"containerPort": 81, "protocol": "TCP"}));
        }),
    ];
    for (path, edit) in edits {
        let mut observed = converged(&application, untouched);
        let deployment = written(&mut plan(&application, &nothing()), Kind::Deployment).unwrap();
        observed.children.insert(Kind::Deployment, stored(deployment, edit));
        let mut plan = plan(&application, &observed);
        assert_eq!(written(&mut plan, Kind::Deployment).unwrap().cause, Cause::Drift(path.to_owned()));
        assert!(plan.is_empty());
    }
}

#[test]
fn the_former_operators_children_are_adopted() {
    let application = application(&json!({}));
    let observed = converged(&application, |child| {
        child["metadata"]["annotations"].as_object_mut().unwrap().remove(HASH_ANNOTATION);
        child["metadata"]["ownerReferences"][0]["controller"] = json!(false);
    });
    let plan = plan(&application, &observed);
    let causes: Vec<_> = plan.children.into_values().map(|write| write.cause).collect();
    assert_eq!(causes, [Cause::Adoption, Cause::Adoption]);
}

#[test]
fn a_foreign_or_leaving_child_is_not_written() {
    let application = application(&json!({}));
    let mut observed = converged(&application, untouched);
    let Some(Found::Own(leaving)) = observed.children.remove(&Kind::Deployment) else { unreachable!() };
    observed.children.insert(Kind::Deployment, Found::Leaving(leaving));
    observed.children.insert(Kind::Service, Found::Foreign("is hers".to_owned()));
    assert!(plan(&application, &observed).is_empty());
}

#[test]
fn deletion_creates_nothing_and_drops_the_former_finalizer_alone() {
    let mut application = application(&json!({}));
    application.metadata.deletion_timestamp = Some("2026-01-01T00:00:00Z".into());
    application.metadata.finalizers = vec!["other/finalizer".into(), FORMER_FINALIZER.into()];
    let plan = plan(&application, &nothing());
    assert_eq!(plan.finalizers.map(|finalizers| finalizers.kept), Some(vec!["other/finalizer".to_owned()]));
    assert!(plan.children.is_empty());
}

#[test]
fn the_former_finalizer_is_dropped_while_the_application_lives_too() {
    let mut application = application(&json!({}));
    application.metadata.finalizers = vec![FORMER_FINALIZER.into()];
    assert_eq!(plan(&application, &nothing()).finalizers, Some(Finalizers { kept: Vec::new(), mends_replicas: false }));
}

#[test]
fn fewer_than_no_replicas_are_mended_only_to_let_the_application_go() {
    let mut application = application(&json!({"replicas": -1}));
    application.metadata.finalizers = vec![FORMER_FINALIZER.into()];
    assert!(plan(&application, &nothing()).is_empty(), "the user may yet mend it");
    application.metadata.deletion_timestamp = Some("2026-01-01T00:00:00Z".into());
    assert_eq!(plan(&application, &nothing()).finalizers, Some(Finalizers { kept: Vec::new(), mends_replicas: true }));
}

#[test]
fn what_a_plan_only_changes_back_can_be_told_and_left_out() {
    let application = application(&json!({}));
    let edited = converged(&application, |child| child["metadata"]["labels"]["app"] = json!("other"));
    let undoing = plan(&application, &edited);
    assert_eq!(undoing.undoes().as_deref(), Some("metadata.labels[app] of the Deployment"));
    assert!(undoing.without_undoing().is_empty());
    let wished = plan(&tests::application(&json!({"port": 81})), &edited);
    assert_eq!(wished.undoes(), None);
    assert!(!wished.without_undoing().is_empty());
}

#[test]
fn what_another_operator_renders_otherwise_each_time_is_told_from_a_changed_wish() {
    let application = application(&json!({}));
    let overwritten = converged(&application, |child| {
        child["metadata"]["annotations"][HASH_ANNOTATION] = json!("another's");
    });
    let mut again = plan(&application, &overwritten);
    let written = again.hashes();
    assert_eq!(again.undoes(), None, "nothing says that it is not the wish that has changed");
    again.tell_from_edits(&BTreeMap::from([(Kind::Deployment, "of an earlier wish".to_owned())]));
    assert_eq!(again.undoes(), None);
    again.tell_from_edits(&written);
    assert_eq!(again.undoes().as_deref(), Some("metadata.annotations[minetto.dev/applied-hash] of the Deployment"));
    assert!(again.without_undoing().is_empty());
}

#[test]
fn a_child_that_is_not_yet_or_no_longer_ours_is_claimed() {
    let application = application(&json!({}));
    let disowned = converged(&application, |child| child["metadata"]["ownerReferences"] = json!([]));
    assert!(written(&mut plan(&application, &disowned), Kind::Deployment).unwrap().claims);
    let edited = converged(&application, |child| child["metadata"]["labels"]["app"] = json!("other"));
    assert!(!written(&mut plan(&application, &edited), Kind::Deployment).unwrap().claims);
    assert!(!written(&mut plan(&application, &nothing()), Kind::Deployment).unwrap().claims);
}

#[test]
fn the_hash_of_a_wish_is_the_same_in_every_version() {
    assert_eq!(hash(&json!({"b": 1, "a": [true, "x"]})), hash(&json!({"a": [true, "x"], "b": 1})));
    assert_eq!(hash(&json!("")), "07cc7607b4949e25");
}

#[test]
fn what_is_no_longer_wished_for_is_deleted_as_it_was_seen() {
    let full = json!({"podDisruptionBudget": {}, "autoscaling": {"maxReplicas": 3}});
    let before = converged(&application(&full), untouched);
    assert_eq!(before.children.len(), 4);
    let mut worker = application(&json!({}));
    worker.spec.port = None;
    let after = plan(&worker, &before);
    for kind in [Kind::Service, Kind::PodDisruptionBudget, Kind::HorizontalPodAutoscaler] {
        let write = &after.children[&kind];
        assert_eq!((&write.cause, &write.body), (&Cause::Unwished, &None), "{kind}");
        let version = ResourceVersion("9".into());
        assert_eq!(write.precondition, Precondition::Unchanged { uid: Uid("c-1".into()), version });
    }
    let foreign = Found::Foreign("is hers".to_owned());
    let hers = Observed { children: [(Kind::Service, foreign)].into(), ..nothing() };
    assert!(!plan(&worker, &hers).children.contains_key(&Kind::Service), "what is not ours is not deleted");
}

#[test]
fn what_is_wished_is_what_is_rendered() {
    let full = json!({"podDisruptionBudget": {}, "autoscaling": {"maxReplicas": 3}});
    let offering = json!({"port": null, "service": {"ports": [{"port": 1}]}});
    let udp = json!({"http": {}, "service": {"ports": [{"port": 1, "protocol": "UDP"}]}});
    let routed = json!({"http": {"parentRefs": [{"name": "g"}]}});
    for spec in [json!({}), json!({"port": null}), full, offering, json!({"http": {}}), routed, udp] {
        let application = application(&spec);
        let rendered = Kind::ALL.into_iter().filter(|kind| render(&application, &nothing(), *kind).is_some());
        assert_eq!(
            rendered.collect::<Vec<_>>(),
            wished(&application, &rollout::decide(&application, &nothing())).collect::<Vec<_>>(),
            "{spec}"
        );
    }
}

#[test]
fn an_http_route_takes_the_place_of_an_ingress_where_there_can_be_one() {
    let parents = json!({"http": {"hosts": ["a.example.com"], "parentRefs": [{"name": "g"}]}});
    let by_ingress = converged(&application(&json!({"http": {"hosts": ["a.example.com"]}})), untouched);
    let routed = application(&parents);
    let mut switched = plan(&routed, &by_ingress);
    assert_eq!(written(&mut switched, Kind::Ingress).unwrap().cause, Cause::Unwished);
    assert_eq!(written(&mut switched, Kind::HttpRoute).unwrap().cause, Cause::Missing);
    for gateway in [Gateway::Absent, Gateway::Unknown] {
        let fresh = plan(&routed, &Observed { gateway, ..nothing() });
        assert_eq!(fresh.children.keys().collect::<Vec<_>>(), [&Kind::Deployment, &Kind::Service], "{gateway:?}");
        let served = plan(&routed, &Observed { gateway, ..by_ingress.clone() });
        assert!(served.children.is_empty(), "{gateway:?}: the Ingress leads to it until a route can: {served:?}");
    }
    let unrouted = plan(&application(&json!({})), &Observed { gateway: Gateway::Absent, ..by_ingress });
    assert_eq!(unrouted.children.keys().collect::<Vec<_>>(), [&Kind::Ingress], "nobody asks for either");
}

#[test]
fn what_is_not_allowed_changes_nothing_and_what_is_refused_stays() {
    let asking = application(&json!({"serviceAccountName": "admin", "image": "other"}));
    let running = converged(&application(&json!({})), untouched);
    assert!(plan(&asking, &running).is_empty());
    let allowed = Allowed { service_accounts: true, ..Allowed::default() };
    assert!(!super::plan(&asking, &running, &allowed).is_empty());
}

#[test]
fn an_autoscaler_scales_the_application_and_not_the_deployment() {
    let application = application(&json!({"autoscaling": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}}));
    let autoscaler = render(&application, &nothing(), Kind::HorizontalPodAutoscaler).unwrap();
    let target = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "name": "web"});
    assert_eq!(autoscaler["spec"]["scaleTargetRef"], target);
    assert_eq!(autoscaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
}
