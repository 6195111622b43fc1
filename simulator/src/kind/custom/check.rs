//! A value and its schema → what of it the schema does not allow, in the words of kube-openapi's `validate`.

use regex::Regex;
use serde_json::{Map, Value};

use super::correlation::{is_same, old_field, old_item};
use crate::failure::Cause;
use crate::format;

/// What is found of a value.
#[derive(Debug, Default)]
struct Found {
    causes: Vec<Cause>,
    /// How much was looked at: of several schemas that don't fit, the one that most of was looked at is told.
    matches: u32,
}

impl Found {
    fn merge(&mut self, other: Self) {
        self.causes.extend(other.causes);
        self.matches += other.matches;
    }
}

/// What is wrong with a value. `prefix` is where it is; empty for a whole object. What is unchanged since `old` is not told.
pub(super) fn causes(schema: &Value, value: &Value, old: Option<&Value>, prefix: &str) -> Vec<Cause> {
    Look { prefix }.at(schema, value, "", old).causes
}

/// A look at what is below one place.
struct Look<'p> {
    prefix: &'p str,
}

impl Look<'_> {
    /// A name below the place as a path from the object's root.
    fn field(&self, name: &str) -> String {
        match (self.prefix, name.strip_prefix('.').unwrap_or(name)) {
            ("", "") => "<nil>".to_owned(),
            ("", name) => name.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, name) => format!("{prefix}.{name}"),
        }
    }

    fn invalid(&self, name: &str, value: &Value, why: &str) -> Cause {
        Cause::invalid(self.field(name), &shown(value), &format!("{name} in body {why}"))
    }

    fn type_invalid(&self, name: &str, wished: &str, found: &str) -> Cause {
        let cause = self.invalid(name, &found.into(), &format!("must be of type {wished}: {found:?}"));
        Cause { reason: super::TYPE, ..cause }
    }

    /// What is said without a place.
    fn general(&self, why: &str) -> Cause {
        Cause::invalid(self.field(""), "\"\"", why)
    }

    fn at(&self, schema: &Value, value: &Value, name: &str, old: Option<&Value>) -> Found {
        let mut found = Found::default();
        self.kind(schema, value, name, &mut found);
        if value.is_null() {
            self.listed(schema, value, name, &mut found);
        } else {
            self.combined(schema, value, name, &mut found);
            self.content(schema, value, name, old, &mut found);
            // Two checks that are made of any value, and the look itself.
            found.matches += 3;
        }
        if !found.causes.is_empty() && old.is_some_and(|old| is_same(schema, value, old)) {
            found.causes.clear();
        }
        found
    }

    fn kind(&self, schema: &Value, value: &Value, name: &str, found: &mut Found) {
        let kinds = kinds(schema);
        let kind = if let [kind] = kinds[..] { kind } else { "" };
        let wished = format::effective(kind, schema["format"].as_str().unwrap_or_default());
        if kinds.is_empty() && wished.is_empty() || value.is_null() && schema["nullable"] == true {
            return;
        }
        let (actual, size) = kind_of(value);
        let is_numeric = kinds.iter().any(|kind| matches!(*kind, "number" | "integer"));
        let fits = kinds.contains(&actual)
            || actual == "integer" && kinds.contains(&"number")
            || actual == "number" && kinds.contains(&"integer") && value.as_f64().is_some_and(is_whole);
        let is_sequence = value.is_string() || value.is_array();
        let cause = if value.is_null() {
            Some(self.type_invalid(name, &kinds.join(","), "null"))
        } else if !is_sequence && !wished.is_empty() && !fits && size != wished {
            Some(self.type_invalid(name, wished, size))
        } else if !is_numeric && !wished.is_empty() && is_sequence || fits {
            None
        } else {
            Some(self.type_invalid(name, &kinds.join(","), actual))
        };
        found.matches += 1 + u32::from(cause.is_none());
        found.causes.extend(cause);
    }

    /// `anyOf`, `oneOf`, `allOf`, `not`.
    fn combined(&self, schema: &Value, value: &Value, name: &str, found: &mut Found) {
        found.matches += 1;
        let looks = |word: &str| -> Vec<Found> {
            let schemas = schema[word].as_array().into_iter().flatten();
            schemas.map(|schema| self.at(schema, value, name, None)).collect()
        };
        let (mut any, mut one, all) = (looks("anyOf"), looks("oneOf"), looks("allOf"));
        if !any.is_empty() {
            let fitting = any.iter().position(|found| found.causes.is_empty());
            if fitting.is_none() {
                found.causes.push(self.general(&format!("{name:?} must validate at least one schema (anyOf)")));
            }
            found.merge(any.swap_remove(fitting.unwrap_or_else(|| nearest(&any))));
        }
        if !one.is_empty() {
            let fitting: Vec<usize> = (0..one.len()).filter(|index| one[*index].causes.is_empty()).collect();
            let told = |what: &str| format!("{name:?} must validate one and only one schema (oneOf). {what}");
            match fitting.as_slice() {
                [only] => found.merge(one.swap_remove(*only)),
                [] => {
                    found.causes.push(self.general(&told("Found none valid")));
                    found.merge(one.swap_remove(nearest(&one)));
                }
                many => {
                    let told = told(&format!("Found {} valid alternatives", many.len()));
                    found.causes.push(self.general(&told));
                }
            }
        }
        let (count, fitting) = (all.len(), all.iter().filter(|found| found.causes.is_empty()).count());
        for one in all {
            found.merge(one);
        }
        if fitting < count {
            let none = if fitting == 0 { ". None validated" } else { "" };
            found.causes.push(self.general(&format!("{name:?} must validate all the schemas (allOf){none}")));
        }
        if schema["not"].is_object() && self.at(&schema["not"], value, name, None).causes.is_empty() {
            found.causes.push(self.general(&format!("{name:?} must not validate the schema (not)")));
        }
    }

    fn content(&self, schema: &Value, value: &Value, name: &str, old: Option<&Value>, found: &mut Found) {
        match value {
            Value::String(text) => self.text(schema, text, name, found),
            Value::Number(_) => self.number(schema, value, name, found),
            Value::Array(list) => self.list(schema, list, name, old, found),
            _ => {}
        }
        self.listed(schema, value, name, found);
        if let Value::Object(map) = value {
            self.map(schema, map, name, old, found);
        }
    }

    fn text(&self, schema: &Value, text: &str, name: &str, found: &mut Found) {
        found.matches += 1;
        let (length, value) = (text.chars().count() as u64, Value::from(text));
        let pattern = schema["pattern"].as_str();
        let is_unlike = |pattern: &str| Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text));
        if let Some(bound) = schema["maxLength"].as_u64().filter(|bound| length > *bound) {
            found.causes.push(Cause::too_long(self.field(name), bound));
        } else if let Some(bound) = schema["minLength"].as_u64().filter(|bound| length < *bound) {
            found.causes.push(self.invalid(name, &value, &format!("should be at least {bound} chars long")));
        } else if let Some(pattern) = pattern.filter(|pattern| is_unlike(pattern)) {
            found.causes.push(self.invalid(name, &value, &format!("should match '{pattern}'")));
        }
        let format = format::effective("string", schema["format"].as_str().unwrap_or_default());
        if !format.is_empty() {
            found.matches += 1;
            if !format::fits(format, text) {
                found.causes.push(self.type_invalid(name, format, text));
            }
        }
    }

    fn number(&self, schema: &Value, value: &Value, name: &str, found: &mut Found) {
        found.matches += 2;
        let number = value.as_f64().unwrap_or_default();
        let is_out = match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("integer"), Some("int32")) => value.as_i64().is_none_or(|number| i32::try_from(number).is_err()),
            (Some("integer"), _) => value.as_i64().is_none() && !is_whole(number),
            _ => false,
        };
        if is_out {
            let format =
                schema["format"].as_str().map_or("(default format)".to_owned(), |it| format!("with format {it}"));
            found.causes.push(self.general(&format!("Checked value must be of type integer {format} in {name}")));
        }
        // Of a whole number, bounds are whole as well.
        let bound = |word: &str| {
            let bound = schema[word].as_f64()?;
            Some(if value.is_f64() { bound } else { bound.trunc() })
        };
        match bound("multipleOf") {
            // What is left of a fraction where the number is whole.
            Some(0.0) => {
                let why = format!("factor MultipleOf declared for {name} must be positive: 0");
                found.causes.push(Cause::invalid(self.field(name), "0", &why));
            }
            Some(factor) if !is_whole(if factor < 1.0 { 1.0 / factor * number } else { number / factor }) => {
                found.causes.push(self.invalid(name, value, &format!("should be a multiple of {factor}")));
            }
            _ => {}
        }
        let mut refuse = |what: &str, bound: f64| {
            found.causes.push(self.invalid(name, value, &format!("should be {what} {bound}")));
        };
        let is_strict = |word: &str| schema[word] == true;
        if let Some(least) = bound("minimum") {
            if is_strict("exclusiveMinimum") && number <= least {
                refuse("greater than", least);
            } else if number < least {
                refuse("greater than or equal to", least);
            }
        }
        if let Some(most) = bound("maximum") {
            if is_strict("exclusiveMaximum") && number >= most {
                refuse("less than", most);
            } else if number > most {
                refuse("less than or equal to", most);
            }
        }
    }

    fn list(&self, schema: &Value, list: &[Value], name: &str, old: Option<&Value>, found: &mut Found) {
        found.matches += 2;
        for (index, item) in list.iter().enumerate() {
            let old = old_item(schema, old, item);
            found.merge(self.at(&schema["items"], item, &format!("{name}[{index}]"), old));
        }
        let size = list.len() as u64;
        if let Some(bound) = schema["minItems"].as_u64().filter(|bound| size < *bound) {
            found.causes.push(self.invalid(name, &size.into(), &format!("should have at least {bound} items")));
        }
        if let Some(bound) = schema["maxItems"].as_u64().filter(|bound| size > *bound) {
            found.causes.push(Cause::too_many(self.field(name), size, bound));
        }
    }

    fn map(&self, schema: &Value, map: &Map<String, Value>, name: &str, old: Option<&Value>, found: &mut Found) {
        found.matches += 1;
        let size = map.len() as u64;
        if let Some(bound) = schema["minProperties"].as_u64().filter(|bound| size < *bound) {
            found.causes.push(self.invalid(name, &size.into(), &format!("should have at least {bound} properties")));
        }
        if let Some(bound) = schema["maxProperties"].as_u64().filter(|bound| size > *bound) {
            found.causes.push(Cause::too_many(self.field(name), size, bound));
        }
        for (field, inner) in map {
            let Some(inner_schema) = super::correlation::field(schema, field) else { continue };
            // What these are is the resource's matter: neither was ever another.
            let is_type = name.is_empty() && matches!(field.as_str(), "apiVersion" | "kind");
            let old = if is_type { None } else { old_field(schema, old, field) };
            let is_first = name.is_empty() && schema["properties"].get(field).is_some();
            let below = if is_first { field.clone() } else { format!("{name}.{field}") };
            found.merge(self.at(inner_schema, inner, &below, old));
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for missing in required.filter(|field| !map.contains_key(*field)) {
            found.causes.push(Cause::required(self.field(&format!("{name}.{missing}")), ""));
        }
    }

    /// `enum`.
    fn listed(&self, schema: &Value, value: &Value, name: &str, found: &mut Found) {
        let Some(listed) = schema["enum"].as_array().filter(|listed| !listed.is_empty()) else { return };
        let is_it = |one: &Value| one == value || one.is_number() && one.as_f64() == value.as_f64();
        if value.is_null() || !listed.iter().any(is_it) {
            let listed: Vec<String> =
                listed.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect();
            let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
            found.causes.push(Cause::unsupported(self.field(name), &shown(value), &listed));
        }
    }
}

/// The one that most of was looked at, and of several the first.
fn nearest(looks: &[Found]) -> usize {
    let best = looks.iter().map(|found| found.matches).max();
    looks.iter().position(|found| Some(found.matches) == best).unwrap_or_default()
}

/// The types that a schema allows.
fn kinds(schema: &Value) -> Vec<&str> {
    if schema["x-kubernetes-int-or-string"] == true {
        return vec!["integer", "string"];
    }
    schema["type"].as_str().filter(|kind| !kind.is_empty()).into_iter().collect()
}

/// The type of a value, and the format that a number has in memory.
fn kind_of(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(number) if number.is_f64() => ("number", "float64"),
        Value::Number(_) => ("integer", "int64"),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    }
}

/// Whether a number is whole, but for what is lost in a division.
fn is_whole(number: f64) -> bool {
    let rounded = number.round();
    (number - rounded).abs() <= 1e-9 * rounded.abs()
}

/// A value as messages show it.
fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        value => value.to_string(),
    }
}
