//! Which objects of a kind a list, a watch or a cache is about. Pure.
//!
//! The server selects; what is kept beside a cache is held against the same [`Selector`] here, since the server will never
//! tell a cache of an object that is outside of it.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use crate::object::{Key, Map, Metadata};

/// What a source watches: namespaces, and which objects in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The namespaces; all of them, and what has no namespace, if there are none.
    pub namespaces: Vec<Arc<str>>,
    /// Which objects in these.
    pub selector: Selector,
}

/// What one list or watch is about: a collection in the API's terms, or a selection of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// The namespace; `None` for all of them, and for what has none.
    pub namespace: Option<Arc<str>>,
    /// Which objects in it.
    pub selector: Selector,
}

/// Which objects of a collection; all of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// What labels they have.
    pub labels: Labels,
    /// What fields they have. The server knows `metadata.name` and `metadata.namespace` of every kind, and few others.
    pub fields: Vec<Field>,
}

/// Label requirements, all of which hold. Read from and written as what `kubectl get --selector` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(pub Vec<Label>);

/// What one label is required to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Label {
    /// It is there, with one of these values.
    In(Box<str>, Vec<Box<str>>),
    /// It is not there, or has none of these values.
    NotIn(Box<str>, Vec<Box<str>>),
    /// It is there.
    Exists(Box<str>),
    /// It is not there.
    DoesNotExist(Box<str>),
}

/// What one field is required to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its path, such as `metadata.name`.
    pub path: Box<str>,
    /// Its value.
    pub value: Box<str>,
    /// Whether it has that value, or any but that.
    pub equal: bool,
}

/// A text that is no label selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no label selector")]
pub struct Error(String);

impl Scope {
    /// All objects of all namespaces.
    pub fn all() -> Self {
        Self::default()
    }

    /// All objects of `namespaces`; of all namespaces, if there are none.
    pub fn namespaces(namespaces: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        Self { namespaces: namespaces.into_iter().map(Into::into).collect(), selector: Selector::default() }
    }

    /// Of these, those whose labels fit `selector`, as in `kubectl get --selector`: `app=web,tier in (a, b),!canary`.
    ///
    /// # Errors
    ///
    /// If `selector` is no label selector.
    pub fn labels(mut self, selector: &str) -> Result<Self, Error> {
        self.selector.labels = selector.parse()?;
        Ok(self)
    }

    /// Of these, those whose field `path` has `value`.
    pub fn field(mut self, path: &str, value: &str) -> Self {
        self.selector.fields.push(Field { path: path.into(), value: value.into(), equal: true });
        self
    }

    /// The lists and watches that it takes: one a namespace, or one for all.
    pub fn collections(&self) -> Vec<Collection> {
        let of = |namespace| Collection { namespace, selector: self.selector.clone() };
        if self.namespaces.is_empty() {
            return vec![of(None)];
        }
        // One that is named twice is one all the same.
        let named_before = |place: usize| self.namespaces[..place].contains(&self.namespaces[place]);
        let places = (0..self.namespaces.len()).filter(|place| !named_before(*place));
        places.map(|place| of(Some(self.namespaces[place].clone()))).collect()
    }
}

impl Collection {
    /// All objects of one namespace, or of all.
    pub fn of(namespace: Option<&str>) -> Self {
        Self { namespace: namespace.map(Into::into), selector: Selector::default() }
    }

    /// One object alone.
    pub fn object(key: &Key) -> Self {
        let name = Field { path: "metadata.name".into(), value: (&*key.name).into(), equal: true };
        let selector = Selector { labels: Labels::default(), fields: vec![name] };
        Self { namespace: (!key.namespace.is_empty()).then(|| key.namespace.clone()), selector }
    }
}

impl Selector {
    /// Returns true if an object with `metadata` is selected, as far as its metadata tells: a field that is not in there is
    /// taken to fit.
    pub fn fits(&self, metadata: &Metadata) -> bool {
        self.labels.0.iter().all(|label| label.fits(&metadata.labels)) && self.fields.iter().all(|f| f.fits(metadata))
    }

    /// The field selector, as in `kubectl get --field-selector`.
    pub(super) fn fields(&self) -> String {
        let mut text = String::new();
        for field in &self.fields {
            let comma = if text.is_empty() { "" } else { "," };
            let sign = if field.equal { "=" } else { "!=" };
            let value = field.value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            // Writing to a string can't fail.
            let _ = write!(text, "{comma}{}{sign}{value}", field.path);
        }
        text
    }
}

impl Label {
    /// Returns true if `labels` have it as required.
    pub fn fits(&self, labels: &Map) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.iter().any(|known| **known == *value)),
            Self::NotIn(key, values) => {
                labels.get(key).is_none_or(|value| values.iter().all(|known| **known != *value))
            }
            Self::Exists(key) => labels.get(key).is_some(),
            Self::DoesNotExist(key) => labels.get(key).is_none(),
        }
    }
}

impl Field {
    fn fits(&self, metadata: &Metadata) -> bool {
        let value = match &*self.path {
            "metadata.name" => &metadata.name,
            "metadata.namespace" => &metadata.namespace,
            _ => return true,
        };
        (**value == *self.value) == self.equal
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, label) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            match label {
                Label::In(key, values) => write!(f, "{key} in ({})", values.join(","))?,
                Label::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(","))?,
                Label::Exists(key) => f.write_str(key)?,
                Label::DoesNotExist(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Labels {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (mut labels, mut rest) = (Vec::new(), text.trim());
        while !rest.is_empty() {
            let close = rest.find(')').unwrap_or(rest.len());
            // A comma within parentheses separates values.
            let end = match (rest.find(','), rest.find('(')) {
                (Some(comma), Some(open)) if open < comma => {
                    rest[close..].find(',').map_or(rest.len(), |comma| close + comma)
                }
                (comma, _) => comma.unwrap_or(rest.len()),
            };
            labels.push(label(rest[..end].trim()).ok_or_else(|| Error(text.to_owned()))?);
            rest = rest[end..].strip_prefix(',').unwrap_or_default().trim();
            if rest.is_empty() && text.trim_end().ends_with(',') {
                return Err(Error(text.to_owned()));
            }
        }
        Ok(Self(labels))
    }
}

fn label(text: &str) -> Option<Label> {
    let name = |text: &str| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
        (!text.is_empty() && text.bytes().all(is_name)).then(|| Box::<str>::from(text))
    };
    let value = |text: &str| if text.is_empty() { Some(Box::default()) } else { name(text) };
    if let Some(key) = text.strip_prefix('!') {
        return Some(Label::DoesNotExist(name(key.trim())?));
    }
    if let Some((key, only)) = text.split_once("!=") {
        return Some(Label::NotIn(name(key.trim())?, vec![value(only.trim())?]));
    }
    if let Some((key, only)) = text.split_once('=') {
        let only = only.strip_prefix('=').unwrap_or(only);
        return Some(Label::In(name(key.trim())?, vec![value(only.trim())?]));
    }
    if let Some((head, values)) = text.split_once('(') {
        let (key, operator) = head.trim().split_once(char::is_whitespace)?;
        let values = values.strip_suffix(')')?.split(',').map(|one| value(one.trim()));
        let (key, values) = (name(key)?, values.collect::<Option<_>>()?);
        return match operator.trim() {
            "in" => Some(Label::In(key, values)),
            "notin" => Some(Label::NotIn(key, values)),
            _ => None,
        };
    }
    Some(Label::Exists(name(text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(labels: &[(&str, &str)]) -> Metadata {
        let labels = labels.iter().copied().collect();
        Metadata { name: "web".into(), namespace: "shop".into(), labels, ..Metadata::default() }
    }

    #[test]
    fn what_kubectl_takes_is_read_and_written() {
        for (text, written) in [
            ("", ""),
            ("app=web", "app in (web)"),
            (" app == web , tier != db ", "app in (web),tier notin (db)"),
            ("tier in (a, b),app", "tier in (a,b),app"),
            ("app,tier notin (a,b), !canary", "app,tier notin (a,b),!canary"),
            ("example.dev/part-of=", "example.dev/part-of in ()"),
        ] {
            let labels: Labels = text.parse().expect(text);
            assert_eq!(labels.to_string(), written, "{text:?}");
            assert_eq!(written.parse(), Ok(labels), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_and_selects_nothing_by_mistake() {
        for text in [",", "a,", "a,,b", "a in b", "a in (b", "a like (b)", "a b", "a=b=c", "=b", "!", "a&limit=1"] {
            assert_eq!(text.parse::<Labels>(), Err(Error(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn labels_fit_as_the_api_server_says() {
        for (selector, labels, fits) in [
            ("app=web", &[("app", "web")][..], true),
            ("app=web", &[("app", "db")], false),
            ("app=web", &[], false),
            ("app!=web", &[], true),
            ("app notin (web)", &[("app", "web")], false),
            ("app in (web, db)", &[("app", "db")], true),
            ("app", &[("app", "")], true),
            ("!app", &[("app", "")], false),
            ("app=web,!canary", &[("app", "web"), ("canary", "yes")], false),
        ] {
            let scope = Scope::all().labels(selector).expect(selector);
            assert_eq!(scope.selector.fits(&labelled(labels)), fits, "{selector} {labels:?}");
        }
    }

    #[test]
    fn fields_fit_as_far_as_they_are_known() {
        let fits = |path, value| Scope::all().field(path, value).selector.fits(&labelled(&[]));
        assert!(fits("metadata.name", "web") && !fits("metadata.name", "db"));
        assert!(fits("metadata.namespace", "shop") && !fits("metadata.namespace", "other"));
        assert!(fits("status.phase", "Running"), "the server knows");
    }

    #[test]
    fn a_value_cannot_break_out_of_a_field_selector() {
        let scope = Scope::all().field("metadata.name", "a,b=c\\d").field("spec.x", "y");
        assert_eq!(scope.selector.fields(), "metadata.name=a\\,b\\=c\\\\d,spec.x=y");
    }

    #[test]
    fn a_scope_takes_a_list_for_each_of_its_namespaces() {
        let namespaces =
            |scope: Scope| -> Vec<_> { scope.collections().into_iter().map(|one| one.namespace).collect() };
        assert_eq!(namespaces(Scope::all()), [None]);
        assert_eq!(namespaces(Scope::namespaces(["a", "b", "a"])), [Some("a".into()), Some("b".into())]);
    }
}
