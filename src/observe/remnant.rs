//! What may still run of migrations beside an Application's own Jobs: pods of a Job that was deleted, and Jobs of an earlier life
//! of the Application. Pure.

use std::fmt;
use std::sync::Arc;

use engine::api::Entry;
use engine::object::Uid;

use super::job::MIGRATION_LABEL;
use super::revision::is_own;
use super::{Job, Pod};

/// Something that may run a migration, and is waited for before another one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remnant {
    /// A Job of another life of the Application.
    Job(Arc<str>),
    /// A pod that has not ended, and whose Job is none of the Application's.
    Pod(Arc<str>),
}

impl fmt::Display for Remnant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(name) => write!(f, "Job {name}"),
            Self::Pod(name) => write!(f, "pod {name}"),
        }
    }
}

/// What there is of the Application with this uid, of the `jobs` that bear its label and the `pods` that are said to be its.
pub(super) fn remnants(jobs: &[Entry<Job>], pods: &[Entry<Pod>], uid: &Uid) -> Vec<Remnant> {
    let jobs = || jobs.iter().filter_map(Entry::valid);
    let is_ours = |job: &&Arc<Job>| is_own(&job.metadata, uid);
    let may_run = |job: &&Arc<Job>| !job.is_finished() && job.metadata.labels.get(MIGRATION_LABEL).is_some();
    let of_others = jobs().filter(|job| !is_ours(job)).filter(may_run);
    let is_left = |pod: &&Arc<Pod>| {
        let maker = pod.metadata.controller().map(|owner| &owner.uid);
        pod.runs_migration() && !jobs().filter(is_ours).any(|job| Some(&job.metadata.uid) == maker)
    };
    let left = pods.iter().filter_map(Entry::valid).filter(is_left);
    let of_others = of_others.map(|job| Remnant::Job(job.metadata.name.clone()));
    of_others.chain(left.map(|pod| Remnant::Pod(pod.metadata.name.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::observe::OWNER_ANNOTATION;
    use crate::observe::pod::POD_LABEL;
    use crate::observe::revision::APPLICATION_LABEL;

    fn labels() -> Value {
        json!({APPLICATION_LABEL: "web", MIGRATION_LABEL: "schema", POD_LABEL: "web.migration"})
    }

    fn job(uid: &str, owner: &Value, status: &Value) -> Entry<Job> {
        let mut metadata = json!({"name": format!("job-{uid}"), "uid": uid, "labels": labels()});
        for (field, value) in owner.as_object().unwrap() {
            metadata[field] = value.clone();
        }
        Entry::Valid(Arc::new(serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()))
    }

    fn pod(job: Option<&str>, phase: &str) -> Entry<Pod> {
        let owners = job.map(|uid| json!([{"kind": "Job", "name": "j", "uid": uid, "controller": true}]));
        let name = format!("pod-{}-{phase}", job.unwrap_or_default());
        let metadata = json!({"name": name, "labels": labels(), "ownerReferences": owners.unwrap_or(json!([]))});
        Entry::Valid(Arc::new(
            serde_json::from_value(json!({"metadata": metadata, "status": {"phase": phase}})).unwrap(),
        ))
    }

    fn told(jobs: &[Entry<Job>], pods: &[Entry<Pod>]) -> Vec<String> {
        remnants(jobs, pods, &Uid("mine".into())).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn jobs_of_another_life_are_left_until_they_have_ended_and_own_ones_are_none() {
        let of = |uid: &str| json!({"ownerReferences": [{"kind": "Application", "uid": uid, "controller": true}]});
        let marked = |uid: &str| json!({"annotations": {OWNER_ANNOTATION: uid}});
        let complete = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        let jobs = [
            job("own", &of("mine"), &json!({})),
            job("kept", &marked("mine"), &json!({})),
            job("earlier", &of("former"), &json!({})),
            // As `--cascade=orphan` leaves it.
            job("orphan", &marked("former"), &json!({"active": 1})),
            job("ended", &of("former"), &complete),
        ];
        assert_eq!(told(&jobs, &[]), ["Job job-earlier", "Job job-orphan"]);
    }

    #[test]
    fn pods_are_left_that_run_on_without_their_job() {
        let own = job("own", &json!({"annotations": {OWNER_ANNOTATION: "mine"}}), &json!({}));
        let pods = [
            pod(Some("own"), "Running"),
            pod(Some("gone"), "Running"),
            pod(Some("gone"), "Failed"),
            pod(None, "Pending"),
        ];
        assert_eq!(told(&[own], &pods), ["pod pod-gone-Running", "pod pod--Pending"]);
    }
}
