//! The Deployment of an Application. Pure.

use serde_json::{Value, json};

use super::rollout::Rollout;
use super::{object, pod, set};
use crate::application::{Application, ApplicationSpec, Verbatim};
use crate::observe::Rolled;
use crate::observe::config::{DIGEST_ANNOTATION, ROLLED_ANNOTATION, VERSIONS_ANNOTATION};
use crate::observe::revision::REVISION_ANNOTATION;

/// How many pods may be added and missing at a time in a rolling update where nothing is said: Kubernetes' own default.
const ROLLING: &str = "25%";

/// The Deployment; `None` if no template may be written yet.
pub(super) fn render(application: &Application, rollout: &Rollout, rolled: Option<&Rolled>) -> Option<Value> {
    let (name, spec) = (&application.metadata.name, &application.spec);
    let mut deployment = object([
        ("replicas", spec.replicas.into()),
        ("selector", json!({"matchLabels": {(pod::DEPLOYMENT_LABEL): name}})),
        ("template", rollout.runs.template()?.clone()),
        ("strategy", strategy(spec)),
    ]);
    set(&mut deployment, "minReadySeconds", spec.min_ready_seconds);
    set(&mut deployment, "progressDeadlineSeconds", spec.progress_deadline_seconds);
    set(&mut deployment, "revisionHistoryLimit", spec.revision_history_limit);
    set(&mut deployment, "paused", spec.paused);
    // The Go operator's; kept, since somebody may select by it.
    let mut annotations = json!({"imageregistry": "https://hub.docker.com/"});
    set(&mut annotations, REVISION_ANNOTATION, rollout.kept.as_ref());
    // Beside what makes a revision: no migration runs again for a change of configuration, and none is taken back.
    if let Some(rolled) = rolled {
        deployment["template"]["metadata"]["annotations"][DIGEST_ANNOTATION] = json!(rolled.digest);
        annotations[DIGEST_ANNOTATION] = json!(rolled.digest);
        annotations[VERSIONS_ANNOTATION] = json!(rolled.versions);
        annotations[ROLLED_ANNOTATION] = json!(rolled.at);
    }
    let metadata = object([("labels", pod::labels(name)), ("annotations", annotations)]);
    Some(object([("metadata", metadata), ("spec", deployment)]))
}

/// The strategy, with Kubernetes' defaults written out. Seen on 1.37: what the server fills in belongs to nobody, stays when
/// the type becomes `Recreate`, and is refused beside it. What is written here goes with the next apply that leaves it out.
fn strategy(spec: &ApplicationSpec) -> Value {
    let mut strategy = spec.strategy.as_ref().map_or_else(|| json!({}), |strategy| Verbatim::value(strategy).clone());
    if strategy["type"].is_null() {
        strategy["type"] = json!("RollingUpdate");
    }
    if strategy["type"] == "RollingUpdate" {
        for field in ["maxSurge", "maxUnavailable"] {
            if strategy["rollingUpdate"][field].is_null() {
                strategy["rollingUpdate"][field] = json!(ROLLING);
            }
        }
    }
    strategy
}
