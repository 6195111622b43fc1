//! The lines above the tree: how the Application is, and why. Pure.

use serde::Serialize;

use super::snapshot::Snapshot;
use super::text::printable;
use super::tree::{Count, Health, rolled_out};
use crate::application::ConditionType;

/// How an Application is, in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How well it is.
    pub health: Health,
    /// Why, in a word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// The revision that runs, or is on its way.
    pub current_revision: Option<i64>,
    /// The revision that was last rolled out to its end.
    pub last_good_revision: Option<i64>,
    /// Where it is reached from outside.
    pub url: Option<String>,
    /// Pods that are updated and available, of those that are wished for.
    pub rollout: Count,
    /// What else is to be known, each in a sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Summary {
    /// The summary of an Application whose tree begins with this health and state.
    pub fn of(snapshot: &Snapshot, health: Health, state: &str) -> Self {
        let application = &*snapshot.application;
        let (spec, status) = (&application.it.spec, &application.it.status);
        let is_of_now = status.observed_generation == application.metadata.generation;
        let message = match status.condition(ConditionType::Ready) {
            Some(ready) if is_of_now => printable(&ready.message),
            _ => "the operator has not taken up the latest spec yet".to_owned(),
        };
        let mut notes = Vec::new();
        if spec.paused == Some(true) {
            notes.push(
                "paused: changes of the pods wait until `kubectl application resume`, or spec.paused is taken back"
                    .to_owned(),
            );
        }
        if let Some(number) = spec.rollback.as_ref().and_then(|rollback| rollback.to_revision) {
            let name = &application.metadata.name;
            notes.push(format!(
                "pinned to revision {number}: changes of the pods wait until \
                 `kubectl application rollback {name} --to-revision=0`, or spec.rollback.toRevision is taken back"
            ));
        }
        for kind in [ConditionType::Migrated, ConditionType::RolledBack] {
            let told = status.condition(kind).map(|condition| printable(&condition.message));
            let is_news = |told: &String| is_of_now && !told.is_empty() && !message.contains(&**told);
            notes.extend(told.filter(|told| is_news(told) && !told.starts_with("spec.rollback.toRevision is")));
        }
        if !snapshot.unread.is_empty() {
            notes.push(format!("you may not read, so that they are not shown: {}", snapshot.unread.join(", ")));
        }
        Self {
            namespace: application.metadata.namespace.to_string(),
            name: application.metadata.name.to_string(),
            health,
            reason: state.to_owned(),
            message,
            current_revision: status.current_revision,
            last_good_revision: status.last_good_revision,
            url: status.url.as_deref().map(printable),
            rollout: rollout(snapshot),
            notes,
        }
    }
}

/// How far the latest template is rolled out: of the Deployment itself, since the status tells no more than is ready.
fn rollout(snapshot: &Snapshot) -> Count {
    let of = snapshot.application.it.spec.replicas;
    let status = snapshot.deployment().and_then(|deployment| deployment.it.status.as_ref());
    Count { done: status.map_or(0, rolled_out).min(of), of }
}
