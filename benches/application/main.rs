//! What an Application costs on its way from the wire to the status: decoding, keeping, looking up, planning, telling.
//!
//! `peers/stores` puts kube-rs to the same work on the same data.

#[path = "../fleet/mod.rs"]
mod fleet;

mod decode;
mod plan;
mod store;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    decode::watch,
    decode::list,
    store::write,
    store::relist,
    store::read,
    plan::unchanged,
    plan::fresh
);
criterion_main!(benches);
