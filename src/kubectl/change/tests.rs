//! What is written for each wish, in each state that it may meet.

use serde_json::json;

use super::*;
use crate::kubectl::snapshot::tests::{bare, rolling};

fn told(snapshot: &Snapshot, wish: Wish) -> Result<Change, String> {
    change(snapshot, false, wish, &|words| format!("COMMAND {words}")).map_err(|error| error.to_string())
}

fn patch(change: Result<Change, String>) -> (Value, String) {
    match change {
        Ok(Change::Patch { spec, done, .. }) => (spec, done),
        other => panic!("{other:?}"),
    }
}

fn with_spec(spec: &Value, status: &Value) -> Snapshot {
    let mut snapshot = bare(spec, status);
    snapshot.revisions = rolling(2).revisions;
    snapshot
}

#[test]
fn a_pause_is_written_once_and_taken_back_without_a_trace() {
    let (running, paused) = (bare(&json!({}), &json!({})), bare(&json!({"paused": true}), &json!({})));
    assert_eq!(patch(told(&running, Wish::Pause)).0, json!({"paused": true}));
    assert_eq!(patch(told(&paused, Wish::Resume)).0, json!({"paused": null}));
    assert_eq!(told(&paused, Wish::Pause), Ok(Change::Nothing("is paused already".to_owned())));
    assert_eq!(told(&running, Wish::Resume), Ok(Change::Nothing("is not paused".to_owned())));
}

#[test]
fn a_rollback_goes_to_the_last_good_revision_or_to_the_one_before() {
    let to = |status: &Value| patch(told(&with_spec(&json!({}), status), Wish::RollBack(None)));
    let (spec, done) = to(&json!({"currentRevision": 2, "lastGoodRevision": 0}));
    assert_eq!((spec, &*done), (json!({"rollback": {"toRevision": 0}}), "rolled back to revision 0 (nginx:0)"));
    assert_eq!(to(&json!({"currentRevision": 2, "lastGoodRevision": 2})).0, json!({"rollback": {"toRevision": 1}}));
    let first = with_spec(&json!({}), &json!({"currentRevision": 0}));
    let refused = told(&first, Wish::RollBack(None)).unwrap_err();
    assert_eq!(refused, "there is no revision before 0, which runs; there are: 0, 1, 2");
}

#[test]
fn a_revision_that_is_not_there_is_refused_with_those_that_are() {
    let refused = told(&rolling(2), Wish::RollBack(Some(7))).unwrap_err();
    assert_eq!(refused, "asked for revision 7, and there is no such revision; there are: 0, 1, 2");
    let pinned = with_spec(&json!({"rollback": {"toRevision": 1}}), &json!({}));
    let again = told(&pinned, Wish::RollBack(Some(1)));
    assert_eq!(again, Ok(Change::Nothing("is rolled back to revision 1 already".to_owned())));
}

#[test]
fn no_rollback_goes_across_a_migration() {
    let mut snapshot = rolling(2);
    let newest = Arc::get_mut(&mut snapshot.revisions[2]).unwrap();
    let annotations = json!({"minetto.dev/migrations": "Succeeded"});
    newest.metadata.annotations = serde_json::from_value(annotations).unwrap();
    let refused = told(&snapshot, Wish::RollBack(Some(1))).unwrap_err();
    assert!(refused.starts_with("Migrations of revision 2 have run, or may have"), "{refused}");
}

#[test]
fn the_end_of_a_rollback_leaves_what_else_is_said_of_rollbacks() {
    let pinned = |rollback: &Value| bare(&json!({"rollback": rollback}), &json!({}));
    assert_eq!(patch(told(&pinned(&json!({"toRevision": 1})), Wish::Unpin)).0, json!({"rollback": null}));
    let automatic = pinned(&json!({"toRevision": 1, "onFailure": "Automatic"}));
    assert_eq!(patch(told(&automatic, Wish::Unpin)).0, json!({"rollback": {"toRevision": null}}));
    assert!(matches!(told(&pinned(&json!({"onFailure": "Automatic"})), Wish::Unpin), Ok(Change::Nothing(_))));
}

#[test]
fn who_else_has_set_the_field_is_known() {
    let entry = |manager: &str, fields: &Value| json!({"manager": manager, "fieldsV1": {"f:spec": fields}});
    let application = json!({"metadata": {"managedFields": [
        entry("argocd", &json!({"f:paused": {}})), entry("ours", &json!({"f:paused": {}})), entry("other", &json!({"f:image": {}})),
    ]}});
    assert_eq!(other_owners(&application, &["paused"], "ours"), ["argocd"]);
    assert!(other_owners(&application, &["rollback", "toRevision"], "ours").is_empty());
}
