//! Which sequences of requests there are.

mod content;
mod read;
mod sample;
mod write;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

pub(crate) use self::content::smallest;
use crate::operation::Operation;

/// How many requests a sequence has in the mean.
pub(crate) const LENGTH: usize = 8;

/// Sequences of requests.
pub(crate) fn sequences() -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), 1..2 * LENGTH)
}

fn names() -> impl Strategy<Value = &'static str> {
    select(vec!["a", "a", "a", "b"])
}

fn resources() -> impl Strategy<Value = &'static str> {
    select(vec![
        "configmaps",
        "configmaps",
        "services",
        "services",
        "deployments",
        "deployments",
        "applications",
        "applications",
        "applications",
        "samples",
        "samples",
        "replicasets",
        "jobs",
    ])
}

fn managers() -> impl Strategy<Value = &'static str> {
    select(vec!["one", "two"])
}

fn operation() -> impl Strategy<Value = Operation> {
    resources().prop_flat_map(|resource| if resource == "jobs" { on_job().boxed() } else { on(resource).boxed() })
}

fn on(resource: &'static str) -> impl Strategy<Value = Operation> {
    prop_oneof![
        40 => write::create(resource),
        10 => write::generate(resource),
        20 => write::update(resource),
        30 => write::patch(resource),
        50 => write::apply(resource),
        10 => write::status(resource),
        10 => write::scale(resource),
        20 => write::delete(resource),
        5 => write::delete_all(resource),
        3 => write::namespace(),
        10 => read::get(resource),
        15 => read::list(resource),
    ]
}

/// Of a Job, nearly nothing can be changed, and the refusals show how Go prints its template.
fn on_job() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => write::create("jobs"),
        4 => write::apply("jobs"),
        2 => write::delete_all("jobs"),
        1 => read::get("jobs"),
        1 => read::list("jobs"),
    ]
}
