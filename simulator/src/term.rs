//! JSON and its schema → a value of CEL, as rules see it: fields that the schema has, under names that CEL can have, with times
//! and durations as such (`UnstructuredToVal` of the real server).

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use kube_cel::cel::objects::Key;
use kube_cel::cel::{Value as Term, functions};
use serde_json::Value;

use crate::format;
use crate::schema::{Schema, Shape};

/// Words of CEL that can't be the names of fields (`celReservedSymbols`).
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// A whole object: of its metadata, rules see its name alone, and what that was generated from.
pub fn object(schema: &Schema, object: &Value) -> Term {
    let mut fields = HashMap::new();
    if let Some(Term::Map(seen)) = value(schema, object) {
        fields.extend(seen.map.iter().map(|(name, inner)| (name.clone(), inner.clone())));
    }
    for name in ["apiVersion", "kind"] {
        fields.insert(name.into(), text(object[name].as_str().unwrap_or_default()));
    }
    let names = ["name", "generateName"].into_iter();
    let metadata = names.filter_map(|name| Some((name, text(object["metadata"][name].as_str()?))));
    fields.insert("metadata".into(), Term::Map(metadata.collect::<HashMap<_, _>>().into()));
    Term::Map(fields.into())
}

/// A value; `None` where rules see none.
pub fn value(schema: &Schema, value: &Value) -> Option<Term> {
    match (&schema.shape, value) {
        (_, Value::Null) => Some(Term::Null),
        (Shape::Map { fields, .. }, Value::Object(map)) if !fields.is_empty() => {
            let entries = map.iter().filter(|(_, inner)| !inner.is_null()).filter_map(|(name, inner)| {
                let inner = self::value(fields.get(name)?, inner)?;
                Some((Key::from(escaped(name)?), inner))
            });
            Some(Term::Map(entries.collect::<HashMap<_, _>>().into()))
        }
        (Shape::Map { others, .. }, Value::Object(map)) => {
            let others = others.as_ref().filter(|others| others.text.is_object());
            let entries =
                map.iter().filter_map(|(name, inner)| Some((Key::from(name.clone()), self::value(others?, inner)?)));
            Some(Term::Map(entries.collect::<HashMap<Key, Term>>().into()))
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            let items = list.iter().map(|item| self::value(items, item).unwrap_or(Term::Null));
            Some(Term::List(Arc::new(items.collect())))
        }
        (Shape::Scalar, value) => scalar(&schema.text, value),
        _ => None,
    }
}

fn scalar(schema: &Value, value: &Value) -> Option<Term> {
    let kind = schema["type"].as_str().unwrap_or_default();
    match value {
        _ if schema["x-kubernetes-int-or-string"] == true => match value {
            Value::String(string) => Some(text(string)),
            value => value.as_i64().map(Term::Int),
        },
        Value::String(string) if kind == "string" => string_of(schema["format"].as_str().unwrap_or_default(), string),
        Value::Number(number) if kind == "number" => number.as_f64().map(Term::Float),
        Value::Number(number) if kind == "integer" => number.as_i64().map(Term::Int),
        Value::Bool(truth) if kind == "boolean" => Some(Term::Bool(*truth)),
        _ => None,
    }
}

fn string_of(format: &str, string: &str) -> Option<Term> {
    let time = |text: String| functions::timestamp(Arc::new(text)).ok();
    match format {
        "date" => time(format!("{string}T00:00:00Z")),
        // A time may leave its zone out.
        "date-time" => time(string.to_owned()).or_else(|| time(format!("{string}Z"))),
        "duration" => {
            let nanoseconds = format::duration(string)?;
            let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
            let sign = if nanoseconds < 0 { "-" } else { "" };
            let written = format!("{sign}{}s{}ns", seconds.abs(), rest.abs());
            functions::duration(Arc::new(written)).ok()
        }
        "byte" => {
            let bytes = STANDARD.decode(string).or_else(|_| URL_SAFE.decode(string)).ok()?;
            Some(Term::Bytes(Arc::new(bytes)))
        }
        _ => Some(text(string)),
    }
}

fn text(text: &str) -> Term {
    Term::String(Arc::new(text.to_owned()))
}

/// A field's name as rules write it; `None` if they can't.
pub fn escaped(name: &str) -> Option<String> {
    if name.is_empty() || name.starts_with(|sign: char| sign.is_ascii_digit()) {
        return None;
    }
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || "_.-/".contains(sign);
    if !name.chars().all(is_plain) {
        return None;
    }
    let name = name.replace("__", "__underscores__");
    Some(name.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Rule;
    use crate::schema;
    use serde_json::json;

    /// Whether a rule holds of a value below `spec`.
    #[track_caller]
    fn assert_holds(schema: &Value, value: &Value, rule: &str) {
        let schema = schema::custom(&json!({"type": "object", "properties": {"spec": schema}}));
        let term = object(&schema, &json!({"metadata": {"name": "a", "uid": "1"}, "spec": value}));
        let rule = Rule::compile(&json!({"rule": rule})).expect("a rule");
        assert_eq!(rule.complaint(&term, None), None);
    }

    #[test]
    fn fields_have_names_that_cel_can_have() {
        let names = ["in", "a-b", "a.b", "a/b", "a__b"];
        let properties: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), json!({"type": "integer"}))).collect();
        let value: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!(1))).collect();
        let rule = "[self.spec.__in__, self.spec.a__dash__b, self.spec.a__dot__b, self.spec.a__slash__b, \
            self.spec.a__underscores__b] == [1, 1, 1, 1, 1]";
        assert_holds(&json!({"type": "object", "properties": properties}), &value.into(), rule);
    }

    #[test]
    fn keys_of_a_map_stay_as_they_are() {
        let schema = json!({"type": "object", "additionalProperties": {"type": "string"}});
        assert_holds(&schema, &json!({"a/b": "c", "in": "d"}), "'a/b' in self.spec && self.spec['in'] == 'd'");
    }

    #[test]
    fn a_null_field_is_absent_and_so_is_one_that_the_schema_does_not_have() {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"a": {"type": "string", "nullable": true}}});
        assert_holds(&schema, &json!({"a": null, "b": 1}), "!has(self.spec.a) && !has(self.spec.b)");
    }

    #[test]
    fn texts_with_a_format_are_times_durations_and_bytes() {
        let format = |format: &str| json!({"type": "string", "format": format});
        assert_holds(&format("date"), &json!("2024-01-02"), "self.spec.getDayOfMonth() == 1");
        let after = "self.spec > timestamp('2023-12-31T23:59:59Z')";
        assert_holds(&format("date-time"), &json!("2024-01-01T01:00:00+01:00"), after);
        assert_holds(&format("duration"), &json!("-90m"), "self.spec == duration('-1h30m')");
        assert_holds(&format("byte"), &json!("YWI="), "self.spec == b'ab' && self.spec.size() == 2");
    }

    #[test]
    fn numbers_are_of_their_schemas_type() {
        assert_holds(&json!({"type": "number"}), &json!(1), "self.spec / 2.0 == 0.5");
        assert_holds(&json!({"type": "integer"}), &json!(1), "self.spec / 2 == 0");
        let either = json!({"x-kubernetes-int-or-string": true});
        assert_holds(&either, &json!(1), "self.spec == 1");
        assert_holds(&either, &json!("50%"), "self.spec == '50%'");
    }

    #[test]
    fn of_the_metadata_rules_see_the_name_alone() {
        let rule = "self.metadata.name == 'a' && !has(self.metadata.uid)";
        assert_holds(&json!({"type": "object"}), &json!({}), rule);
    }
}
