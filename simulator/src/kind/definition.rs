//! `apiextensions.k8s.io/v1 CustomResourceDefinition`: accepted and established as soon as it is there, unless one of its rules
//! makes no sense.

use serde_json::{Value, json};

use super::custom;
use crate::failure::Cause;
use crate::object;
use crate::rule::{Problem, Rule};
use crate::schema::{self, Keys, Schema, Shape};
use crate::typing;

/// What a rule may give as its reason.
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// What the real server's controllers write a moment later.
pub(super) fn prepare(object: &mut Value) {
    let time = object::metadata(object).get("creationTimestamp").cloned().unwrap_or_default();
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": time,
        })
    };
    let mut names = object["spec"]["names"].clone();
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    for (field, value) in [("listKind", format!("{kind}List")), ("singular", kind.to_lowercase())] {
        if names[field].as_str().is_none_or(str::is_empty) {
            names[field] = value.into();
        }
    }
    let versions = object["spec"]["versions"].as_array().into_iter().flatten();
    let stored: Vec<Value> =
        versions.filter(|version| version["storage"] == true).map(|version| version["name"].clone()).collect();
    object["spec"]["names"] = names.clone();
    object["status"] = json!({
        "acceptedNames": names,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "storedVersions": stored,
    });
}

/// What is wrong with the rules of a definition's schemas. The rest of them is taken as it is.
pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let versions = object["spec"]["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let texts: Vec<&Value> = versions.iter().map(|version| &version["schema"]["openAPIV3Schema"]).collect();
    let mut causes = Vec::new();
    match texts.as_slice() {
        // One that all versions share is told of as if it stood above them.
        [first, others @ ..] if others.iter().all(|other| other == first) => {
            look(&schema::custom(first), true, "spec.validation.openAPIV3Schema", None, &mut causes);
        }
        texts => {
            for (index, text) in texts.iter().enumerate() {
                let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
                look(&schema::custom(text), true, &path, None, &mut causes);
            }
        }
    }
    causes
}

/// Looks for faults in a schema, and returns whether it has none but in expressions. `apart` is the list without keys in which
/// it is, if it is in one.
fn look(schema: &Schema, is_whole: bool, path: &str, apart: Option<&str>, causes: &mut Vec<Cause>) -> bool {
    let mut is_sound = true;
    match &schema.shape {
        Shape::Map { fields, others, .. } => {
            for (name, field) in fields {
                is_sound &= look(field, false, &format!("{path}.properties[{name}]"), apart, causes);
            }
            if let Some(others) = others {
                is_sound &= look(others, false, &format!("{path}.additionalProperties"), apart, causes);
            }
        }
        Shape::List { items, keys } => {
            let apart = if matches!(keys, Keys::Map(_)) { apart } else { apart.or(Some(path)) };
            is_sound &= look(items, false, &format!("{path}.items"), apart, causes);
        }
        Shape::Scalar | Shape::Any => {}
    }
    let entries = schema.text["x-kubernetes-validations"].as_array().map_or(&[][..], Vec::as_slice);
    let place = |index: usize| format!("{path}.x-kubernetes-validations[{index}]");
    for (index, entry) in entries.iter().enumerate() {
        let faults = faults(&schema.text, entry, &place(index));
        is_sound &= faults.is_empty();
        causes.extend(faults);
    }
    // Expressions are not looked at before the schema makes sense.
    for (index, entry) in entries.iter().enumerate().filter(|_| is_sound) {
        let compiled = Rule::compile(entry).and_then(|rule| typing::check(&rule, schema, is_whole).map(|()| rule));
        causes.extend(uncompiled(compiled, entry, &place(index), apart));
    }
    is_sound
}

/// What is wrong with a rule but for its expressions.
fn faults(schema: &Value, entry: &Value, path: &str) -> Vec<Cause> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let is_blank = |name: &str| !text(name).is_empty() && text(name).trim().is_empty();
    let has_lines = |text: &str| text.trim().contains(['\n', '\r']);
    let at = |name: &str| format!("{path}.{name}");
    let invalid = |name: &str, why: &str| Cause::invalid(at(name), &format!("{:?}", text(name)), why);
    let mut causes = Vec::new();
    if text("rule").trim().is_empty() {
        causes.push(Cause::required(at("rule"), "rule is not specified"));
    } else if is_blank("message") {
        causes.push(invalid("message", "must be non-empty if specified"));
    } else if has_lines(text("message")) {
        causes.push(invalid("message", "must not contain line breaks"));
    } else if has_lines(text("rule")) && text("message").is_empty() {
        causes.push(Cause::required(at("message"), "message must be specified if rule contains line breaks"));
    }
    if is_blank("messageExpression") {
        causes.push(Cause::required(at("messageExpression"), "messageExpression must be non-empty if specified"));
    }
    if entry["reason"].is_string() && !REASONS.contains(&text("reason")) {
        causes.push(Cause::unsupported(at("reason"), &format!("{:?}", text("reason")), &REASONS));
    }
    if is_blank("fieldPath") {
        causes.push(invalid("fieldPath", "must be non-empty if specified"));
    }
    if text("fieldPath").contains(['\n', '\r']) {
        causes.push(invalid("fieldPath", "must not contain line breaks"));
    }
    if custom::place(schema, "", text("fieldPath")).is_none() {
        causes.push(invalid("fieldPath", "must be a valid path"));
    }
    causes
}

/// Why a rule can't be asked.
fn uncompiled(compiled: Result<Rule, Problem>, entry: &Value, path: &str, apart: Option<&str>) -> Option<Cause> {
    let at = |name: &str| format!("{path}.{name}");
    let rule = match compiled {
        Ok(rule) => rule,
        Err(problem) => {
            let name = match problem {
                Problem::Message(_) | Problem::NoText => "messageExpression",
                Problem::Empty | Problem::Rule(_) | Problem::NoTruth => "rule",
            };
            return Some(Cause::invalid(at(name), &entry.to_string(), &problem.to_string()));
        }
    };
    match (rule.is_transition(), apart, entry["optionalOldSelf"].as_bool()) {
        (true, Some(apart), _) => {
            let why = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {apart}");
            Some(Cause::invalid(at("rule"), &entry["rule"].to_string(), &why))
        }
        (false, _, Some(given)) => {
            let why = "may not be set if oldSelf is not used in rule";
            Some(Cause::invalid(at("optionalOldSelf"), &given.to_string(), why))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(schema: &Value) -> Vec<String> {
        let causes = validate(&json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}}));
        causes.into_iter().map(|cause| format!("{} {}", cause.reason, cause.field)).collect()
    }

    #[test]
    fn a_rule_that_does_not_compile_is_told_where_it_stands() {
        let schema = |entry: Value| {
            let items = json!({"type": "integer", "x-kubernetes-validations": [entry]});
            json!({"type": "object", "properties": {"a": {"type": "array", "items": items}}})
        };
        let place = "spec.validation.openAPIV3Schema.properties[a].items.x-kubernetes-validations[0]";
        for (entry, fault) in [
            (json!({"rule": "self >"}), "FieldValueInvalid rule"),
            (json!({"rule": "other > 1"}), "FieldValueInvalid rule"),
            (json!({"rule": "self.nothing(1)"}), "FieldValueInvalid rule"),
            (json!({"rule": "self.b > 1"}), "FieldValueInvalid rule"),
            (json!({"rule": "self + 1"}), "FieldValueInvalid rule"),
            (json!({"rule": "oldSelf == self"}), "FieldValueInvalid rule"),
            (json!({"rule": " "}), "FieldValueRequired rule"),
            (json!({"rule": "true", "messageExpression": "'"}), "FieldValueInvalid messageExpression"),
            (json!({"rule": "true", "optionalOldSelf": true}), "FieldValueInvalid optionalOldSelf"),
            (json!({"rule": "true", "reason": "Whim"}), "FieldValueNotSupported reason"),
            (json!({"rule": "true", "fieldPath": ".b"}), "FieldValueInvalid fieldPath"),
        ] {
            let (reason, field) = fault.split_once(' ').expect("both");
            assert_eq!(causes(&schema(entry)), [format!("{reason} {place}.{field}")]);
        }
        assert_eq!(causes(&schema(json!({"rule": "[self].all(x, math.least(x, 1) == 1)"}))), Vec::<String>::new());
    }

    #[test]
    fn an_expression_is_not_looked_at_before_the_schema_below_it_makes_sense() {
        let schema = json!({"type": "object", "x-kubernetes-validations": [{"rule": "other"}],
            "properties": {"a": {"type": "object", "x-kubernetes-validations": [{"rule": ""}]}}});
        let place = "spec.validation.openAPIV3Schema.properties[a].x-kubernetes-validations[0].rule";
        assert_eq!(causes(&schema), [format!("FieldValueRequired {place}")]);
    }
}
