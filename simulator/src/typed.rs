//! A value and its schema → the fields that it has; two values → what differs, and both merged; a value and a set of
//! fields → the value without them.
//!
//! The rules are those of Kubernetes' structured merge and diff (KEP-555): a leaf is a scalar, an atomic list or map, or
//! an empty one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::fields::{Fields, item_step, step};
use crate::schema::{Keys, Schema, Shape};

/// What differs between an old and a new value.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Fields of the new one alone.
    pub added: Fields,
    /// Fields of the old one alone.
    pub removed: Fields,
    /// Leaves of both that are not equal.
    pub modified: Fields,
}

impl Comparison {
    /// What is there now and was not, or was another.
    pub fn written(&self) -> Fields {
        self.added.union(&self.modified)
    }

    fn insert(&mut self, step: &str, below: Self) {
        self.added.insert(step.to_owned(), below.added);
        self.removed.insert(step.to_owned(), below.removed);
        self.modified.insert(step.to_owned(), below.modified);
    }
}

/// How a value is looked at.
enum Look<'a> {
    /// As a whole.
    Leaf,
    /// As a map, where it is one.
    Map,
    /// As a list with items that can be told apart, where it is one.
    List(&'a Schema, &'a Keys),
}

fn look<'a>(schema: &'a Schema, values: [Option<&Value>; 2]) -> Look<'a> {
    match &schema.shape {
        Shape::Map { is_atomic: false, .. } => Look::Map,
        Shape::List { items, keys } if *keys != Keys::Atomic => Look::List(items, keys),
        Shape::Any if values.iter().flatten().any(|value| value.is_object()) => Look::Map,
        _ => Look::Leaf,
    }
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn items<'a>(value: Option<&'a Value>, schema: &Schema, keys: &Keys) -> Vec<(String, &'a Value)> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|item| Some((item_step(keys, schema, item)?, item))).collect()
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        _ => true,
    }
}

/// The schema of a field; anything, where there is none.
fn field<'a>(schema: &'a Schema, name: &str) -> &'a Schema {
    schema.field(name).unwrap_or(&crate::schema::ANY)
}

/// The fields that an applied configuration claims.
pub fn fields(schema: &Schema, value: &Value) -> Fields {
    let mut set = Fields::default();
    match look(schema, [Some(value), None]) {
        Look::Leaf => set.is_member = true,
        Look::Map => {
            for (name, inner) in entries(Some(value)) {
                let mut below = fields(field(schema, name), inner);
                let is_bare = inner.is_null() || inner.as_object().is_some_and(Map::is_empty);
                below.is_member |= is_bare || !schema.is_named(name);
                set.insert(step(name), below);
            }
        }
        Look::List(schema, keys) => {
            for (step, item) in items(Some(value), schema, keys) {
                let mut below = fields(schema, item);
                below.is_member = true;
                set.insert(step, below);
            }
        }
    }
    set
}

/// What differs between `old` and `new`, of which one may be absent.
pub fn compare(schema: &Schema, old: Option<&Value>, new: Option<&Value>) -> Comparison {
    let mut result = Comparison::default();
    let look = if is_empty(old) && is_empty(new) { Look::Leaf } else { look(schema, [old, new]) };
    match look {
        Look::Leaf => result.modified.is_member = matches!((old, new), (Some(old), Some(new)) if old != new),
        Look::Map => {
            let names = entries(old).chain(entries(new)).map(|(name, _)| name);
            for name in names.collect::<BTreeSet<_>>() {
                let (old, new) = (old.and_then(|old| old.get(name)), new.and_then(|new| new.get(name)));
                result.insert(&step(name), compare(field(schema, name), old, new));
            }
        }
        Look::List(schema, keys) => {
            let (old, new) = (items(old, schema, keys), items(new, schema, keys));
            let mut pairs: BTreeMap<String, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
            for (step, item) in old {
                pairs.entry(step).or_default().0.push(item);
            }
            for (step, item) in new {
                pairs.entry(step).or_default().1.push(item);
            }
            for (step, (old, new)) in pairs {
                // Items that can't be told apart are one leaf.
                let only = |items: &Vec<_>| if items.len() == 1 { items.first().copied() } else { None };
                let mut below = if old.len() < 2 || new.len() < 2 {
                    compare(schema, only(&old), only(&new))
                } else {
                    let modified = if old == new { Fields::default() } else { Fields::leaf() };
                    Comparison { modified, ..Comparison::default() }
                };
                below.removed.is_member |= old.len() > 1 && new.len() < 2;
                below.added.is_member |= new.len() > 1 && old.len() < 2;
                result.insert(&step, below);
            }
        }
    }
    result.added.is_member = old.is_none() && new.is_some();
    result.removed.is_member = old.is_some() && new.is_none();
    result
}

/// `live` with what `applied` says laid over it. Items keep the order of `applied`, and those that it does not name stay
/// before the next one that it does.
pub fn merge(schema: &Schema, live: Option<&Value>, applied: Option<&Value>) -> Value {
    let whole = || applied.or(live).cloned().unwrap_or_default();
    if is_empty(live) && is_empty(applied) {
        return whole();
    }
    match look(schema, [live, applied]) {
        Look::Leaf => whole(),
        Look::Map => {
            let mut merged = Map::new();
            for (name, value) in entries(live) {
                let over = applied.and_then(|applied| applied.get(name));
                merged.insert(name.clone(), merge(field(schema, name), Some(value), over));
            }
            for (name, value) in entries(applied) {
                if !merged.contains_key(name) {
                    merged.insert(name.clone(), merge(field(schema, name), None, Some(value)));
                }
            }
            Value::Object(merged)
        }
        Look::List(schema, keys) => {
            let (live, applied) = (items(live, schema, keys), items(applied, schema, keys));
            let find = |list: &[(String, &Value)], step: &str| {
                list.iter().find(|(other, _)| other == step).map(|(_, item)| (*item).clone())
            };
            let mut shared = applied.iter().filter(|(step, _)| find(&live, step).is_some()).map(|(step, _)| step);
            let mut next = shared.next();
            let (mut merged, mut rest, mut done) = (Vec::new(), live.iter().peekable(), Vec::new());
            for (step, item) in &applied {
                // What is live alone stays where it was: before the shared item that it stood before.
                while let Some((other, own)) = rest.peek() {
                    let is_shared = find(&applied, other).is_some();
                    if other == step || is_shared && Some(other) == next {
                        break;
                    }
                    if !is_shared {
                        merged.push((*own).clone());
                    }
                    rest.next();
                }
                let old = find(&live, step);
                merged.push(merge(schema, old.as_ref(), Some(item)));
                done.push(step);
                if old.is_some() {
                    next = shared.next();
                }
                rest.next_if(|(other, _)| other == step);
            }
            merged.extend(rest.filter(|(step, _)| find(&applied, step).is_none()).map(|(_, item)| (*item).clone()));
            Value::Array(merged)
        }
    }
}

/// The value without the fields of `set`, and without what is below them. `None` if nothing is left of a map or list.
pub fn remove(schema: &Schema, value: &Value, set: &Fields) -> Option<Value> {
    match look(schema, [Some(value), None]) {
        Look::Leaf => Some(value.clone()),
        Look::Map => {
            let mut rest = Map::new();
            for (name, inner) in entries(Some(value)) {
                match set.below(&step(name)) {
                    Some(below) if below.is_member => {}
                    Some(below) => {
                        rest.insert(name.clone(), remove(field(schema, name), inner, below).unwrap_or_default());
                    }
                    None => drop(rest.insert(name.clone(), inner.clone())),
                }
            }
            (!rest.is_empty()).then_some(Value::Object(rest))
        }
        Look::List(schema, keys) => {
            let mut rest = Vec::new();
            for item in value.as_array().into_iter().flatten() {
                match item_step(keys, schema, item).and_then(|step| set.below(&step)) {
                    Some(below) if below.is_member => {}
                    Some(below) => rest.push(remove(schema, item, below).unwrap_or_default()),
                    None => rest.push(item.clone()),
                }
            }
            (!rest.is_empty()).then_some(Value::Array(rest))
        }
    }
}

/// Whether a value can be taken apart into fields: each is of its type, whatever its format, and items can be told apart by
/// their keys.
pub fn is_separable(schema: &Schema, value: &Value) -> bool {
    match (&schema.shape, value) {
        (_, Value::Null) | (Shape::Any, _) => true,
        (Shape::Map { fields, others, .. }, Value::Object(map)) => map
            .iter()
            .all(|(name, inner)| fields.get(name).or(others.as_ref()).is_none_or(|field| is_separable(field, inner))),
        (Shape::List { items, keys }, Value::Array(list)) => list
            .iter()
            .all(|item| (*keys == Keys::Atomic || item_step(keys, items, item).is_some()) && is_separable(items, item)),
        (Shape::Map { .. } | Shape::List { .. }, _) => false,
        (Shape::Scalar, value) => match schema.text["type"].as_str() {
            Some("string") => value.is_string(),
            Some("integer" | "number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            _ => true,
        },
    }
}

/// Why a value can't be applied: each field that its schema does not have, and each item that is there twice.
pub fn problems(schema: &Schema, value: &Value) -> Vec<String> {
    let within = |step: String, schema: &Schema, value: &Value| -> Vec<String> {
        problems(schema, value).into_iter().map(|problem| step.clone() + &problem).collect()
    };
    match (&schema.shape, value) {
        (Shape::Map { fields, others, .. }, Value::Object(map)) => {
            let found = map.iter().flat_map(|(name, inner)| match fields.get(name).or(others.as_ref()) {
                Some(field) => within(format!(".{name}"), field, inner),
                None if fields.is_empty() => vec![],
                None => vec![format!(".{name}: field not declared in schema")],
            });
            found.collect()
        }
        (Shape::List { items, keys }, Value::Array(list)) => {
            let mut known = BTreeSet::new();
            let mut found = Vec::new();
            for (index, item) in list.iter().enumerate() {
                let step = item_step(keys, items, item);
                let shown = |step: &str| {
                    let mut outer = Fields::default();
                    outer.insert(step.to_owned(), Fields::leaf());
                    outer.paths().concat()
                };
                let place = step.as_deref().map_or_else(|| format!("[{index}]"), shown);
                if !step.is_none_or(|step| known.insert(step)) {
                    found.push(format!(": duplicate entries for key {place}"));
                }
                found.extend(within(place, items, item));
            }
            found
        }
        _ => vec![],
    }
}
