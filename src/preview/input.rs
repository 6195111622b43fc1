//! Texts of files in, the Applications in them out, each with its place. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use engine::object::{Key, Object, Resource};
use serde::Serialize;
use serde_json::Value;

use crate::application::Application;
use crate::observe::Namespace;

/// Where a document begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An Application as it stands in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Where it stands.
    pub place: Place,
    /// Its namespace and name; the namespace is empty where the file names none.
    pub key: Key,
    /// The whole of it.
    pub object: Value,
}

/// An object of another kind, which nothing is said about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// What stands in the files.
#[derive(Debug, Default)]
pub struct Input {
    /// The Applications, in their order.
    pub applications: Vec<Given>,
    /// Objects of other kinds.
    pub skipped: Vec<Skipped>,
    /// Of those the namespaces, which tell what pods they admit.
    pub namespaces: BTreeMap<String, Namespace>,
}

/// Why a file can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A document is neither YAML nor JSON.
    #[error("{place}: no YAML: {problem}")]
    Syntax {
        /// The line that is wrong, or the document's first.
        place: Place,
        /// What the parser says.
        problem: String,
    },
    /// A document is no Kubernetes object.
    #[error("{place}: {problem}")]
    NoObject {
        /// Where it stands.
        place: Place,
        /// What is missing.
        problem: String,
    },
    /// An Application stands there twice.
    #[error("{place}: Application {key} stands in {first} already")]
    Twice {
        /// The second one.
        place: Place,
        /// The first one.
        first: Place,
        /// Its namespace and name.
        key: String,
    },
    /// There is no Application in all of it.
    #[error("no Application in {files}{}", others(.skipped))]
    Nothing {
        /// The files.
        files: String,
        /// What there is instead.
        skipped: Vec<Skipped>,
    },
}

fn others(skipped: &[Skipped]) -> String {
    match skipped {
        [] => ": there is no object in it".to_owned(),
        [one] => format!(", only a {}", one.kind),
        [first, ..] => format!(", only {} objects of other kinds, such as a {}", skipped.len(), first.kind),
    }
}

impl Input {
    /// Reads files, each of which has a name and a text.
    ///
    /// # Errors
    ///
    /// The first [`Error`].
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let (mut input, mut names) = (Self::default(), Vec::new());
        for (name, text) in files {
            names.push(name);
            let file: Arc<str> = name.into();
            for (line, document) in documents(text) {
                let place = Place { file: file.clone(), line };
                let value = parse(&place, document)?;
                input.take(place, value)?;
            }
        }
        if input.applications.is_empty() {
            return Err(Error::Nothing { files: names.join(", "), skipped: input.skipped });
        }
        Ok(input)
    }

    fn take(&mut self, place: Place, object: Value) -> Result<(), Error> {
        let no_object = |problem: String| Error::NoObject { place: place.clone(), problem };
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        if !object.is_object() {
            return Err(no_object("no Kubernetes object: it has no fields".to_owned()));
        }
        let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
        for (field, value) in [("apiVersion", &version), ("kind", &kind)] {
            if value.is_empty() {
                return Err(no_object(format!("no Kubernetes object: it has no {field}")));
            }
        }
        let resource = Application::RESOURCE;
        if kind == "List" || (kind == "ApplicationList" && is_of(&resource, &version)) {
            let items = object["items"].as_array().cloned().unwrap_or_default();
            return items.into_iter().try_for_each(|item| self.take(place.clone(), item));
        }
        // Argo CD and others have a kind of the same name.
        if kind != resource.kind || !is_of(&resource, &version) {
            if kind == Namespace::RESOURCE.kind
                && let Ok(namespace) = serde_json::from_value(object)
            {
                self.namespaces.insert(name.clone(), namespace);
            }
            self.skipped.push(Skipped { place, kind, name });
            return Ok(());
        }
        if version != resource.api_version() {
            return Err(no_object(format!("{version} is unknown: Applications are {}", resource.api_version())));
        }
        if name.is_empty() {
            return Err(no_object("the Application has no metadata.name".to_owned()));
        }
        self.applications.push(Given { place, key: Key::new(text("/metadata/namespace"), name), object });
        Ok(())
    }

    /// Puts Applications that name no namespace into `default`, and insists on `only` for those that name one.
    ///
    /// # Errors
    ///
    /// Where one names another namespace than `only`, or stands there twice.
    pub fn settle_namespaces(&mut self, only: Option<&str>, default: &str) -> Result<(), Error> {
        let mut seen: BTreeMap<Key, Place> = BTreeMap::new();
        for given in &mut self.applications {
            let named = given.key.namespace.clone();
            if named.is_empty() {
                let namespace = only.unwrap_or(default);
                given.key = Key::new(namespace, given.key.name.clone());
                given.object["metadata"]["namespace"] = Value::from(namespace);
            } else if let Some(only) = only.filter(|only| **only != *named) {
                let problem =
                    format!("Application {} names another namespace than {only}, which is asked for", given.key);
                return Err(Error::NoObject { place: given.place.clone(), problem });
            }
            if let Some(first) = seen.insert(given.key.clone(), given.place.clone()) {
                return Err(Error::Twice { place: given.place.clone(), first, key: given.key.to_string() });
            }
        }
        Ok(())
    }
}

/// Whether `version` is one of `resource`'s group.
fn is_of(resource: &Resource, version: &str) -> bool {
    version.split_once('/').is_some_and(|(group, _)| group == resource.group)
}

/// The documents of a YAML stream that hold anything, each with the line that its content begins on.
///
/// A line that begins with `---` and goes on with nothing or a space ends a document wherever it stands, block scalars
/// included (YAML 1.2.2, section 9.1.2).
fn documents(text: &str) -> Vec<(usize, &str)> {
    let is_marker = |line: &str| {
        let rest = line.strip_prefix("---");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    };
    let is_blank = |line: &str| matches!(line.trim_start().chars().next(), None | Some('#'));
    let mut documents = Vec::new();
    let (mut start, mut first, mut byte) = (0, None, 0);
    let mut end = |start: usize, end: usize, first: Option<usize>| {
        documents.extend(first.map(|line| (line, &text[start..end])));
    };
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let (content, number) = (line.trim_end_matches(['\n', '\r']), number + 1);
        if is_marker(content) {
            end(start, byte, first);
            // What stands behind the marker belongs to the document.
            (start, first) = (byte + 3, None);
            if !is_blank(&content[3..]) {
                first = Some(number);
            }
        } else if first.is_none() && !is_blank(content) && content.trim_end() != "..." && !content.starts_with('%') {
            (start, first) = (byte, Some(number));
        }
        byte += line.len();
    }
    end(start, byte, first);
    documents
}

fn parse(place: &Place, text: &str) -> Result<Value, Error> {
    // A message may go on for lines that show where; the first says what.
    serde_saphyr::from_str::<Value>(text).map_err(|error| {
        let offset = error.location().map_or(0, |location| location.line().saturating_sub(1));
        let line = place.line + usize::try_from(offset).unwrap_or_default();
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default();
        // The place is told in front of it already, as counted from the file's beginning.
        let problem =
            first.rsplit_once("column ").map_or(first, |(_, rest)| rest.trim_start_matches(|c: char| c != ' ').trim());
        let problem = problem.to_owned();
        Error::Syntax { place: Place { line, ..place.clone() }, problem }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "apiVersion: minetto.dev/v1alpha1\nkind: Application\nmetadata: {name: web}\n";

    fn read(text: &str) -> Result<Input, Error> {
        Input::read([("shop.yaml", text)])
    }

    fn complaint(text: &str) -> String {
        read(text).expect_err("it is of no use").to_string()
    }

    #[test]
    fn several_documents_are_found_at_their_lines() {
        let other = WEB.replace("web", "other");
        let text = format!("# A comment\n---\n\n{WEB}---\n# nothing\n--- \n{other}...\n");
        let places: Vec<_> =
            read(&text).unwrap().applications.iter().map(|given| (given.place.line, given.key.to_string())).collect();
        assert_eq!(places, [(4, "web".to_owned()), (10, "other".to_owned())]);
    }

    #[test]
    fn a_list_and_json_are_read_as_well() {
        let json = r#"{"apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "metadata": {"name": "a"}}"#;
        let list = format!("apiVersion: v1\nkind: List\nitems:\n- {json}\n- {}\n", json.replace("\"a\"", "\"b\""));
        assert_eq!(read(&format!("{json}\n---\n{}", list.replace("\"a\"", "\"c\""))).unwrap().applications.len(), 3);
        assert_eq!(read(&format!("--- {json}\n")).unwrap().applications.len(), 1);
    }

    #[test]
    fn other_kinds_are_skipped_and_namespaces_remembered() {
        let labels = "labels: {pod-security.kubernetes.io/enforce: restricted}";
        let text = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, {labels}}}\n---\n\
            apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: argo}}\n---\n{WEB}"
        );
        let input = read(&text).unwrap();
        let skipped: Vec<_> = input.skipped.iter().map(|skipped| (&*skipped.kind, skipped.place.line)).collect();
        assert_eq!(skipped, [("Namespace", 1), ("Application", 5)]);
        assert!(input.namespaces["shop"].enforces_restricted());
    }

    #[test]
    fn what_is_of_no_use_is_told_with_its_line() {
        for (text, expected) in [
            ("", "no Application in shop.yaml: there is no object in it"),
            ("# nothing\n---\n", "no Application in shop.yaml: there is no object in it"),
            ("apiVersion: v1\nkind: Service\n", "no Application in shop.yaml, only a Service"),
            ("- a\n", "shop.yaml:1: no Kubernetes object: it has no fields"),
            ("\nkind: Application\n", "shop.yaml:2: no Kubernetes object: it has no apiVersion"),
            ("a: b\n---\n", "shop.yaml:1: no Kubernetes object: it has no apiVersion"),
            (
                &WEB.replace("v1alpha1", "v2"),
                "shop.yaml:1: minetto.dev/v2 is unknown: Applications are minetto.dev/v1alpha1",
            ),
            (&WEB.replace("name", "nam"), "shop.yaml:1: the Application has no metadata.name"),
        ] {
            assert_eq!(complaint(text), expected, "{text}");
        }
        let broken = complaint(&format!("{WEB}---\n{WEB}spec: [\n"));
        assert!(broken.starts_with("shop.yaml:") && broken.contains("no YAML: "), "{broken}");
        let doubled = complaint(&format!("{WEB}---\n{WEB}spec:\n  port: 1\n  port: 2\n"));
        assert!(doubled.starts_with("shop.yaml:10: no YAML: "), "{doubled}");
    }

    #[test]
    fn a_namespace_is_the_files_own_or_the_one_that_is_asked_for() {
        let named = WEB.replace("name: web", "name: web, namespace: shop");
        let settled = |text: &str, only| {
            let mut input = read(text).unwrap();
            input.settle_namespaces(only, "default").map(|()| input.applications[0].key.to_string())
        };
        assert_eq!(settled(WEB, None).unwrap(), "default/web");
        assert_eq!(settled(WEB, Some("a")).unwrap(), "a/web");
        assert_eq!(settled(&named, Some("shop")).unwrap(), "shop/web");
        let refused = settled(&named, Some("a")).unwrap_err().to_string();
        assert_eq!(refused, "shop.yaml:1: Application shop/web names another namespace than a, which is asked for");
        let twice = settled(&format!("{named}---\n{WEB}"), Some("shop")).unwrap_err().to_string();
        assert_eq!(twice, "shop.yaml:5: Application shop/web stands in shop.yaml:1 already");
    }
}
