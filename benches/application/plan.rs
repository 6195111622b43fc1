//! What a reconcile thinks, without what it reads and writes: one Application that is as it should be, and one that is new.

use std::hint::black_box;

use application_operator::application::Application;
use application_operator::observe::{Kind, Observed};
use application_operator::plan::plan;
use application_operator::status::{Attempt, status};
use criterion::Criterion;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::fleet;

fn now() -> Time {
    serde_json::from_value(fleet::WRITTEN.into()).expect("a time")
}

pub(crate) fn unchanged(criterion: &mut Criterion) {
    let (application, observed): (Application, _) = (fleet::decoded(&fleet::application(7)), fleet::observed(7));
    let (allowed, now) = (fleet::allowed(), now());
    assert!(plan(&application, &observed, &allowed).is_empty(), "it is as it should be");
    let mut group = criterion.benchmark_group("application");
    group.bench_function("plan/unchanged", |bencher| {
        bencher.iter(|| plan(black_box(&application), black_box(&observed), &allowed));
    });
    group.bench_function("status/unchanged", |bencher| {
        bencher.iter(|| status(black_box(&application), black_box(&observed), &allowed, &Attempt::Made, &now));
    });
    assert_eq!(status(&application, &observed, &allowed, &Attempt::Made, &now), application.status, "nothing to tell");
    group.finish();
}

pub(crate) fn fresh(criterion: &mut Criterion) {
    let application: Application = fleet::decoded(&fleet::application(7));
    let (observed, allowed) = (Observed::default(), fleet::allowed());
    assert_eq!(plan(&application, &observed, &allowed).children.len(), 2, "{:?}", Kind::ALL);
    criterion.bench_function("application/plan/new", |bencher| {
        bencher.iter(|| plan(black_box(&application), black_box(&observed), &allowed));
    });
}
