//! Method, path and query → what is asked, of which resource.

use std::collections::BTreeMap;

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
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.map(|(name, value)| (decode(name), decode(value))).collect(),
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

/// A text with its `%XX` as the bytes that they mean, and `+` as a blank.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..2).and_then(|code| str::from_utf8(code).ok());
        match (first, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = others;
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
