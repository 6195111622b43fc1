//! What is drawn of the same Application on terminals of several widths, and on none.

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::kubectl::snapshot::Snapshot;
use crate::kubectl::snapshot::tests::{bare, rolling};
use crate::kubectl::tree::tree;

/// An hour and a half after all of it was made.
const NOW: &str = "2026-01-01T01:30:00Z";

fn coloured(snapshot: &Snapshot, canvas: Canvas) -> Vec<String> {
    let now: Timestamp = NOW.parse().unwrap();
    let root = tree(snapshot, now);
    lines(&Summary::of(snapshot, root.health, &root.state), &root, canvas)
}

fn plain(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| anstream::adapter::strip_str(line).to_string().trim_end().to_owned()).collect()
}

fn terminal(columns: usize) -> Canvas {
    Canvas { is_terminal: true, columns: Some(columns) }
}

const LINES: Canvas = Canvas { is_terminal: false, columns: None };

#[test]
fn a_rollout_on_a_wide_terminal_is_a_tree_with_bars() {
    let drawn = plain(&coloured(&rolling(2), terminal(120))).join("\n");
    let wished = "\
demo/shop  ✖ PodFailing
Pod shop-deployment-2-bad, container shop-container: CrashLoopBackOff (exit code 1): no database
revision 2, the last good one is 1, https://shop.example.com
████████████████████░░░░░░░░░░ 2/3

NAME                                STATUS              READY           AGE  DETAIL
Application shop                    ✖ PodFailing        3/3             90m  nginx:2
├─ Deployment shop-deployment       ◌ RollingOut        ██████░░░░ 2/3  90m  3 of 3 updated, 3 available
│  ├─ ReplicaSet shop-deployment-2  ◌ Current           ██████░░░░ 2/3  90m  revision 2, nginx:2
│  │  ├─ Pod shop-deployment-2-00   ✔ Running           1/1             90m
│  │  ├─ Pod shop-deployment-2-01   ✔ Running           1/1             90m
│  │  └─ Pod shop-deployment-2-bad  ✖ CrashLoopBackOff  0/1             90m  4 restarts: exit code 1: no[31m data base …
│  ├─ ReplicaSet shop-deployment-1  · Former            1/1             90m  revision 1, nginx:1
│  │  └─ Pod shop-deployment-1-a    ✔ Running           1/1             90m
│  └─ 1 earlier ReplicaSet without pods
└─ Service shop-service             ✔ NodePort                          90m  10.0.0.1 80:31000/TCP";
    assert_eq!(drawn, wished, "\n{drawn}\n");
}

#[test]
fn without_a_terminal_each_line_says_it_in_words() {
    let drawn = plain(&coloured(&rolling(2), LINES));
    let all = drawn.join("\n");
    assert!(drawn[0] == "demo/shop  PodFailing" && all.contains("\n  Deployment shop-deployment "), "{all}");
    assert!(all.contains("      Pod shop-deployment-2-bad   CrashLoopBackOff  0/1    90m  4 restarts"), "{all}");
    assert!(all.contains("no[31m data base データベース"), "nothing is cut: {all}");
    assert!(!all.contains(['├', '█', '✖', '\u{1b}']), "{all}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for columns in 1..140 {
        for snapshot in [&rolling(2), &rolling(49)] {
            for line in plain(&coloured(snapshot, terminal(columns))) {
                assert!(width(&line) <= columns, "{columns}: {line:?}");
            }
        }
    }
    let drawn = plain(&coloured(&rolling(2), terminal(80))).join("\n");
    assert!(drawn.contains("│  │  └─ Pod shop-deployment-2-bad  ✖ CrashLoopBackOff  0/1    90m"), "{drawn}");
}

#[test]
fn of_fifty_pods_those_are_shown_that_something_is_to_be_said_of() {
    let drawn = plain(&coloured(&rolling(49), terminal(120))).join("\n");
    assert!(
        drawn.contains("│  │  ├─ Pod shop-deployment-2-bad") && drawn.contains("│  │  └─ 49 more Pods: 49 Running"),
        "{drawn}"
    );
    assert_eq!(drawn.lines().count(), 15, "{drawn}");
    assert!(drawn.contains("█████████░ 49/50"), "{drawn}");
}

#[test]
fn colour_tells_what_is_well_and_is_all_that_escapes_are_used_for() {
    let drawn = coloured(&rolling(2), terminal(120)).join("\n");
    let (red, green) = ("\u{1b}[31m✖ CrashLoopBackOff", "\u{1b}[32m✔ Running");
    assert!(drawn.contains(red) && drawn.contains(green), "{drawn:?}");
    let escapes = drawn.split('\u{1b}').skip(1);
    assert!(
        escapes.into_iter().all(|rest| rest.starts_with('[') && rest.split('m').next().unwrap().len() <= 3),
        "{drawn:?}"
    );
}

#[test]
fn what_holds_changes_back_is_said_above_the_tree() {
    let spec = json!({"image": "i", "replicas": 1, "paused": true, "rollback": {"toRevision": 4}});
    let drawn = plain(&coloured(&bare(&spec, &json!({})), LINES)).join("\n");
    assert!(drawn.contains("! paused: ") && drawn.contains("! pinned to revision 4: "), "{drawn}");
    let mut held = bare(&json!({"image": "i", "replicas": 1}), &json!({}));
    held.unread = vec!["pods", "jobs"];
    let drawn = plain(&coloured(&held, LINES)).join("\n");
    assert!(drawn.contains("! you may not read, so that they are not shown: pods, jobs"), "{drawn}");
}

#[test]
fn a_status_of_an_earlier_spec_is_not_shown_as_if_it_were_of_this_one() {
    let mut snapshot = rolling(2);
    let application = std::sync::Arc::get_mut(&mut snapshot.application).unwrap();
    application.metadata.generation = 4;
    let drawn = plain(&coloured(&snapshot, LINES));
    assert_eq!(drawn[0], "demo/shop  Pending");
    assert!(drawn[1].contains("has not taken up the latest spec"), "{drawn:?}");
}

#[test]
fn a_bar_is_full_when_all_is_done_and_not_before() {
    let bar = |done, of| bar(Count { done, of }, 4);
    assert_eq!([bar(0, 9), bar(1, 9), bar(8, 9), bar(9, 9)], ["░░░░", "█░░░", "███░", "████"]);
    assert_eq!([bar(0, 0), bar(-1, 9), bar(12, 9)], ["████", "░░░░", "████"]);
}
