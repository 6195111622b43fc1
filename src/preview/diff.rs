//! Two states of an object in, their difference as people read it out. Pure.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// A line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// What is compared.
    Header(String),
    /// Where the lines that follow stand.
    Hunk(String),
    /// It stays.
    Same(String),
    /// It goes.
    Removed(String),
    /// It comes.
    Added(String),
}

impl Line {
    /// The line as `diff -u` writes it, without its end.
    pub fn text(&self) -> String {
        match self {
            Self::Header(text) | Self::Hunk(text) => text.clone(),
            Self::Same(text) => format!(" {text}"),
            Self::Removed(text) => format!("-{text}"),
            Self::Added(text) => format!("+{text}"),
        }
    }
}

/// The unified difference of two states of the object that is called `name`; empty where there is none. An absent state is
/// written `/dev/null`, as `diff` does.
///
/// # Errors
///
/// If an object can't be written as YAML.
pub fn unified(
    name: &str,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Result<Vec<Line>, serde_saphyr::ser::Error> {
    let yaml = |object: Option<&Value>| object.map_or_else(|| Ok(String::new()), serde_saphyr::to_string);
    let (old, new) = (yaml(before)?, yaml(after)?);
    let text = TextDiff::from_lines(old.as_str(), new.as_str());
    let title = |object: Option<&Value>, state: &str| {
        object.map_or_else(|| "/dev/null".to_owned(), |_| format!("{name} ({state})"))
    };
    let mut lines = vec![
        Line::Header(format!("--- {}", title(before, "live"))),
        Line::Header(format!("+++ {}", title(after, "planned"))),
    ];
    let headers = lines.len();
    for hunk in text.unified_diff().context_radius(CONTEXT).iter_hunks() {
        let changes: Vec<_> = hunk.iter_changes().collect();
        let first = changes.iter().find(|change| change.tag() != ChangeTag::Equal);
        let place = first.map_or_else(String::new, |change| match (change.new_index(), change.old_index()) {
            (Some(line), _) => parents(&new, line),
            (None, Some(line)) => parents(&old, line),
            (None, None) => String::new(),
        });
        let header = hunk.header().to_string();
        lines.push(Line::Hunk(format!("{} {place}", header.trim_end()).trim_end().to_owned()));
        lines.extend(changes.into_iter().map(|change| {
            let text = change.value().trim_end_matches('\n').to_owned();
            match change.tag() {
                ChangeTag::Equal => Line::Same(text),
                ChangeTag::Delete => Line::Removed(text),
                ChangeTag::Insert => Line::Added(text),
            }
        }));
    }
    if lines.len() == headers {
        lines.clear();
    }
    Ok(lines)
}

/// The fields that a line of a YAML block stands in, from the outside in, with dots between them.
fn parents(yaml: &str, line: usize) -> String {
    let lines: Vec<&str> = yaml.lines().take(line + 1).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_entry = |line: &str| line.trim_start().starts_with("- ");
    let field = |line: &str| {
        let text = line.trim_start().trim_start_matches("- ");
        text.split(": ").next().unwrap_or_default().trim_end_matches(':').to_owned()
    };
    let Some((start, above)) = lines.split_last() else { return String::new() };
    let (mut depth, mut in_list, mut path) = (indent(start), is_entry(start), Vec::new());
    for line in above.iter().rev() {
        let at = indent(line);
        if in_list && is_entry(line) {
            // The field that holds the list may be the first of an entry of another.
            if at < depth {
                path.push(field(line));
                depth = at;
            }
        } else if in_list {
            // The field may stand as deep as the entries.
            if at <= depth {
                path.push(field(line));
                (depth, in_list) = (at, false);
            }
        } else if is_entry(line) && at < depth {
            if at + 2 < depth {
                path.push(field(line));
            }
            (depth, in_list) = (at, true);
        } else if at < depth {
            path.push(field(line));
            depth = at;
        }
    }
    path.reverse();
    path.join(".")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(before: Option<&Value>, after: Option<&Value>) -> String {
        let lines = unified("shop/Deployment/web", before, after).unwrap();
        lines.iter().map(|line| line.text() + "\n").collect()
    }

    #[test]
    fn a_change_is_shown_with_what_is_around_it_and_where_it_stands() {
        let state = |image: &str| {
            let containers =
                json!([{"args": ["a", "b"], "image": image, "name": "web", "ports": [{"containerPort": 80}]}]);
            json!({"kind": "Deployment", "spec": {"replicas": 2, "template": {"spec": {"containers": containers}}}})
        };
        let shown = text(Some(&state("nginx:1")), Some(&state("nginx:2")));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[..2], ["--- shop/Deployment/web (live)", "+++ shop/Deployment/web (planned)"]);
        assert!(lines[2].starts_with("@@ -") && lines[2].ends_with("@@ spec.template.spec.containers"), "{shown}");
        let changed = |sign| lines[2..].iter().filter(|line| line.starts_with(sign)).count();
        assert_eq!((changed("-"), changed("+")), (1, 1), "{shown}");
        assert!(shown.contains("image: nginx:2") && shown.contains("name: web"), "{shown}");
    }

    #[test]
    fn what_is_made_or_removed_is_shown_as_a_whole_and_what_stays_not_at_all() {
        let object = json!({"kind": "Service", "spec": {"type": "NodePort"}});
        let created = text(None, Some(&object));
        assert!(
            created.starts_with("--- /dev/null\n+++ shop/Deployment/web (planned)\n@@ -0,0 +1,3 @@\n"),
            "{created}"
        );
        assert!(created.ends_with("+kind: Service\n+spec:\n+  type: NodePort\n"), "{created}");
        let deleted = text(Some(&object), None);
        assert!(deleted.contains("+++ /dev/null\n") && deleted.contains("-  type: NodePort\n"), "{deleted}");
        assert_eq!(text(Some(&object), Some(&object)), "");
    }

    #[test]
    fn a_line_knows_its_parents() {
        let yaml = "spec:\n  template:\n    containers:\n      - args:\n          - a\n        image: i\n  ports:\n  - port: 80\n    name: x\n";
        let at = |line| parents(yaml, line);
        assert_eq!(at(0), "");
        assert_eq!(at(1), "spec");
        assert_eq!(at(4), "spec.template.containers.args");
        assert_eq!(at(5), "spec.template.containers");
        assert_eq!(at(7), "spec.ports");
        assert_eq!(at(8), "spec.ports");
    }
}
