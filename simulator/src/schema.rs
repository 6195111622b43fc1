//! `OpenAPI` → what a value's fields are: how lists and maps are merged, what is filled in, what has to be there.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::rule::Rule;

/// The built-in types as a real API server publishes them, without descriptions. Held against one by a test.
const BUILTIN: &str = include_str!("../schemas/builtin.json");

/// What a value is.
#[derive(Debug, Default)]
pub struct Schema {
    /// How it is made of parts.
    pub shape: Shape,
    /// What is filled in where it is absent.
    pub default: Option<Value>,
    /// How a strategic merge patch treats it.
    pub strategy: Strategy,
    /// What has to hold of it beyond its type (`x-kubernetes-validations`).
    pub rules: Vec<Rule>,
    /// The schema's own text, for what is validated.
    pub text: Value,
}

/// How a value is made of parts, and who may own which.
#[derive(Debug, Default)]
pub enum Shape {
    /// Text, number, truth: owned as a whole.
    #[default]
    Scalar,
    /// A list.
    List {
        /// What its items are.
        items: Arc<Schema>,
        /// What tells one item from another.
        keys: Keys,
    },
    /// A map, or a struct.
    Map {
        /// Its named fields.
        fields: BTreeMap<String, Arc<Schema>>,
        /// What its other fields are; `None` if it has none.
        others: Option<Arc<Schema>>,
        /// Whether it is owned as a whole (`x-kubernetes-map-type: atomic`).
        is_atomic: bool,
        /// The named fields that have to be there.
        required: Vec<String>,
    },
    /// Anything (`x-kubernetes-preserve-unknown-fields`): maps are merged, and lists owned as a whole.
    Any,
}

/// What tells one item of a list from another (`x-kubernetes-list-type`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Nothing: the list is owned as a whole.
    Atomic,
    /// The item itself.
    Set,
    /// These fields of the item.
    Map(Vec<String>),
}

/// `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`.
#[derive(Debug, Clone, Default)]
pub struct Strategy {
    /// Whether a list is merged, and not replaced.
    pub merges: bool,
    /// By which field of its items.
    pub key: Option<String>,
    /// Whether only the fields that a patch names stay.
    pub retains_keys: bool,
    /// Whether a map is replaced.
    pub replaces: bool,
}

/// What is not described.
pub static ANY: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(Schema { shape: Shape::Any, ..Schema::default() }));

static TEXTS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| serde_json::from_str(BUILTIN).unwrap_or_default());

static TYPES: LazyLock<HashMap<String, Arc<Schema>>> = LazyLock::new(|| {
    let mut types = HashMap::new();
    for name in TEXTS.keys() {
        resolve(&TEXTS, &mut types, name);
    }
    types
});

/// The schema of a built-in type by its short name, as a text in which `$ref` is a short name, too.
pub fn text(name: &str) -> Value {
    TEXTS.get(name).cloned().unwrap_or_default()
}

/// A built-in type by its short name.
pub fn builtin(name: &str) -> Arc<Schema> {
    TYPES.get(name).unwrap_or(&ANY).clone()
}

fn resolve(document: &BTreeMap<String, Value>, types: &mut HashMap<String, Arc<Schema>>, name: &str) -> Arc<Schema> {
    if let Some(known) = types.get(name) {
        return known.clone();
    }
    let Some(text) = document.get(name) else { return ANY.clone() };
    let schema = Arc::new(parse(text, &mut |name| resolve(document, types, name)));
    types.insert(name.to_owned(), schema.clone());
    schema
}

/// A schema of a definition (`openAPIV3Schema`), for a whole object.
pub fn custom(text: &Value) -> Arc<Schema> {
    let mut schema = parse(text, &mut |_| ANY.clone());
    if let Shape::Map { fields, .. } = &mut schema.shape {
        fields.insert("metadata".to_owned(), builtin("ObjectMeta"));
        for name in ["apiVersion", "kind"] {
            fields.entry(name.to_owned()).or_default();
        }
    }
    Arc::new(schema)
}

fn parse(text: &Value, types: &mut dyn FnMut(&str) -> Arc<Schema>) -> Schema {
    let default = text.get("default").cloned();
    let word = |name: &str| text.get(name).and_then(Value::as_str).unwrap_or_default();
    let strategies = word("x-kubernetes-patch-strategy");
    let strategy = Strategy {
        merges: strategies.split(',').any(|one| one == "merge"),
        retains_keys: strategies.split(',').any(|one| one == "retainKeys"),
        replaces: strategies.split(',').any(|one| one == "replace"),
        key: text.get("x-kubernetes-patch-merge-key").and_then(Value::as_str).map(str::to_owned),
    };
    if let Some(name) = text.get("$ref").and_then(Value::as_str) {
        let named = types(name);
        return Schema { shape: named.shape.again(), default, strategy, rules: Vec::new(), text: named.text.clone() };
    }
    let is_true = |name: &str| text.get(name).and_then(Value::as_bool) == Some(true);
    let shape = match word("type") {
        "array" => {
            let names = text.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
            let names = names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            let keys = match word("x-kubernetes-list-type") {
                "map" => Keys::Map(names),
                "set" => Keys::Set,
                _ => Keys::Atomic,
            };
            let items = text.get("items").map_or_else(|| ANY.clone(), |items| Arc::new(parse(items, types)));
            Shape::List { items, keys }
        }
        "object" => {
            let properties = text.get("properties").and_then(Value::as_object);
            let fields: BTreeMap<String, Arc<Schema>> = properties
                .into_iter()
                .flatten()
                .map(|(name, property)| (name.clone(), Arc::new(parse(property, types))))
                .collect();
            let others = match text.get("additionalProperties") {
                Some(other @ Value::Object(_)) => Some(Arc::new(parse(other, types))),
                Some(Value::Bool(true)) => Some(ANY.clone()),
                _ if is_true("x-kubernetes-preserve-unknown-fields") => Some(ANY.clone()),
                _ => None,
            };
            let required = text.get("required").and_then(Value::as_array);
            let required = required.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            Shape::Map { fields, others, is_atomic: word("x-kubernetes-map-type") == "atomic", required }
        }
        _ if is_true("x-kubernetes-preserve-unknown-fields") => Shape::Any,
        _ => Shape::Scalar,
    };
    // One that does not compile keeps a definition from being stored.
    let rules = text.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
    let rules = rules.filter_map(|rule| Rule::compile(rule).ok()).collect();
    Schema { shape, default, strategy, rules, text: text.clone() }
}

impl Shape {
    /// The same shape for another field; its parts are shared.
    fn again(&self) -> Self {
        match self {
            Self::Scalar => Self::Scalar,
            Self::Any => Self::Any,
            Self::List { items, keys } => Self::List { items: items.clone(), keys: keys.clone() },
            Self::Map { fields, others, is_atomic, required } => Self::Map {
                fields: fields.clone(),
                others: others.clone(),
                is_atomic: *is_atomic,
                required: required.clone(),
            },
        }
    }
}

impl Schema {
    /// What the field `name` is; `None` if there can't be such a field.
    pub fn field(&self, name: &str) -> Option<&Arc<Schema>> {
        match &self.shape {
            Shape::Map { fields, others, .. } => fields.get(name).or(others.as_ref()),
            Shape::Any => Some(&ANY),
            _ => None,
        }
    }

    /// Whether `name` is a field of a struct, and not a key of a map.
    pub fn is_named(&self, name: &str) -> bool {
        matches!(&self.shape, Shape::Map { fields, .. } if fields.contains_key(name))
    }

    /// What the items of a list are.
    pub fn items(&self) -> &Arc<Schema> {
        match &self.shape {
            Shape::List { items, .. } => items,
            _ => &ANY,
        }
    }

    /// The struct without any value: what Go's zero value is written as. Those fields that are written though they are
    /// empty have a default or are required.
    pub fn zero(&self) -> Value {
        let mut zero = serde_json::Map::new();
        if let Shape::Map { fields, required, .. } = &self.shape {
            for (name, field) in fields {
                match &field.default {
                    Some(Value::Object(_)) => drop(zero.insert(name.clone(), field.zero())),
                    None if required.contains(name) => drop(zero.insert(name.clone(), Value::Null)),
                    _ => {}
                }
            }
        }
        Value::Object(zero)
    }
}
