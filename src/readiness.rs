//! When a container that runs and is not ready is told of. Pure: the time is an argument.
//!
//! The kubelet says of a readiness probe that fails nothing but that the container is not ready, as it says of one that is on
//! its way. Once the probe had the time to fail as often as it takes to count, the difference is told: as a failure, but not as
//! something that does not pass by itself, since a slow start looks the same, until the rollout's own deadline.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::application::{Application, ApplicationSpec, Failure, Verbatim};
use crate::observe::{Observed, Unready};

/// What Kubernetes takes for a probe's `periodSeconds` and `failureThreshold` where it does not say (core/v1 `Probe`).
const PERIOD: i64 = 10;
const THRESHOLD: i64 = 3;

/// Why the application is not ready, if a container had the time to be.
pub fn failure(application: &Application, observed: &Observed, now: Timestamp) -> Option<Failure> {
    let unready = observed.unready.as_ref()?;
    wait(application, observed, now).is_none().then(|| told(unready))
}

/// When to look again, if a container still has time to become ready.
pub fn wait(application: &Application, observed: &Observed, now: Timestamp) -> Option<Duration> {
    let overdue = observed.unready.as_ref()?.since.checked_add(patience(&application.spec)).ok()?;
    Duration::try_from(overdue.duration_since(now)).ok().filter(|wait| !wait.is_zero())
}

/// What is told of a container that is not ready. The reason is that of the kubelet's events.
pub fn told(unready: &Unready) -> Failure {
    let Unready { pod, container, since } = unready;
    Failure {
        pod: pod.to_string(),
        container: container.to_string(),
        reason: "Unhealthy".to_owned(),
        exit_code: None,
        message: format!(
            "it has run since {since} and is not ready: its readiness probe fails, and kubectl describe pod {pod} says how"
        ),
    }
}

/// How long a container may run before its readiness probe has failed as often as it takes to count. Nothing says when a
/// startup probe has succeeded, so that it is given all the time that it may take.
fn patience(spec: &ApplicationSpec) -> Duration {
    let of = |probe: &Value| {
        let field = |name: &str, default| probe[name].as_i64().unwrap_or(default);
        field("initialDelaySeconds", 0) + field("periodSeconds", PERIOD) * field("failureThreshold", THRESHOLD)
    };
    let readiness = spec.readiness_probe.as_ref().map_or(&Value::Null, Verbatim::value);
    let startup = spec.startup_probe.as_ref().map_or(0, |probe| of(probe.value()));
    Duration::from_secs(u64::try_from(of(readiness) + startup).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn application(spec: &Value) -> Application {
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
    }

    #[test]
    fn a_container_is_told_of_once_its_probe_had_the_time_to_fail() {
        let since: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let unready = Unready { pod: "web-1".into(), container: "web-container".into(), since };
        let observed = Observed { unready: Some(unready), ..Observed::default() };
        let at = |second| since + Duration::from_secs(second);
        let waits = |spec: &Value| wait(&application(spec), &observed, at(5)).map(|wait| wait.as_secs());
        assert_eq!(waits(&json!({})), Some(25), "what Kubernetes takes for the probe's own numbers");
        let probe =
            json!({"tcpSocket": {"port": 80}, "initialDelaySeconds": 4, "periodSeconds": 2, "failureThreshold": 2});
        assert_eq!(waits(&json!({"readinessProbe": probe})), Some(3));
        assert_eq!(waits(&json!({"readinessProbe": probe, "startupProbe": probe})), Some(11));

        let web = application(&json!({"readinessProbe": probe}));
        assert_eq!(failure(&web, &observed, at(7)), None);
        let told = failure(&web, &observed, at(8)).expect("it is overdue");
        assert_eq!((&*told.pod, &*told.container, &*told.reason), ("web-1", "web-container", "Unhealthy"));
        assert_eq!(wait(&web, &observed, at(8)), None, "there is nothing left to wait for");
        assert_eq!(failure(&web, &Observed::default(), at(8)), None);
    }
}
