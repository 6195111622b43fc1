//! The `PodDisruptionBudget` of an Application. Pure.

use serde_json::{Value, json};

use super::{pod, set};
use crate::application::Application;

/// The budget; `None` where none is asked for.
pub(super) fn render(application: &Application) -> Option<Value> {
    let (name, spec) = (&*application.metadata.name, application.spec.pod_disruption_budget.clone()?);
    let mut budget = json!({
        "selector": {"matchLabels": {(pod::DEPLOYMENT_LABEL): name}},
        // Pods that never get ready would keep nodes from being drained for ever.
        "unhealthyPodEvictionPolicy": spec.unhealthy_pod_eviction_policy.as_deref().unwrap_or("AlwaysAllow"),
    });
    // One at a time goes with any number of pods: a single one may go as well.
    let allows_one = spec.min_available.is_none() && spec.max_unavailable.is_none();
    set(&mut budget, "minAvailable", spec.min_available);
    set(&mut budget, "maxUnavailable", spec.max_unavailable.map(|most| most.value().clone()));
    set(&mut budget, "maxUnavailable", allows_one.then_some(1));
    Some(json!({"metadata": {"labels": pod::labels(name)}, "spec": budget}))
}
