//! The Jobs of migrations: what is kept of each, and how far it is. Pure.

use engine::object::{Metadata, Object, Resource};
use serde::Deserialize;

use super::child::Condition;

/// Names the migration that a Job runs, on the Job and on its pods.
pub const MIGRATION_LABEL: &str = "minetto.dev/migration";

/// A Job as it is kept.
#[derive(Debug, Deserialize)]
pub struct Job {
    /// What every object has.
    pub metadata: Metadata,
    #[serde(default)]
    status: JobStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JobStatus {
    active: i32,
    conditions: Box<[Condition]>,
}

/// How far a Job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'j> {
    /// Neither has it succeeded nor failed.
    Running {
        /// Whether a pod of it exists.
        has_pod: bool,
    },
    /// It has succeeded.
    Succeeded,
    /// It has failed for good; this is what the Job's controller says.
    Failed(&'j Condition),
}

impl Object for Job {
    const RESOURCE: Resource = Resource { group: "batch", version: "v1", kind: "Job", plural: "jobs" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Job {
    /// How far it is.
    pub fn progress(&self) -> Progress<'_> {
        let holds = |kind: &str| {
            self.status.conditions.iter().find(|condition| &*condition.kind == kind && &*condition.status == "True")
        };
        match holds("Failed") {
            Some(failed) => Progress::Failed(failed),
            None if holds("Complete").is_some() => Progress::Succeeded,
            None => Progress::Running { has_pod: self.status.active > 0 },
        }
    }

    /// Whether nothing of it runs any more, and nothing will.
    pub fn is_finished(&self) -> bool {
        !matches!(self.progress(), Progress::Running { .. })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_is_finished_when_its_controller_says_so() {
        let job = |status: &serde_json::Value| -> Job {
            serde_json::from_str(&json!({"metadata": {}, "status": status}).to_string()).unwrap()
        };
        assert_eq!(job(&json!({})).progress(), Progress::Running { has_pod: false });
        assert_eq!(job(&json!({"active": 1})).progress(), Progress::Running { has_pod: true });
        // What follows is not yet so: pods may still be there.
        let soon = json!({"conditions": [{"type": "FailureTarget", "status": "True"}]});
        assert!(!job(&soon).is_finished());
        let complete = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        assert_eq!(job(&complete).progress(), Progress::Succeeded);
        let failed = job(&json!({"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}));
        assert!(matches!(failed.progress(), Progress::Failed(condition) if &*condition.reason == "DeadlineExceeded"));
    }
}
