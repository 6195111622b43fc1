//! How orders of events are tried, and how it is shown that loom finds what is wrong in one of them.

use std::env;
use std::process::Command;

/// More than three preemptions take minutes, and find no more: each of the calls that are tried takes its lock once or twice.
const PREEMPTIONS: usize = 3;

pub(crate) fn explore(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(run);
}

/// Asserts that a test fails, and says this. Where loom finds something, it can't unwind, for what is dropped then takes a
/// lock: so each such test runs in a process of its own, which it ends.
pub(crate) fn finds(what: &str, test: &str) {
    let this = env::current_exe().expect("it runs");
    let output = Command::new(this).args(["--exact", test, "--include-ignored", "--nocapture"]).output();
    let output = output.expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(what), "loom has not found it:\n{said}");
}
