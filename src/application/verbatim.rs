//! A part of an Application that is Kubernetes' own: its schema in, the value as the user wrote it out.
//!
//! Such a part goes into a child as it came. The operator reads none of its fields by type, so that it loses none that a
//! later Kubernetes knows, and an odd one makes no Application undecodable. What it means is the API server's to judge.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

/// The longest string, in characters: room for a script in `args`, far below the 1.5 MB that etcd takes of a whole object.
const LONGEST: u32 = 32_768;

/// The longest of those strings that are called `name`: a DNS subdomain's, which is the longest name that Kubernetes has.
const LONGEST_NAME: u32 = 253;

/// Strings that say nothing where they are empty: Kubernetes refuses them so, or stores its own default in their place, which
/// would never be as wished.
const NEVER_EMPTY: [&str; 3] = ["name", "apiVersion", "protocol"];

/// The longest of those that may be a number as well: a port's name (RFC 6335), which is longer than any percentage.
const LONGEST_PORT: u32 = 15;

/// What a quantity is written like: as `resource.ParseQuantity` reads it, but for a minus, which none of those that an
/// Application has may bear, and for exponents of more digits, since 2^63 is the largest that can be held.
pub const QUANTITY: &str = r"^[+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$";

/// The longest quantity, in characters: the 19 digits of the largest, and nine behind the point, have room.
const LONGEST_QUANTITY: u32 = 32;

/// The most entries of a list and of a map. More than anybody writes by hand; few enough that rules over all of them stay
/// within the cost that the API server allows.
const MOST: u32 = 256;

/// A value of the Kubernetes type `T`, as it came.
///
/// It is boxed since most Applications have few of the parts that they might have, and all of them are kept in memory.
pub struct Verbatim<T>(Box<Value>, PhantomData<fn() -> T>);

impl<T> Verbatim<T> {
    /// The value.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The entries of a list; none if it is no list.
    pub fn entries(&self) -> &[Value] {
        self.0.as_array().map(Vec::as_slice).unwrap_or_default()
    }
}

impl<T> Clone for Verbatim<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<T> PartialEq for Verbatim<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> fmt::Debug for Verbatim<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de, T> Deserialize<'de> for Verbatim<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::deserialize(deserializer)?, PhantomData))
    }
}

impl<T> Serialize for Verbatim<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Verbatim<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    /// The schema of `T` with bounds, and without the descriptions, which would make up nine tenths of the definition.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // One of its own, which refers to types by name: else a quantity looks like anything that is a number or a string.
        let mut generator = SchemaGenerator::default();
        let mut schema = generator.subschema_for::<T>().to_value();
        bound(&mut schema, "", generator.definitions());
        Schema::try_from(schema).unwrap_or_default()
    }
}

/// Puts in place of each reference what it refers to, and bounds the schema of the field called `field`, and of all below it.
fn bound(schema: &mut Value, field: &str, definitions: &Map<String, Value>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        if *name == *Quantity::schema_name() {
            *schema = quantity();
            return;
        }
        *schema = definitions.get(name).cloned().unwrap_or_default();
    }
    let Some(keywords) = schema.as_object_mut() else { return };
    keywords.remove("description");
    for (name, field) in keywords.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        bound(field, name, definitions);
    }
    for below in ["items", "additionalProperties"] {
        if let Some(below) = keywords.get_mut(below) {
            bound(below, "", definitions);
        }
    }
    let limit = match keywords.get("type").and_then(Value::as_str) {
        Some("string") if field == "name" => Some(("maxLength", LONGEST_NAME)),
        Some("string") if !keywords.contains_key("enum") => Some(("maxLength", LONGEST)),
        Some("array") => Some(("maxItems", MOST)),
        Some("object") if keywords.contains_key("additionalProperties") => Some(("maxProperties", MOST)),
        None if keywords.contains_key("x-kubernetes-int-or-string") => Some(("maxLength", LONGEST_PORT)),
        _ => None,
    };
    if let Some((keyword, limit)) = limit {
        keywords.entry(keyword).or_insert_with(|| json!(limit));
    }
    if NEVER_EMPTY.contains(&field) && keywords.get("type").is_some_and(|kind| kind == "string") {
        keywords.insert("minLength".to_owned(), json!(1));
    }
}

/// The schema of a quantity. What it says of a string does not bind a number, and the other way round.
fn quantity() -> Value {
    json!({"x-kubernetes-int-or-string": true, "pattern": QUANTITY, "maxLength": LONGEST_QUANTITY, "minimum": 0})
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{EnvVar, Probe, ResourceRequirements};
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

    use super::*;

    fn schema_of<T: JsonSchema>() -> Value {
        <Verbatim<T>>::json_schema(&mut SchemaGenerator::default()).to_value()
    }

    #[test]
    fn a_value_is_kept_as_it_came_even_where_the_type_does_not_know_it() {
        let text = r#"{"httpGet":{"port":"http"},"fromTheFuture":[1]}"#;
        let probe: Verbatim<Probe> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), *probe.value());
    }

    #[test]
    fn a_schema_has_bounds_and_no_descriptions() {
        let schema = schema_of::<Vec<EnvVar>>();
        assert_eq!((&schema["type"], &schema["maxItems"]), (&json!("array"), &json!(MOST)));
        let entry = &schema["items"]["properties"];
        assert_eq!(entry["name"], json!({"type": "string", "maxLength": LONGEST_NAME, "minLength": 1}));
        assert_eq!(entry["value"], json!({"type": "string", "maxLength": LONGEST}));
        assert!(!schema.to_string().contains("description"), "{schema}");
    }

    #[test]
    fn a_quantity_is_told_from_a_port_and_from_a_percentage() {
        let resources = schema_of::<ResourceRequirements>();
        for field in ["limits", "requests"] {
            assert_eq!(resources["properties"][field]["additionalProperties"], quantity(), "{field}");
        }
        let other = json!({"x-kubernetes-int-or-string": true, "maxLength": LONGEST_PORT});
        assert_eq!(schema_of::<IntOrString>(), other);
        assert_eq!(schema_of::<Probe>()["properties"]["httpGet"]["properties"]["port"], other);
        assert!(!resources.to_string().contains("$ref"), "{resources}");
    }
}
