//! The definition of `Application` in, a page on each of its fields out. Pure.

use std::fmt::Write;

use serde_json::Value;

use super::crd;

/// What the page begins with.
const HEAD: &str = "# API reference\n\n\
    Generated from the types by `make manifests`. `kubectl explain application.spec --recursive` shows the same, and the parts \
    that are Kubernetes' own in full; the [guide](guide/README.md) says what each is for.\n";

/// The page on every field of an Application.
pub fn markdown() -> String {
    let definition = crd::application();
    let spec = &definition["spec"];
    let version = &spec["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut page = HEAD.to_owned();
    let (kind, group) = (text(&spec["names"]["kind"]), text(&spec["group"]));
    // Writing to a string can't fail, here and below.
    let _ = write!(page, "\n## {kind}\n\n`{group}/{}`. {}\n", text(&version["name"]), text(&schema["description"]));
    rules(&mut page, schema);
    for field in ["spec", "status"] {
        section(&mut page, field, &schema["properties"][field]);
    }
    page
}

/// The section on an object, and those on the objects below it that have fields of this operator's own.
fn section(page: &mut String, path: &str, schema: &Value) {
    let _ = write!(page, "\n## `{path}`\n\n");
    if let Some(description) = schema["description"].as_str() {
        let _ = write!(page, "{description}\n\n");
    }
    page.push_str("| field | type | |\n|---|---|---|\n");
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fields: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    for (name, field) in &fields {
        let mut said: Vec<String> = field["description"].as_str().map(cell).into_iter().collect();
        if required.contains(&Value::from(name.as_str())) {
            said.push("Required.".to_owned());
        }
        said.extend(field.get("default").map(|default| format!("Default: `{default}`.")));
        said.extend(bounds(field));
        said.extend(messages(field).map(|message| format!("Rule: {}.", cell(message))));
        let _ = writeln!(page, "| `{name}` | {} | {} |", type_of(field), said.join(" "));
    }
    rules(page, schema);
    for (name, field) in fields {
        if is_own(field) {
            section(page, &format!("{path}.{name}"), field);
        } else if is_own(&field["items"]) {
            section(page, &format!("{path}.{name}[]"), &field["items"]);
        }
    }
}

/// Whether it is an object whose fields are described: those of Kubernetes' own types are not.
fn is_own(schema: &Value) -> bool {
    let fields = schema["properties"].as_object();
    fields.is_some_and(|fields| fields.values().any(|field| field.get("description").is_some()))
}

/// The rules that bind several fields of an object.
fn rules(page: &mut String, schema: &Value) {
    let mut messages = messages(schema).peekable();
    if messages.peek().is_some() {
        page.push('\n');
    }
    for message in messages {
        let _ = writeln!(page, "- {message}");
    }
}

fn messages(schema: &Value) -> impl Iterator<Item = &str> {
    schema["x-kubernetes-validations"].as_array().into_iter().flatten().filter_map(|rule| rule["message"].as_str())
}

fn type_of(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    match schema["type"].as_str().unwrap_or("any") {
        "array" => format!("list of {}", type_of(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map of {}", type_of(&schema["additionalProperties"]))
        }
        other => other.to_owned(),
    }
}

/// What a value is held to, in a few words.
fn bounds(schema: &Value) -> Option<String> {
    let number = |keyword: &str| schema[keyword].as_i64();
    let range = |least: Option<i64>, most: Option<i64>| match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("{least} or more")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    };
    let value = range(number("minimum"), number("maximum"));
    let characters = range(number("minLength"), number("maxLength")).map(|range| format!("{range} characters"));
    let entries = range(number("minItems"), number("maxItems")).map(|range| format!("{range} entries"));
    let properties = range(number("minProperties"), number("maxProperties")).map(|range| format!("{range} entries"));
    let choices = schema["enum"].as_array().map(|choices| {
        let choices: Vec<String> =
            choices.iter().filter_map(Value::as_str).map(|choice| format!("`{choice}`")).collect();
        choices.join(", ")
    });
    let said: Vec<String> = [choices, value, characters, entries, properties].into_iter().flatten().collect();
    let mut said = said.join(", ");
    if let Some(first) = said.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    (!said.is_empty()).then(|| format!("{said}."))
}

/// A text as it may stand in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace("\n\n", "<br>").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_spec_and_status_has_a_row_that_says_something() {
        let page = markdown();
        let definition = crd::application();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        for part in ["spec", "status"] {
            for name in schema[part]["properties"].as_object().expect("fields").keys() {
                let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
                let said = row.and_then(|row| row.rsplit(" | ").next()).unwrap_or_default();
                assert!(said.len() > 10, "{part}.{name}: {row:?}");
            }
        }
        assert!(page.contains("| `image` | string | Container image"), "{page}");
        assert!(page.contains("Required. 1 to 520 characters."), "{page}");
        assert!(page.contains("| `replicas` | integer | ") && page.contains("Default: `1`. 0 to 10000."), "{page}");
        assert!(page.contains("\n## `status.failure`\n"), "{page}");
    }
}
