//! The built-in types as Go has them → the fields of each, with their numbers, names and types.
//!
//! `OpenAPI` tells neither numbers nor Go's types; `generated.proto`, which is made of the structs, does.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Type → number → name and type of a field, as `containers []Container`; the name `...` for a struct whose fields are
/// those of the one that it is in. Held against the definitions of the real types by a test.
const TABLE: &str = include_str!("../schemas/protobuf.json");

/// A field of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its number in protobuf.
    pub number: u64,
    /// Its name in JSON; `None` if the fields of its struct stand in its place.
    pub name: Option<String>,
    /// How many of its type it holds.
    pub form: Form,
    /// `string`, `bytes`, `bool`, `int32`, `int64`, or a struct's name.
    pub of: String,
}

/// How many of a type a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One, or none.
    One,
    /// A list.
    List,
    /// A map from texts.
    Map,
}

static TYPES: LazyLock<BTreeMap<String, Vec<Field>>> = LazyLock::new(|| {
    let table: BTreeMap<String, BTreeMap<u64, String>> = serde_json::from_str(TABLE).unwrap_or_default();
    let fields = |fields: BTreeMap<u64, String>| fields.into_iter().filter_map(|(number, text)| parse(number, &text));
    table.into_iter().map(|(name, all)| (name, fields(all).collect())).collect()
});

fn parse(number: u64, text: &str) -> Option<Field> {
    let (name, of) = text.split_once(' ')?;
    let (form, of) = match (of.strip_prefix("[]"), of.strip_prefix("{}")) {
        (Some(of), _) => (Form::List, of),
        (_, Some(of)) => (Form::Map, of),
        _ => (Form::One, of),
    };
    Some(Field { number, name: (name != "...").then(|| name.to_owned()), form, of: of.to_owned() })
}

/// The fields of a struct; `None` if it is unknown.
pub fn fields(name: &str) -> Option<&'static [Field]> {
    TYPES.get(name).map(Vec::as_slice)
}

/// The name of a kind's struct: two kinds of events have the same one in Go.
pub fn name(api_version: &str, kind: &str) -> String {
    if api_version.starts_with("events.k8s.io/") && kind == "Event" {
        format!("events.{kind}")
    } else {
        kind.to_owned()
    }
}

/// The field that bears a name in a struct, or in one whose fields stand in its place.
pub fn field(of: &str, name: &str) -> Option<&'static Field> {
    let own = fields(of)?;
    let found = own.iter().find(|field| field.name.as_deref() == Some(name));
    found.or_else(|| own.iter().filter(|field| field.name.is_none()).find_map(|field| self::field(&field.of, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_also_where_its_struct_stands_in_place_of_another() {
        let claim = field("Volume", "persistentVolumeClaim").expect("a field");
        assert_eq!(claim.of, "PersistentVolumeClaimVolumeSource");
        assert_eq!(field("Container", "command").expect("a field").form, Form::List);
        assert_eq!(field("ConfigMap", "data").expect("a field").form, Form::Map);
        assert_eq!(field("Container", "colour"), None);
    }

    #[test]
    fn every_type_of_a_field_is_known() {
        let plain = ["string", "bytes", "bool", "int32", "int64"];
        let special = ["FieldsV1", "IntOrString", "MicroTime", "Quantity", "RawExtension", "Time"];
        for (name, fields) in TYPES.iter() {
            for field in fields {
                let of = field.of.as_str();
                assert!(plain.contains(&of) || special.contains(&of) || TYPES.contains_key(of), "{name}: {field:?}");
            }
        }
    }
}
