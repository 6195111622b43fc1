//! A path in Kubernetes' `JSONPath`, as printer columns use it → the values that it leads to.
//!
//! The subset that the API server lets into a definition and that people write: names, indexes, `*`, and filters by
//! equality.

use serde_json::Value;

/// A path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// `.name` or `['name']`
    Field(String),
    /// `[0]`; negative ones count from the end.
    Index(i64),
    /// `[*]` or `.*`
    Every,
    /// `[?(@.name=="value")]`
    Where { path: Path, is_equal: bool, value: String },
}

impl Path {
    /// From its text; `None` if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text.trim());
        let (mut steps, mut rest) = (Vec::new(), text.trim_start_matches('$'));
        while !rest.is_empty() {
            let step;
            (step, rest) = if let Some(bracket) = rest.strip_prefix('[') {
                let end = closing(bracket)?;
                (inner(&bracket[..end])?, &bracket[end + 1..])
            } else {
                name(rest.strip_prefix('.').unwrap_or(rest))?
            };
            steps.push(step);
        }
        Some(Self { steps })
    }

    /// The values at its end, in their order.
    pub fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        self.steps.iter().fold(vec![value], |found, step| found.into_iter().flat_map(|one| step.follow(one)).collect())
    }
}

impl Step {
    fn follow<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let list = || value.as_array().map(Vec::as_slice).unwrap_or_default();
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => {
                let place = if *index < 0 {
                    list().len().checked_add_signed(isize::try_from(*index).unwrap_or(0))
                } else {
                    usize::try_from(*index).ok()
                };
                place.and_then(|place| list().get(place)).into_iter().collect()
            }
            Self::Every => match value {
                Value::Object(map) => map.values().collect(),
                _ => list().iter().collect(),
            },
            Self::Where { path, is_equal, value } => {
                let holds = |item: &&Value| {
                    let found = path.find(item);
                    !found.is_empty() && found.iter().any(|one| plain(one) == *value) == *is_equal
                };
                list().iter().filter(holds).collect()
            }
        }
    }
}

/// A scalar as a text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A name up to the next step, in which a backslash takes a dot's meaning away.
fn name(text: &str) -> Option<(Step, &str)> {
    let (mut name, mut escaped) = (String::new(), false);
    let mut end = text.len();
    for (byte, character) in text.char_indices() {
        match character {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '.' | '[' if !escaped => {
                end = byte;
                break;
            }
            character => name.push(character),
        }
        escaped = false;
    }
    let step = if name == "*" { Step::Every } else { Step::Field(name) };
    (end > 0).then_some((step, &text[end..]))
}

/// Where the bracket closes that was opened before.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (byte, character) in text.char_indices() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), character) if open == character => quote = None,
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(byte),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What stands in brackets.
fn inner(text: &str) -> Option<Step> {
    let text = text.trim();
    if text == "*" {
        return Some(Step::Every);
    }
    if let Some(name) = unquoted(text) {
        return Some(Step::Field(name.to_owned()));
    }
    if let Some(filter) = text.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        let (path, value, is_equal) = match filter.split_once("==") {
            Some((path, value)) => (path, value, true),
            None => filter.split_once("!=").map(|(path, value)| (path, value, false))?,
        };
        let path = Path::parse(path.trim().strip_prefix('@')?)?;
        let value = value.trim();
        return Some(Step::Where { path, is_equal, value: unquoted(value).unwrap_or(value).to_owned() });
    }
    text.parse().ok().map(Step::Index)
}

fn unquoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    text.strip_prefix(quote)?.strip_suffix(quote)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_fields_indexes_and_filters() {
        let object = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "blue"}},
            "spec": {"ports": [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]},
        });
        for (path, found) in [
            (".spec.ports[0].port", json!([80])),
            (".spec.ports[-1].port", json!([81])),
            (".spec.ports[*].name", json!(["http", "admin"])),
            (r#".spec.ports[?(@.name=="admin")].port"#, json!([81])),
            (".spec.ports[?(@.name!='admin')].port", json!([80])),
            (r".metadata.labels.app\.kubernetes\.io/name", json!(["blue"])),
            (".metadata.labels['app.kubernetes.io/name']", json!(["blue"])),
            ("{.spec.ports[1]['name']}", json!(["admin"])),
            (".spec.ports[2].port", json!([])),
            (".status.phase", json!([])),
        ] {
            let parsed = Path::parse(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(json!(parsed.find(&object)), found, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in [".spec.ports[", ".spec..ports", "[?(name=='a')]", "[a]"] {
            assert_eq!(Path::parse(path), None, "{path}");
        }
    }
}
