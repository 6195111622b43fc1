//! A label or field selector in its text form → whether an object is selected.

use serde_json::Value;

use crate::failure::Failure;
use crate::object;

/// A selector; all of its requirements have to hold.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// From the parameters `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    ///
    /// If one of them makes no sense.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, Failure> {
        let whole = fields;
        let labels = split(labels).into_iter().map(Requirement::label).collect::<Option<Vec<_>>>();
        let fields = split(fields).into_iter().map(Requirement::field).collect::<Option<Vec<_>>>();
        match (labels, fields) {
            (Some(labels), Some(fields)) => Ok(Self { labels, fields }),
            (None, _) => Err(Failure::bad_request("unable to parse requirement")),
            (_, None) => Err(Failure::bad_request(format!("invalid selector: '{whole}'; can't understand '{whole}'"))),
        }
    }

    /// Whether everything is selected.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The first field that it asks for and that can't be asked for, of those that any object has and `others`.
    pub fn unknown_field(&self, others: &[&str]) -> Option<&str> {
        let known = |key: &str| matches!(key, "metadata.name" | "metadata.namespace") || others.contains(&key);
        self.fields.iter().map(|requirement| requirement.key.as_str()).find(|key| !known(key))
    }

    /// Whether the object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object::metadata(object).get("labels")?.get(key)?.as_str();
        // An absent field is an empty one.
        let field = |key: &str| {
            let path: Vec<&str> = key.split('.').collect();
            object::at(object, &path).and_then(Value::as_str).or(Some(""))
        };
        self.labels.iter().all(|requirement| requirement.holds(label(&requirement.key)))
            && self.fields.iter().all(|requirement| requirement.holds(field(&requirement.key)))
    }
}

impl Requirement {
    fn label(text: &str) -> Option<Self> {
        let text = text.trim();
        let set = |rest: &str| {
            let inner = rest.trim().strip_prefix('(')?.strip_suffix(')')?;
            Some(inner.split(',').map(|value| value.trim().to_owned()).collect::<Vec<_>>())
        };
        let requirement = |key: &str, rule| Some(Self { key: key.trim().to_owned(), rule });
        if let Some((key, values)) = text.split_once(" notin ") {
            return requirement(key, Rule::NotIn(set(values)?));
        }
        if let Some((key, values)) = text.split_once(" in ") {
            return requirement(key, Rule::In(set(values)?));
        }
        if let Some(found) = Self::equality(text) {
            return Some(found);
        }
        match text.strip_prefix('!') {
            Some(key) => requirement(key, Rule::Absent),
            None => requirement(text, Rule::Exists),
        }
    }

    fn field(text: &str) -> Option<Self> {
        Self::equality(text.trim())
    }

    fn equality(text: &str) -> Option<Self> {
        let (key, value, is_equal) = if let Some((key, value)) = text.split_once("!=") {
            (key, value, false)
        } else {
            let (key, value) = text.split_once("==").or_else(|| text.split_once('='))?;
            (key, value, true)
        };
        let values = vec![value.trim().to_owned()];
        Some(Self { key: key.trim().to_owned(), rule: if is_equal { Rule::In(values) } else { Rule::NotIn(values) } })
    }

    fn holds(&self, value: Option<&str>) -> bool {
        let is_one_of = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
        match &self.rule {
            Rule::In(values) => is_one_of(values),
            Rule::NotIn(values) => !is_one_of(values),
            Rule::Exists => value.is_some(),
            Rule::Absent => value.is_none(),
        }
    }
}

/// Whether a `LabelSelector` (`matchLabels`, `matchExpressions`) selects an object. An absent one selects nothing.
pub fn selects(selector: &Value, object: &Value) -> bool {
    let label = |key: &str| object::metadata(object).get("labels")?.get(key);
    let labels = selector["matchLabels"].as_object();
    let expressions = selector["matchExpressions"].as_array();
    let holds = |expression: &Value| {
        let found = label(expression["key"].as_str().unwrap_or_default());
        let is_one_of =
            || found.is_some_and(|value| expression["values"].as_array().is_some_and(|all| all.contains(value)));
        match expression["operator"].as_str().unwrap_or_default() {
            "In" => is_one_of(),
            "NotIn" => !is_one_of(),
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            _ => false,
        }
    };
    selector.is_object()
        && labels.into_iter().flatten().all(|(key, value)| label(key) == Some(value))
        && expressions.into_iter().flatten().all(holds)
}

/// At the commas that stand in no parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut parts, mut start) = (0_i32, Vec::new(), 0);
    for (byte, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..byte]);
                start = byte + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}
