//! Rust types to structural schemas, the dialect that a `CustomResourceDefinition` is written in.
//!
//! Everything is inlined; no keyword is left that the API server refuses or ignores.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// Keywords that say nothing to the API server, or that it refuses.
///
/// `nullable` is among them so that the server prunes a null instead of storing it: absent and
/// null are then the same to everybody who reads the object.
const FOREIGN: [&str; 6] = ["$schema", "$defs", "title", "examples", "example", "nullable"];

/// Integer formats of `OpenAPI`; those of Rust's other integers mean nothing to the API server.
const INTEGER_FORMATS: [&str; 2] = ["int32", "int64"];

/// The structural schema of `T`, as it is read.
pub(super) fn structural<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .with_transform(Structural)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    // A default for the whole would have the server fill in what the user left out on purpose.
    if let Value::Object(root) = &mut schema {
        root.remove("default");
    }
    schema
}

/// Rewrites one schema and all below it.
#[derive(Debug, Clone)]
struct Structural;

impl Transform for Structural {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(keywords) = schema.as_object_mut() else {
            return;
        };
        for keyword in FOREIGN {
            keywords.remove(keyword);
        }
        if keywords.get("default") == Some(&Value::Null) {
            keywords.remove("default");
        }
        collapse_option(keywords);
        collapse_variants(keywords);
        let format = keywords.get("format").and_then(Value::as_str).unwrap_or_default();
        if keywords.get("type") == Some(&json!("integer")) && !INTEGER_FORMATS.contains(&format) {
            keywords.remove("format");
        }
        if let Some(Value::String(text)) = keywords.get_mut("description") {
            *text = reflow(text);
        }
    }
}

/// `anyOf: [X, null]`, which is what an `Option<X>` becomes, to `X`.
fn collapse_option(keywords: &mut Map<String, Value>) {
    let Some(Value::Array(options)) = keywords.get_mut("anyOf") else {
        return;
    };
    options.retain(|option| option.get("type") != Some(&json!("null")) && option.get("enum") != Some(&json!([null])));
    if let [Value::Object(only)] = options.as_mut_slice() {
        let only = std::mem::take(only);
        keywords.remove("anyOf");
        // The field's own description says more than its type's, unless that tells the choices.
        let choices = only.get("description").filter(|_| only.contains_key("enum"));
        if let (Some(Value::String(text)), Some(Value::String(choices))) = (keywords.get_mut("description"), choices) {
            *text = format!("{text}\n\n{choices}");
        }
        for (keyword, value) in only {
            keywords.entry(keyword).or_insert(value);
        }
    }
}

/// `oneOf: [{enum: [A]}, {enum: [B]}]`, which is what an enum with documented variants becomes, to
/// one `enum`, whose description goes on with what each variant means.
fn collapse_variants(keywords: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = keywords.get("oneOf") else {
        return;
    };
    let mut values = Vec::new();
    let mut lines = Vec::new();
    for variant in variants {
        let (Some(Value::Array(names)), Some("string")) =
            (variant.get("enum"), variant.get("type").and_then(Value::as_str))
        else {
            return;
        };
        values.extend(names.iter().cloned());
        if let ([Value::String(name)], Some(Value::String(text))) = (names.as_slice(), variant.get("description")) {
            lines.push(format!("`{name}`: {text}"));
        }
    }
    if let Some(Value::String(text)) = keywords.get("description") {
        lines.insert(0, text.clone());
    }
    keywords.remove("oneOf");
    keywords.insert("type".into(), json!("string"));
    keywords.insert("enum".into(), Value::Array(values));
    if !lines.is_empty() {
        keywords.insert("description".into(), json!(lines.join("\n\n")));
    }
}

/// Joins the lines of each paragraph: source code is wrapped, a description need not be.
fn reflow(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.trim().replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    /// Shapes that later fields will have.
    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Shapes {
        /// A number
        /// on two lines.
        number: Option<i32>,
        unsigned: u16,
        /// What the field says.
        inner: Option<Inner>,
        inners: Vec<Inner>,
        labels: BTreeMap<String, String>,
        /// How.
        mode: Option<Mode>,
    }

    /// What the type says.
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Inner {
        name: String,
    }

    #[derive(Deserialize, JsonSchema)]
    enum Mode {
        /// All at once.
        Recreate,
        /// One by one.
        Rolling,
    }

    #[test]
    fn every_shape_becomes_structural() {
        let inner = json!({
            "type": "object",
            "required": ["name"],
            "properties": { "name": { "type": "string" } },
        });
        let described = |text: &str| {
            let mut schema = inner.clone();
            schema["description"] = json!(text);
            schema
        };
        assert_eq!(
            structural::<Shapes>(),
            json!({
                "description": "Shapes that later fields will have.",
                "type": "object",
                "required": ["unsigned", "inners", "labels"],
                "properties": {
                    "number": {
                        "description": "A number on two lines.",
                        "type": "integer",
                        "format": "int32",
                    },
                    "unsigned": { "type": "integer", "minimum": 0, "maximum": 65535 },
                    "inner": described("What the field says."),
                    "inners": { "type": "array", "items": described("What the type says.") },
                    "labels": {
                        "type": "object",
                        "additionalProperties": { "type": "string" },
                    },
                    "mode": {
                        "description":
                            "How.\n\n`Recreate`: All at once.\n\n`Rolling`: One by one.",
                        "type": "string",
                        "enum": ["Recreate", "Rolling"],
                    },
                },
            })
        );
    }
}
