//! What was sent → the first value that is not of its field's type in Go, in the words of Go's decoder.

use serde_json::Value;

use crate::proto::{self, Field, Form};
use crate::resource::Resource;

/// What the real server says of a body that its struct can't take in; `None` if there is no such value.
pub fn find(resource: &Resource, body: &Value) -> Option<String> {
    let Resource { group, version, kind, .. } = resource;
    let struct_name = proto::name(&format!("{group}/{version}"), kind);
    fields(&Of { name: &struct_name, version }, "", body)
}

/// The struct whose fields are looked at, and the version, which is the name of its package.
struct Of<'a> {
    name: &'a str,
    version: &'a str,
}

fn fields(of: &Of<'_>, path: &str, value: &Value) -> Option<String> {
    value.as_object()?.iter().find_map(|(name, inner)| {
        let field = proto::field(of.name, name)?;
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let wrong =
            |value: &Value, form: &str| Some(complaint(of, &at, value, &format!("{form}{}", go(field, of.version))));
        let one = |value: &Value| one(of, field, &at, value);
        match (field.form, inner) {
            (_, Value::Null) => None,
            (Form::One, value) => one(value),
            (Form::List, Value::Array(list)) => list.iter().find_map(one),
            (Form::List, value) => wrong(value, "[]"),
            (Form::Map, Value::Object(map)) => map.values().find_map(one),
            (Form::Map, value) => wrong(value, "map[string]"),
        }
    })
}

fn one(of: &Of<'_>, field: &Field, at: &str, value: &Value) -> Option<String> {
    let fits = match (field.of.as_str(), value) {
        (_, Value::Null) | ("bytes", _) => true,
        ("string", value) => value.is_string(),
        ("bool", value) => value.is_boolean(),
        ("int32", value) => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        ("int64", value) => value.as_i64().is_some(),
        // These read themselves, each in its own way.
        (name, _) if proto::fields(name).is_none() => true,
        (name, value) if value.is_object() => return fields(&Of { name, ..*of }, at, value),
        _ => false,
    };
    (!fits).then(|| complaint(of, at, value, &go(field, of.version)))
}

/// A field's type as Go prints it.
fn go(field: &Field, version: &str) -> String {
    match field.of.as_str() {
        "bytes" => "[]uint8".to_owned(),
        plain @ ("string" | "bool" | "int32" | "int64") => plain.to_owned(),
        name => format!("{version}.{name}"),
    }
}

fn complaint(of: &Of<'_>, at: &str, value: &Value, wished: &str) -> String {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        // A number that is none of the wished ones is told, any other is not.
        Value::Number(number) if wished.starts_with("int") => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    let name = of.name.rsplit('.').next().unwrap_or_default();
    format!("json: cannot unmarshal {found} into Go struct field {name}.{at} of type {wished}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(name: &str, body: &Value) -> Option<String> {
        let told = fields(&Of { name, version: "v1" }, "", body);
        told.map(|told| told.replace("json: cannot unmarshal ", "").replace("into Go struct field ", ""))
    }

    #[test]
    fn a_value_of_another_type_is_told_with_its_struct_and_path() {
        let container = json!({"name": "a", "image": 7});
        let spec = json!({"template": {"spec": {"containers": [container]}}});
        for (name, body, wished) in [
            ("ConfigMap", json!({"data": {"a": 1}}), "number ConfigMap.data of type string"),
            ("ConfigMap", json!({"data": []}), "array ConfigMap.data of type map[string]string"),
            (
                "ConfigMap",
                json!({"metadata": {"labels": {"a": true}}}),
                "bool ObjectMeta.metadata.labels of type string",
            ),
            ("Deployment", json!({"spec": {"replicas": "3"}}), "string DeploymentSpec.spec.replicas of type int32"),
            ("Deployment", json!({"spec": {"replicas": 1.5}}), "number 1.5 DeploymentSpec.spec.replicas of type int32"),
            (
                "Deployment",
                json!({"spec": spec}),
                "number Container.spec.template.spec.containers.image of type string",
            ),
            (
                "Deployment",
                json!({"spec": {"template": 7}}),
                "number DeploymentSpec.spec.template of type v1.PodTemplateSpec",
            ),
        ] {
            assert_eq!(told(name, &body).as_deref(), Some(wished), "{body}");
        }
    }

    #[test]
    fn what_fits_is_not_told() {
        let spec = json!({"replicas": null, "strategy": {"rollingUpdate": {"maxSurge": "25%"}}, "colour": 7});
        assert_eq!(told("Deployment", &json!({"spec": spec, "metadata": {"labels": {"a": "b"}}})), None);
    }
}
