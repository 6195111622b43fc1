//! The `HorizontalPodAutoscaler` of an Application. Pure.
//!
//! It scales the Application, not the Deployment: so the Application says how many pods there are to be, whoever decided
//! it, and only the operator writes the Deployment's number.

use engine::object::Object;
use serde_json::{Value, json};

use super::{pod, set};
use crate::application::Application;

/// CPU use to aim at where nothing is said, in percent of what is asked for: Kubernetes' own default.
const CPU_PERCENT: i32 = 80;

/// The autoscaler; `None` where none is asked for.
pub(super) fn render(application: &Application) -> Option<Value> {
    let (name, spec) = (&*application.metadata.name, application.spec.autoscaling.clone()?);
    let target = &Application::RESOURCE;
    let mut metrics = spec.metrics.as_ref().map(|metrics| metrics.entries().to_vec()).unwrap_or_default();
    let cpu = spec.target_cpu_utilization_percentage.or(metrics.is_empty().then_some(CPU_PERCENT));
    metrics.extend(cpu.map(|percent| {
        json!({"type": "Resource", "resource": {"name": "cpu", "target": {
            "type": "Utilization", "averageUtilization": percent}}})
    }));
    let mut autoscaler = json!({
        "scaleTargetRef": {"apiVersion": target.api_version(), "kind": target.kind, "name": name},
        "minReplicas": spec.min_replicas.unwrap_or(1),
        "maxReplicas": spec.max_replicas,
        "metrics": metrics,
    });
    set(&mut autoscaler, "behavior", spec.behavior);
    Some(json!({"metadata": {"labels": pod::labels(name)}, "spec": autoscaler}))
}
