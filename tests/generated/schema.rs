//! The committed definition in, each property of a spec out: where it stands, and what the schema says of it.

use std::fmt;

use serde_json::Value;

/// A step from a value to one below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the field of that name.
    Field(String),
    /// To an entry of a list.
    Entry,
    /// To a value of a map.
    Key,
}

/// A property of a spec, however deep.
#[derive(Debug, Clone)]
pub(crate) struct Property {
    pub(crate) steps: Vec<Step>,
    pub(crate) schema: Value,
}

impl Property {
    /// The field of the spec that it belongs to.
    pub(crate) fn top(&self) -> &str {
        self.fields().next().unwrap_or_default()
    }

    /// The names of all fields on the way to it.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| if let Step::Field(name) = step { Some(&**name) } else { None })
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec")?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Entry => write!(f, "[]"),
            Step::Key => write!(f, "{{}}"),
        })
    }
}

/// The schema of `spec` in the definition that is committed.
pub(crate) fn of_spec() -> Value {
    let definition: Value = serde_saphyr::from_str(include_str!("../../crds/10-application.yaml")).expect("YAML");
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

/// What the schema says of what is one step below.
pub(crate) fn below<'a>(schema: &'a Value, step: &Step) -> &'a Value {
    match step {
        Step::Field(name) => &schema["properties"][name],
        Step::Entry => &schema["items"],
        Step::Key => &schema["additionalProperties"],
    }
}

/// Every property below `schema`, with those that lead to it before it.
pub(crate) fn properties(schema: &Value) -> Vec<Property> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found);
    found
}

fn collect(schema: &Value, steps: &mut Vec<Step>, found: &mut Vec<Property>) {
    let fields =
        schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned()).map(Step::Field);
    let entry = schema["items"].is_object().then_some(Step::Entry);
    let key = schema["additionalProperties"].is_object().then_some(Step::Key);
    for step in fields.chain(entry).chain(key) {
        let schema = below(schema, &step);
        steps.push(step);
        found.push(Property { steps: steps.clone(), schema: schema.clone() });
        collect(schema, steps, found);
        steps.pop();
    }
}
