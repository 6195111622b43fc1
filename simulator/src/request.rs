//! Method, path and query → what is asked, of which resource.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::failure::Failure;

/// A request of HTTP, without its transport.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query's parameters, decoded.
    pub query: BTreeMap<String, String>,
    /// The header `Content-Type`, without its parameters.
    pub content_type: String,
    /// The header `Accept`.
    pub accept: String,
    /// The header `User-Agent`.
    pub user_agent: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Where a path leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Empty for the core.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
    /// Such as `configmaps`.
    pub plural: String,
    /// Empty for all, and for what lives in none.
    pub namespace: String,
    /// Empty for the collection.
    pub name: String,
    /// Empty for the object itself.
    pub subresource: String,
}

impl Request {
    /// From method and URI (path and query).
    pub fn new(method: &str, uri: &str) -> Self {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            ..Self::default()
        }
    }

    /// A parameter; empty if it is absent.
    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// Whether a parameter says yes.
    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.parameter(name), "true" | "1")
    }

    /// Who writes: `fieldManager`, or else what the user agent begins with.
    pub fn manager(&self) -> String {
        match self.parameter("fieldManager") {
            "" => self.user_agent.split('/').next().unwrap_or_default().to_owned(),
            manager => manager.to_owned(),
        }
    }

    /// Where the path leads.
    ///
    /// # Errors
    ///
    /// If it has not the form of a resource's.
    pub fn target(&self) -> Result<Target, Failure> {
        let mut steps: Vec<String> = self.path.trim_matches('/').split('/').map(decode).collect();
        steps.reverse();
        let mut next = || steps.pop().unwrap_or_default();
        let group = match next().as_str() {
            "api" => String::new(),
            "apis" => next(),
            _ => return Err(Failure::no_route()),
        };
        let mut target = Target { group, version: next(), plural: next(), ..Target::default() };
        target.name = next();
        target.subresource = next();
        let is_own = matches!(target.subresource.as_str(), "" | "status" | "finalize");
        if target.plural == "namespaces" && !is_own {
            target.namespace = std::mem::take(&mut target.name);
            target.plural = std::mem::take(&mut target.subresource);
            target.name = next();
            target.subresource = next();
        }
        if target.plural.is_empty() || !next().is_empty() { Err(Failure::no_route()) } else { Ok(target) }
    }
}

/// A text with its `%XX` as the bytes that they mean.
pub fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_blank_in_a_query_and_itself_in_a_path() {
        let request =
            Request::new("GET", "/api/v1/namespaces/a%2fb/configmaps/c+d?labelSelector=e+in+%28f%2Bg%29&&watch");
        let target = request.target().unwrap();
        assert_eq!((target.namespace.as_str(), target.name.as_str()), ("a/b", "c+d"));
        assert_eq!(request.parameter("labelSelector"), "e in (f+g)");
        assert_eq!(request.query.get("watch").map(String::as_str), Some(""));
    }
}
