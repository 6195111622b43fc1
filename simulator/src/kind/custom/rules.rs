//! A value, what it was and its schema → which of the schema's rules it does not keep.

use kube_cel::cel;
use serde_json::Value;

use super::correlation::{field, is_same, old_item};
use super::keys::below;
use crate::failure::Cause;
use crate::rule::{Complaint, Rule};
use crate::schema::{Schema, Shape};
use crate::term;

/// A value of an object.
#[derive(Clone, Copy)]
struct Node<'a> {
    schema: &'a Schema,
    value: &'a Value,
    /// What it was, if that is known.
    old: Option<&'a Value>,
    /// Whether it is unchanged, or part of something that is: then it may go on breaking what it broke.
    is_frozen: bool,
}

/// Whether there is any rule in a schema.
pub(super) fn exist(schema: &Schema) -> bool {
    let inside = match &schema.shape {
        Shape::Map { fields, others, .. } => fields.values().chain(others).any(|schema| exist(schema)),
        Shape::List { items, .. } => exist(items),
        Shape::Scalar | Shape::Any => false,
    };
    inside || !schema.rules.is_empty()
}

/// What a whole object breaks.
pub(super) fn broken(schema: &Schema, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    // Some of its metadata has always changed.
    walk(Node { schema, value: object, old, is_frozen: false }, "", &mut causes);
    causes
}

fn walk(node: Node<'_>, path: &str, causes: &mut Vec<Cause>) {
    if node.value.is_null() {
        return;
    }
    hold(node, path, causes);
    match (&node.schema.shape, node.value) {
        (Shape::Map { fields, others, .. }, Value::Object(map)) => {
            for (name, inner) in map {
                let Some(schema) = fields.get(name).or(others.as_ref()) else { continue };
                let old = node.old.and_then(|old| old.get(name));
                walk(node.inner(schema, inner, old), &below(&node.schema.text, path, name), causes);
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            for (index, item) in list.iter().enumerate() {
                let old = old_item(&node.schema.text, node.old, item);
                walk(node.inner(items, item, old), &format!("{path}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

impl<'a> Node<'a> {
    fn inner(self, schema: &'a Schema, value: &'a Value, old: Option<&'a Value>) -> Self {
        let is_frozen = self.is_frozen || old.is_some_and(|old| is_same(&schema.text, value, old));
        Self { schema, value, old, is_frozen }
    }
}

/// Holds the rules of a value's schema against it.
fn hold(node: Node<'_>, path: &str, causes: &mut Vec<Cause>) {
    let Node { schema, value, .. } = node;
    if schema.rules.is_empty() {
        return;
    }
    let seen = |value: &Value| -> cel::Value {
        let seen = if path.is_empty() { Some(term::object(schema, value)) } else { term::value(schema, value) };
        seen.unwrap_or(cel::Value::Null)
    };
    let (this, old) = (seen(value), node.old.filter(|old| !old.is_null()).map(seen));
    for rule in &schema.rules {
        match rule.complaint(&this, old.as_ref()) {
            Some(Complaint::Broken(_)) if node.is_frozen && !rule.is_transition() => {}
            Some(Complaint::Broken(message)) => causes.push(refused(schema, rule, value, path, &message)),
            Some(Complaint::Failed(why)) => {
                let kind = schema.text["type"].as_str().unwrap_or_default();
                causes.push(Cause::invalid(or_nil(path), &format!("{kind:?}"), &why));
            }
            None => {}
        }
    }
}

fn or_nil(path: &str) -> String {
    if path.is_empty() { "<nil>".to_owned() } else { path.to_owned() }
}

fn refused(schema: &Schema, rule: &Rule, value: &Value, path: &str, message: &str) -> Cause {
    let at = or_nil(&place(&schema.text, path, &rule.field_path).unwrap_or_else(|| path.to_owned()));
    // What has parts is not shown.
    let shown = (!value.is_object() && !value.is_array()).then(|| value.to_string());
    match (rule.reason.as_str(), shown) {
        ("FieldValueForbidden", _) => Cause::forbidden(at, message),
        ("FieldValueRequired", _) => Cause::required(at, message),
        ("FieldValueDuplicate", Some(shown)) => Cause::duplicate(at, &shown),
        ("FieldValueDuplicate", None) => {
            Cause { reason: "FieldValueDuplicate", field: at, message: "Duplicate value".to_owned() }
        }
        (_, Some(shown)) => Cause::invalid(at, &shown, message),
        (_, None) => Cause { reason: "FieldValueInvalid", field: at, message: format!("Invalid value: {message}") },
    }
}

/// A path with a rule's `fieldPath` below it (`.name`, or `['name']`); `None` if the schema has no such field.
pub(in crate::kind) fn place(schema: &Value, path: &str, below_it: &str) -> Option<String> {
    let (mut path, mut schema, mut rest) = (path.to_owned(), schema, below_it);
    while !rest.is_empty() {
        let (name, after) = if let Some(quoted) = rest.strip_prefix("['") {
            quoted.split_once("']")?
        } else {
            let named = rest.strip_prefix('.')?;
            named.split_at(named.find(['.', '[']).unwrap_or(named.len()))
        };
        let name = name.replace("\\'", "'");
        path = below(schema, &path, &name);
        (schema, rest) = (field(schema, &name)?, after);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use serde_json::json;

    fn told(schema: &Value, spec: &Value, old: Option<&Value>) -> Vec<String> {
        let schema = schema::custom(&json!({"type": "object", "properties": {"spec": schema}}));
        let object = |spec: &Value| json!({"metadata": {"name": "a"}, "spec": spec});
        let causes = broken(&schema, &object(spec), old.map(object).as_ref());
        causes.into_iter().map(|cause| format!("{} {}: {}", cause.reason, cause.field, cause.message)).collect()
    }

    fn rules(rules: &Value) -> Value {
        json!({"type": "object", "x-kubernetes-validations": rules, "properties": {
            "a": {"type": "integer"}, "m": {"type": "object", "additionalProperties": {"type": "string"}}}})
    }

    #[test]
    fn a_rule_names_its_reason_and_the_field_that_it_is_about() {
        for (entry, expected) in [
            (json!({}), "FieldValueInvalid spec: Invalid value: no"),
            (json!({"reason": "FieldValueForbidden"}), "FieldValueForbidden spec: Forbidden: no"),
            (
                json!({"reason": "FieldValueRequired", "fieldPath": ".a"}),
                "FieldValueRequired spec.a: Required value: no",
            ),
            (
                json!({"reason": "FieldValueDuplicate", "fieldPath": ".m['x']"}),
                "FieldValueDuplicate spec.m[x]: Duplicate value",
            ),
        ] {
            let mut entry = entry;
            entry["rule"] = "self.a > 1".into();
            entry["message"] = "no".into();
            assert_eq!(told(&rules(&json!([entry])), &json!({"a": 1}), None), [expected]);
        }
    }

    #[test]
    fn what_was_broken_and_is_unchanged_is_not_told_unless_the_rule_is_about_changes() {
        let schema = rules(&json!([{"rule": "self.a > 1"}]));
        assert_eq!(told(&schema, &json!({"a": 1}), Some(&json!({"a": 1}))), Vec::<String>::new());
        assert_eq!(told(&schema, &json!({"a": 1}), Some(&json!({"a": 0}))).len(), 1);
        let schema = rules(&json!([{"rule": "self.a > oldSelf.a"}]));
        assert_eq!(told(&schema, &json!({"a": 1}), Some(&json!({"a": 1}))).len(), 1);
        assert_eq!(told(&schema, &json!({"a": 1}), None), Vec::<String>::new());
    }

    #[test]
    fn a_value_without_parts_is_shown_and_what_has_no_value_is_told_of_its_type() {
        let schema = json!({"type": "string", "x-kubernetes-validations": [{"rule": "self == 'a'", "message": "no"}]});
        assert_eq!(told(&schema, &json!("b"), None), ["FieldValueInvalid spec: Invalid value: \"b\": no"]);
        let expected = "FieldValueInvalid spec: Invalid value: \"object\": no such key: a evaluating rule: self.a > 1";
        assert_eq!(told(&rules(&json!([{"rule": "self.a > 1"}])), &json!({}), None), [expected]);
    }
}
