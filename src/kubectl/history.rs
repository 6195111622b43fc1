//! Revisions in, what each was and what it has changed out. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::snapshot::Snapshot;
use super::table;
use super::text::{age, printable};
use crate::observe::revision::{FAILURE, ROLLED_BACK_TO};

/// The fields that are named of a change, before it is said how many more there are.
const NAMED: usize = 3;

/// The longest value that is shown of a change, in characters: an image with its digest is longer, and told in a column of its
/// own.
const LONGEST: usize = 40;

/// One revision.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its number; the one that was wished for last has the highest.
    pub revision: i64,
    /// When it was first wished for (RFC 3339).
    pub created: Option<String>,
    /// How old it is, as kubectl shows it.
    pub age: String,
    /// The image of the application's container.
    pub image: String,
    /// Whether it runs, or is on its way.
    pub current: bool,
    /// Whether it is the last that was rolled out to its end.
    pub last_good: bool,
    /// Whether the spec names it.
    pub pinned: bool,
    /// How its migrations are: `Pending` or `Succeeded`; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrations: Option<String>,
    /// Why its rollout has failed, if another one runs in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What it has changed, seen from the one before.
    pub changes: Vec<String>,
}

/// A row for each revision, the oldest first.
pub fn rows(snapshot: &Snapshot, now: Timestamp) -> Vec<Row> {
    let application = &snapshot.application.it;
    let pinned = application.spec.rollback.as_ref().and_then(|rollback| rollback.to_revision);
    let mut former: Option<Value> = None;
    let mut rows = Vec::new();
    for revision in &snapshot.revisions {
        let number = revision.it.revision;
        let template = revision.it.template().unwrap_or_default();
        let changes = former.as_ref().map(|former| changes(former, &template)).unwrap_or_default();
        let failure =
            revision.it.note(ROLLED_BACK_TO).map(|_| revision.it.note(FAILURE).unwrap_or("its rollout failed"));
        rows.push(Row {
            revision: number,
            created: revision.created.map(|created| created.to_string()),
            age: age(revision.created, now),
            image: printable(template["spec"]["containers"][0]["image"].as_str().unwrap_or_default()),
            current: application.status.current_revision == Some(number),
            last_good: application.status.last_good_revision == Some(number),
            pinned: pinned == Some(number),
            migrations: revision.it.note(crate::observe::revision::MIGRATIONS).map(printable),
            failure: failure.map(printable),
            changes,
        });
        former = Some(template);
    }
    rows
}

/// The rows as a table.
pub fn lines(rows: &[Row], columns: Option<usize>) -> Vec<String> {
    let cells = |row: &Row| {
        let marks = [(row.current, "current"), (row.last_good, "last good"), (row.pinned, "pinned")];
        let mut marks: Vec<&str> = marks.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark).collect();
        match row.migrations.as_deref() {
            Some("Succeeded") => marks.push("migrated"),
            Some(_) => marks.push("not migrated"),
            None => {}
        }
        if row.failure.is_some() {
            marks.push("failed");
        }
        let mut what = row.changes.clone();
        what.extend(row.failure.iter().map(|why| format!("failed: {why}")));
        [row.revision.to_string(), row.age.clone(), marks.join(","), row.image.clone(), what.join(", ")]
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    table::lines(["REVISION", "AGE", "STATE", "IMAGE", "CHANGES"], &rows, columns)
}

/// What differs between two pod templates, each field in a few words; values of variables are left out, since they may be
/// secret.
fn changes(former: &Value, template: &Value) -> Vec<String> {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    flatten(former, String::new(), &mut before);
    flatten(template, String::new(), &mut after);
    let mut told = Vec::new();
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let name = name(path);
        match (before.get(path), after.get(path)) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) if is_shown(path) => told.push(format!("{name} {}→{}", short(old), short(new))),
            (Some(_), Some(_)) => told.push(name),
            (Some(_), None) => told.push(format!("-{name}")),
            (None, _) => told.push(format!("+{name}")),
        }
    }
    told.dedup();
    if told.len() > NAMED + 1 {
        let rest = told.split_off(NAMED).len();
        told.push(format!("{rest} more"));
    }
    told
}

/// Every scalar under its path; entries of a list go by their name where they have one.
fn flatten<'v>(value: &'v Value, path: String, into: &mut BTreeMap<String, &'v Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, value) in fields {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                flatten(value, path, into);
            }
        }
        Value::Array(entries) if !entries.is_empty() => {
            for (index, entry) in entries.iter().enumerate() {
                let name = entry["name"].as_str().map_or_else(|| index.to_string(), str::to_owned);
                flatten(entry, format!("{path}[{name}]"), into);
            }
        }
        _ => {
            into.insert(path, value);
        }
    }
}

/// A path as people call it: without what all pods have, and a variable by its name alone.
fn name(path: &str) -> String {
    let path = path.strip_prefix("spec.").unwrap_or(path);
    // The application's own container is the only one of most.
    let path = match path.strip_prefix("containers[").and_then(|rest| rest.split_once("].")) {
        Some((container, rest)) if container.ends_with("-container") => rest,
        _ => path,
    };
    match path.split_once("env[").and_then(|(before, rest)| Some((before, rest.split_once(']')?.0))) {
        Some((before, variable)) => printable(&format!("{before}env {variable}")),
        None => printable(path),
    }
}

fn is_shown(path: &str) -> bool {
    // The image has a column of its own.
    !["env[", "args[", "command["].iter().any(|hidden| path.contains(hidden)) && !path.ends_with("].image")
}

fn short(value: &Value) -> String {
    let text = printable(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    super::text::cut(&text, LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubectl::snapshot::tests::rolling;

    #[test]
    fn a_history_says_which_runs_and_what_each_has_changed() {
        let lines = lines(&rows(&rolling(2), "2026-01-01T01:30:00Z".parse().unwrap()), None);
        let wished = [
            "REVISION   AGE   STATE       IMAGE     CHANGES",
            "0          90m               nginx:0",
            "1          90m   last good   nginx:1   image",
            "2          90m   current     nginx:2   image",
        ];
        assert_eq!(lines, wished);
    }

    #[test]
    fn a_change_names_fields_as_people_do_and_shows_no_variable() {
        let template = |container: &Value| {
            let mut container = container.clone();
            container["name"] = json!("shop-container");
            json!({"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [container]}})
        };
        let before =
            template(&json!({"image": "a", "env": [{"name": "KEY", "value": "secret"}, {"name": "OLD", "value": "x"}],
            "args": ["one"]}));
        let after = template(&json!({"image": "b", "env": [{"name": "KEY", "value": "other"}],
            "resources": {"limits": {"cpu": "1"}}, "args": ["two"]}));
        let told = changes(&before, &after).join(", ");
        assert_eq!(told, "args[0], env KEY, -env OLD, 2 more");
        let limit = |cpu: &str| template(&json!({"image": "a", "resources": {"limits": {"cpu": cpu}}}));
        assert_eq!(changes(&limit("1"), &limit("2")), ["resources.limits.cpu 1→2"]);
        assert!(changes(&after, &after).is_empty());
    }
}
