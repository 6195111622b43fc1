//! The Deployment of an Application. Pure.

use serde_json::{Value, json};

use super::{pod, set};
use crate::application::Application;

pub(super) fn render(application: &Application, enforces_restricted: bool) -> Value {
    let (name, spec) = (&application.metadata.name, &application.spec);
    let mut deployment = json!({
        "replicas": spec.replicas,
        "selector": {"matchLabels": {(pod::DEPLOYMENT_LABEL): name}},
        "template": pod::template(application, enforces_restricted),
    });
    set(&mut deployment, "strategy", spec.strategy.as_ref());
    set(&mut deployment, "minReadySeconds", spec.min_ready_seconds);
    set(&mut deployment, "progressDeadlineSeconds", spec.progress_deadline_seconds);
    set(&mut deployment, "revisionHistoryLimit", spec.revision_history_limit);
    set(&mut deployment, "paused", spec.paused);
    json!({
        "metadata": {
            "labels": pod::labels(name),
            // The Go operator's; kept, since somebody may select by it.
            "annotations": {"imageregistry": "https://hub.docker.com/"},
        },
        "spec": deployment,
    })
}
