//! A rollout → how many replicas each of its `ReplicaSet`s is to have next.

use std::sync::Arc;

use serde_json::Value;

use super::super::step::Write;
use super::rollout::{DESIRED, Rollout, annotated, available, replicas};
use super::{revision, update};
use crate::object;

/// A step of a rolling update: first up, then down.
pub(super) fn rolling(rollout: &Rollout<'_>) -> Vec<Write> {
    let Some(new) = &rollout.new else { return Vec::new() };
    let (present, wished) = (replicas(new), rollout.wished());
    let next = if present > wished { wished } else { rollout.next(present) };
    if next != present {
        return vec![set(rollout, new, next)];
    }
    let sizes = shrunk(rollout, new);
    let pairs = rollout.old.iter().zip(sizes);
    pairs.filter(|(one, size)| replicas(one) != *size).map(|(one, size)| set(rollout, one, size)).collect()
}

/// The sizes of the old sets: what does not serve goes first, and of what serves as much as may be missing.
fn shrunk(rollout: &Rollout<'_>, new: &Value) -> Vec<i64> {
    let mut sizes: Vec<i64> = rollout.old.iter().map(|set| replicas(set)).collect();
    let total: i64 = sizes.iter().sum::<i64>() + replicas(new);
    let least = rollout.wished() - rollout.max_unavailable();
    let most = total - least - (replicas(new) - available(new));
    if most <= 0 || sizes.iter().all(|size| *size == 0) {
        return sizes;
    }
    let mut left = most;
    for (size, set) in sizes.iter_mut().zip(&rollout.old) {
        let dead = (*size - available(set)).max(0).min(left);
        *size -= dead;
        left -= dead;
    }
    let serving: i64 = rollout.all().map(|set| available(set)).sum();
    let mut spare = serving - least;
    for size in &mut sizes {
        let gone = (*size).min(spare.max(0));
        *size -= gone;
        spare -= gone;
    }
    sizes
}

/// A step of replacing all pods at once.
pub(super) fn recreate(rollout: &Rollout<'_>, is_emptied: bool) -> Vec<Write> {
    let old: Vec<Write> = rollout.old.iter().filter(|one| replicas(one) > 0).map(|one| set(rollout, one, 0)).collect();
    match &rollout.new {
        Some(new) if old.is_empty() && is_emptied && replicas(new) != rollout.wished() => {
            vec![set(rollout, new, rollout.wished())]
        }
        _ => old,
    }
}

/// What a changed number of replicas means for sets in the middle of a rollout: each gets its share.
pub(super) fn proportional(rollout: &Rollout<'_>) -> Vec<Write> {
    let active: Vec<&Arc<Value>> = rollout.active().collect();
    let wished = rollout.wished();
    let only = match active[..] {
        [] => rollout.new.as_ref().or_else(|| rollout.old.last()),
        [one] => Some(one),
        _ => None,
    };
    if let Some(only) = only {
        return if replicas(only) == wished { Vec::new() } else { vec![set(rollout, only, wished)] };
    }
    let is_saturated = rollout.new.as_ref().is_some_and(|new| {
        replicas(new) == wished && available(new) == wished && annotated(new, DESIRED) == Some(wished)
    });
    if is_saturated {
        return rollout.old.iter().filter(|one| replicas(one) > 0).map(|one| set(rollout, one, 0)).collect();
    }
    if !rollout.rolls() || active.is_empty() {
        return Vec::new();
    }
    let total: i64 = active.iter().map(|one| replicas(one)).sum();
    let allowed = if wished > 0 { wished + rollout.max_surge() } else { 0 };
    let add = allowed - total;
    let mut sorted = active;
    // The largest first, and of equal ones the newest where there is to add, the oldest where there is to take away.
    sorted.sort_by_cached_key(|one| {
        let born = object::text(one, "creationTimestamp").to_owned();
        (-replicas(one), born)
    });
    if add > 0 {
        sorted.sort_by(|a, b| {
            let born = |one: &Value| object::text(one, "creationTimestamp").to_owned();
            replicas(b).cmp(&replicas(a)).then(born(b).cmp(&born(a)))
        });
    }
    let mut added = 0;
    let mut sizes: Vec<i64> = Vec::new();
    for one in &sorted {
        let share = share(rollout, one, add, added);
        added += share;
        sizes.push(replicas(one) + share);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + add - added).max(0);
    }
    sorted.into_iter().zip(sizes).filter_map(|(one, size)| resized(rollout, one, size)).collect()
}

/// A set's share of the replicas that are to be added, or taken away.
fn share(rollout: &Rollout<'_>, one: &Value, add: i64, added: i64) -> i64 {
    if replicas(one) == 0 || add == 0 || add == added {
        return 0;
    }
    let before =
        annotated(one, revision::MOST).unwrap_or_else(|| object::number(rollout.deployment, "/status/replicas"));
    let most = rollout.wished() + rollout.max_surge();
    let fraction = if rollout.wished() == 0 || before == 0 {
        -replicas(one)
    } else {
        // Rounded to the nearest.
        (2 * replicas(one) * most + before) / (2 * before) - replicas(one)
    };
    let allowed = add - added;
    if add > 0 { fraction.min(allowed) } else { fraction.max(allowed) }
}

fn set(rollout: &Rollout<'_>, one: &Value, size: i64) -> Write {
    update(&sized(rollout, one, size))
}

/// The set with this size, if anything of it changes.
fn resized(rollout: &Rollout<'_>, one: &Value, size: i64) -> Option<Write> {
    let new = sized(rollout, one, size);
    (new != *one).then(|| update(&new))
}

fn sized(rollout: &Rollout<'_>, one: &Value, size: i64) -> Value {
    let mut new = one.clone();
    new["spec"]["replicas"] = size.into();
    revision::note_size(rollout, &mut new);
    new
}
