//! Sets of fields, as `managedFields` writes them (`fieldsV1`), and what can be done with two of them.
//!
//! A step of a path is kept as its text in `fieldsV1`: `f:name`, `k:{"port":80}`, `v:"x"`. Two paths are the same if
//! their texts are.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::schema::{Keys, Schema, Shape};

/// A set of fields, as a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Whether the field itself is in the set. At the root it means nothing.
    pub is_member: bool,
    /// What is below it. No child is without any member.
    children: BTreeMap<String, Fields>,
}

impl Fields {
    /// The set of one field: the one itself.
    pub fn leaf() -> Self {
        Self { is_member: true, children: BTreeMap::new() }
    }

    /// The set of one field at a path of names.
    pub fn of(path: &[&str]) -> Self {
        let mut set = Self::leaf();
        for name in path.iter().rev() {
            let mut outer = Self::default();
            outer.insert(step(name), set);
            set = outer;
        }
        set
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        !self.is_member && self.children.is_empty()
    }

    /// Puts what is below `step` in its place; nothing, if that is empty.
    pub fn insert(&mut self, step: String, below: Self) {
        if !below.is_empty() {
            self.children.insert(step, below);
        }
    }

    /// What is below `step`.
    pub fn below(&self, step: &str) -> Option<&Self> {
        self.children.get(step)
    }

    /// The fields of either.
    pub fn union(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a || b)
    }

    /// The fields of both.
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a && b)
    }

    /// The fields that the other set has not.
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a && !b)
    }

    /// The fields that are neither in the other set nor below one that is.
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Self { is_member: self.is_member, children: BTreeMap::new() };
        for (step, below) in &self.children {
            match other.children.get(step) {
                Some(gone) if gone.is_member => {}
                Some(gone) => rest.insert(step.clone(), below.without(gone)),
                None => rest.insert(step.clone(), below.clone()),
            }
        }
        rest
    }

    fn combine(&self, other: &Self, rule: fn(bool, bool) -> bool) -> Self {
        let nothing = Self::default();
        let mut result = Self { is_member: rule(self.is_member, other.is_member), children: BTreeMap::new() };
        for step in self.children.keys().chain(other.children.keys()) {
            let (mine, theirs) =
                (self.children.get(step).unwrap_or(&nothing), other.children.get(step).unwrap_or(&nothing));
            if !result.children.contains_key(step) {
                result.insert(step.clone(), mine.combine(theirs, rule));
            }
        }
        result
    }

    /// The set with each named field that has members below it. What is a key of a map, or an item, stays out.
    pub fn with_named(&self, schema: &Schema) -> Self {
        let mut result = Self { is_member: self.is_member, children: BTreeMap::new() };
        for (step, below) in &self.children {
            let (inner, is_named) = match (step.strip_prefix("f:"), &schema.shape) {
                (Some(name), _) => (schema.field(name), schema.is_named(name)),
                (None, Shape::List { items, .. }) => (Some(items), false),
                (None, _) => (None, false),
            };
            let mut below = inner.map_or_else(|| below.clone(), |inner| below.with_named(inner));
            below.is_member |= is_named;
            result.children.insert(step.clone(), below);
        }
        result
    }

    /// Every path, as messages write it: `.spec.ports[port=80,protocol="TCP"].name`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, path: &str, paths: &mut Vec<String>) {
        let shown = |step: &str| match step.split_at(2) {
            ("f:", name) => format!("{path}.{name}"),
            ("k:", keys) => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("{path}[{}]", keys.join(","))
            }
            ("v:", value) => format!("{path}[={value}]"),
            (_, index) => format!("{path}[{index}]"),
        };
        let members = self.children.iter().filter(|(_, below)| below.is_member);
        paths.extend(members.map(|(step, _)| shown(step)));
        for (step, below) in &self.children {
            below.collect(&shown(step), paths);
        }
    }

    /// `fieldsV1`.
    pub fn render(&self) -> Value {
        let mut text = Map::new();
        for (step, below) in &self.children {
            let mut inner = below.render();
            if let (true, false, Some(inner)) = (below.is_member, below.children.is_empty(), inner.as_object_mut()) {
                inner.insert(".".to_owned(), json!({}));
            }
            text.insert(step.clone(), inner);
        }
        Value::Object(text)
    }

    /// The set that a `fieldsV1` says; `None` if it says none.
    pub fn parse(text: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (step, below) in text.as_object()? {
            if step == "." {
                set.is_member = true;
            } else {
                let mut inner = Self::parse(below)?;
                inner.is_member |= inner.children.is_empty();
                set.children.insert(canonical(step)?, inner);
            }
        }
        Some(set)
    }
}

/// The step to a field.
pub fn step(name: &str) -> String {
    format!("f:{name}")
}

/// The step to an item of a list, and `None` if the item lacks a key.
pub fn item_step(keys: &Keys, items: &Schema, item: &Value) -> Option<String> {
    match keys {
        Keys::Atomic => None,
        Keys::Set => Some(format!("v:{item}")),
        Keys::Map(names) => {
            let mut found = BTreeMap::new();
            for name in names {
                let default = || items.field(name).and_then(|field| field.default.as_ref());
                if let Some(value) = item.get(name).or_else(default) {
                    found.insert(name, value);
                }
            }
            let found = serde_json::to_string(&found).ok()?;
            (found != "{}").then(|| format!("k:{found}"))
        }
    }
}

fn canonical(step: &str) -> Option<String> {
    let (kind, rest) = step.split_at_checked(2)?;
    match kind {
        "f:" => Some(step.to_owned()),
        "k:" => {
            let keys: BTreeMap<String, Value> = serde_json::from_str(rest).ok()?;
            Some(format!("k:{}", serde_json::to_string(&keys).ok()?))
        }
        "v:" | "i:" => Some(format!("{kind}{}", serde_json::from_str::<Value>(rest).ok()?)),
        _ => None,
    }
}
