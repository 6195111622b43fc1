//! The schema and a spec that has much in it in; specs that differ in one property out: one of its values, or its absence.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use serde_json::{Value, json};

use crate::schema::{Property, Step, below, properties};
use crate::value::{minimal, values};

/// Objects that have one of their fields at a time.
const UNIONS: [&str; 6] = ["livenessProbe", "readinessProbe", "startupProbe", "postStart", "preStop", "valueFrom"];

/// What a field of the spec needs beside it.
const COMPANIONS: [(&str, &str); 3] =
    [("volumeMounts", "volumes"), ("initContainers", "volumes"), ("configRollout", "envFrom")];

/// A spec with one property that was set or taken away.
#[derive(Debug, Clone)]
pub(crate) struct Mutation {
    pub(crate) property: Property,
    /// The value; `None` if it was taken away.
    pub(crate) value: Option<Value>,
    pub(crate) spec: Value,
}

impl Mutation {
    /// What was done, in a line.
    pub(crate) fn what(&self) -> String {
        let Some(value) = &self.value else { return format!("{} removed", self.property) };
        let text = value.to_string();
        let start: String = text.chars().take(100).collect();
        let rest = if start.len() < text.len() { format!("… ({} bytes)", text.len()) } else { String::new() };
        format!("{} = {start}{rest}", self.property)
    }
}

/// The least that runs and is reached.
pub(crate) fn small() -> Value {
    json!({"image": "nginx:1.29", "replicas": 1, "port": 80})
}

/// Every mutation there is. `whole` is a spec that has each field, from which they take what they need to mean something.
pub(crate) fn all(schema: &Value, whole: &Value) -> Vec<Mutation> {
    let of = |property: Property| {
        let name = property.fields().last().unwrap_or_default().to_owned();
        let set = values(&property.schema, &name).into_iter().map(Some);
        let specs = set.chain([None]).filter_map(|value| {
            let mut spec = context(property.top(), whole);
            let is_placed = place(&mut spec, schema, &property.steps, "spec", value.as_ref());
            is_placed.then(|| Mutation { property: property.clone(), value, spec })
        });
        specs.collect::<Vec<_>>()
    };
    properties(schema).into_iter().flat_map(of).collect()
}

/// Some of them, of each field of the spec as many as of any other as long as there are some.
pub(crate) fn some(all: Vec<Mutation>, number: usize, rng: &mut Rng) -> Vec<Mutation> {
    let mut by_field: BTreeMap<String, Vec<Mutation>> = BTreeMap::new();
    for mutation in all {
        by_field.entry(mutation.property.top().to_owned()).or_default().push(mutation);
    }
    let mut fields: VecDeque<Vec<Mutation>> = by_field.into_values().collect();
    for mutations in &mut fields {
        rng.shuffle(mutations);
    }
    let mut chosen = Vec::new();
    while let Some(mut mutations) = fields.pop_front().filter(|_| chosen.len() < number) {
        if let Some(mutation) = mutations.pop() {
            chosen.push(mutation);
            fields.push_back(mutations);
        }
    }
    chosen
}

/// A small spec with the field `top` of `whole`, and what that needs.
fn context(top: &str, whole: &Value) -> Value {
    let mut spec = small();
    let companions = COMPANIONS.iter().filter(|(field, _)| *field == top).map(|(_, companion)| *companion);
    for field in companions.chain([top]) {
        if let Some(value) = whole.get(field).filter(|_| spec.get(field).is_none()) {
            spec[field] = value.clone();
        }
    }
    spec
}

/// Puts `value` where `steps` lead, and what has to be on the way; takes away what is there if there is no value. Returns false
/// if nothing is there to be taken away. `name` is the last field on the way to `at`.
fn place(at: &mut Value, schema: &Value, steps: &[Step], name: &str, value: Option<&Value>) -> bool {
    let Some((step, rest)) = steps.split_first() else { return false };
    let schema = below(schema, step);
    match step {
        Step::Field(field) => {
            if value.is_some() && UNIONS.contains(&name) && at.get(field).is_none() && schema["type"] == "object" {
                *at = json!({});
            }
            if rest.is_empty() {
                return put(at, field, value);
            }
            if at.get(field).is_none() {
                if value.is_none() {
                    return false;
                }
                at[field] = minimal(schema, field);
            }
            place(&mut at[field], schema, rest, field, value)
        }
        Step::Entry => {
            let Some(entries) = at.as_array_mut() else { return false };
            let Some(value) = value.filter(|_| rest.is_empty()) else {
                let wanted = if let Some(Step::Field(field)) = rest.first() { Some(field) } else { None };
                let found = entries.iter().position(|entry| wanted.is_none_or(|field| entry.get(field).is_some()));
                let index = match found {
                    Some(index) => index,
                    None if value.is_none() => return false,
                    // What init containers have they have together; of other lists' entries each is of one kind.
                    None if name == "initContainers" && !entries.is_empty() => 0,
                    None => {
                        entries.push(minimal(schema, name));
                        entries.len() - 1
                    }
                };
                if rest.is_empty() {
                    entries.remove(index);
                    return true;
                }
                return place(&mut entries[index], schema, rest, name, value);
            };
            entries.push(value.clone());
            true
        }
        Step::Key => {
            let Some(fields) = at.as_object_mut() else { return false };
            let key = fields.keys().next().cloned().unwrap_or_else(|| "generated".to_owned());
            if rest.is_empty() { put(at, &key, value) } else { place(&mut at[&*key], schema, rest, name, value) }
        }
    }
}

fn put(at: &mut Value, field: &str, value: Option<&Value>) -> bool {
    let Some(fields) = at.as_object_mut() else { return false };
    match value {
        Some(value) => fields.insert(field.to_owned(), value.clone()) != Some(value.clone()),
        None => fields.remove(field).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::of_spec;

    #[test]
    fn every_property_of_the_schema_is_set_to_something_within_it_and_something_beyond() {
        let schema = of_spec();
        let mutations = all(&schema, &crate::spec::whole());
        for property in properties(&schema) {
            let values: Vec<_> = mutations
                .iter()
                .filter(|mutation| mutation.property.steps == property.steps)
                .map(|mutation| &mutation.value)
                .collect();
            assert!(values.iter().filter(|value| value.is_some()).count() >= 2, "{property}: {values:?}");
        }
    }

    #[test]
    fn a_choice_has_something_of_each_field_of_the_spec() {
        let schema = of_spec();
        let fields = schema["properties"].as_object().expect("fields").len();
        let chosen = some(all(&schema, &crate::spec::whole()), fields, &mut Rng::with_seed(1));
        let tops: std::collections::BTreeSet<_> = chosen.iter().map(|mutation| mutation.property.top()).collect();
        assert_eq!((chosen.len(), tops.len()), (fields, fields));
    }
}
