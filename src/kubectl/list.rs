//! Applications in, a row for each out. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::object::Seen;
use super::table;
use super::text::{age, printable};
use crate::application::{Application, ConditionType};

/// One Application in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it is ready: `True`, `False`, or `Unknown` while the operator has not looked at it.
    pub ready: String,
    /// Why.
    pub reason: String,
    /// Pods that are ready.
    pub ready_replicas: i32,
    /// Pods that are wished for.
    pub replicas: i32,
    /// The revision that runs, or is on its way.
    pub revision: Option<i64>,
    /// The revision that it is pinned to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<i64>,
    /// Whether changes of its pods are held back.
    pub paused: bool,
    /// Its image.
    pub image: String,
    /// How old it is, as kubectl shows it.
    pub age: String,
}

impl Row {
    /// The row of an Application.
    pub fn of(application: &Seen<Application>, now: Timestamp) -> Self {
        let (spec, status) = (&application.it.spec, &application.it.status);
        let is_of_now = status.observed_generation == application.metadata.generation;
        let ready = status.condition(ConditionType::Ready).filter(|_| is_of_now);
        Self {
            namespace: application.metadata.namespace.to_string(),
            name: application.metadata.name.to_string(),
            ready: ready.map_or("Unknown", |ready| &*ready.status).to_owned(),
            reason: ready.map_or("Pending", |ready| &*ready.reason).to_owned(),
            ready_replicas: status.ready_replicas,
            replicas: spec.replicas,
            revision: status.current_revision,
            pinned: spec.rollback.as_ref().and_then(|rollback| rollback.to_revision),
            paused: spec.paused == Some(true),
            image: printable(&spec.image),
            age: age(application.created, now),
        }
    }
}

/// The rows as a table.
pub fn lines(rows: &[Row], with_namespace: bool, columns: Option<usize>) -> Vec<String> {
    let cells = |row: &Row| {
        let pinned = row.pinned.map_or_else(String::new, |number| format!(",Pinned:{number}"));
        let reason = format!("{}{pinned}{}", row.reason, if row.paused { ",Paused" } else { "" });
        let pods = format!("{}/{}", row.ready_replicas, row.replicas);
        let revision = row.revision.map_or_else(String::new, |number| number.to_string());
        [row.name.clone(), row.ready.clone(), reason, pods, revision, row.age.clone(), row.image.clone()]
    };
    let titles = ["NAME", "READY", "REASON", "PODS", "REV", "AGE", "IMAGE"];
    if with_namespace {
        let rows: Vec<[String; 8]> = rows
            .iter()
            .map(|row| {
                let [name, ready, reason, pods, revision, age, image] = cells(row);
                [row.namespace.clone(), name, ready, reason, pods, revision, age, image]
            })
            .collect();
        let [name, ready, reason, pods, revision, age, image] = titles;
        table::lines(["NAMESPACE", name, ready, reason, pods, revision, age, image], &rows, columns)
    } else {
        table::lines(titles, &rows.iter().map(cells).collect::<Vec<_>>(), columns)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubectl::snapshot::tests::{bare, rolling};

    #[test]
    fn a_row_says_what_holds_an_application_back() {
        let now = "2026-01-01T01:30:00Z".parse().unwrap();
        let held =
            bare(&json!({"image": "i", "replicas": 1, "paused": true, "rollback": {"toRevision": 4}}), &json!({}));
        let rows = [&held, &rolling(2)].map(|snapshot| Row::of(&snapshot.application, now));
        let lines = lines(&rows, false, None);
        let wished = [
            "NAME   READY     REASON                    PODS   REV   AGE   IMAGE",
            "shop   Unknown   Pending,Pinned:4,Paused   0/1          90m   i",
            "shop   False     PodFailing                3/3    2     90m   nginx:2",
        ];
        assert_eq!(lines, wished);
        let all = super::lines(&rows, true, Some(40));
        assert!(all[0].starts_with("NAMESPACE   NAME") && all[1].starts_with("demo        shop"), "{all:?}");
    }
}
