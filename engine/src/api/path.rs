//! Resource, key and part in, path of a URL out. Pure.

use super::{Error, Subresource};
use crate::object::{Key, Resource};

pub(super) fn collection_path(resource: &Resource, namespace: Option<&str>) -> Result<String, Error> {
    let mut path = if resource.group.is_empty() { String::from("/api/") } else { format!("/apis/{}/", resource.group) };
    path.push_str(resource.version);
    if let Some(namespace) = namespace {
        path.push_str("/namespaces/");
        path.push_str(segment(namespace)?);
    }
    path.push('/');
    path.push_str(resource.plural);
    Ok(path)
}

pub(super) fn object_path(resource: &Resource, key: &Key, subresource: Option<Subresource>) -> Result<String, Error> {
    let namespace = (!key.namespace.is_empty()).then_some(&*key.namespace);
    let mut path = collection_path(resource, namespace)?;
    path.push('/');
    path.push_str(segment(&key.name)?);
    if let Some(subresource) = subresource {
        path.push('/');
        path.push_str(segment(subresource.name())?);
    }
    Ok(path)
}

/// Refuses a name that would lead a request astray; the API server allows no such name, so this one never existed.
fn segment(name: &str) -> Result<&str, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'_');
    if !name.is_empty() && name != "." && name != ".." && name.bytes().all(plain) {
        Ok(name)
    } else {
        Err(Error::Request(format!("{name:?} is no name of an object")))
    }
}

/// Appends a parameter.
pub(super) fn query(path: &mut String, name: &str, value: &str) {
    path.push(if path.contains('?') { '&' } else { '?' });
    path.push_str(name);
    path.push('=');
    escape(value, path);
}

/// Percent-encodes a query value (RFC 3986).
pub(super) fn escape(value: &str, into: &mut String) {
    use std::fmt::Write as _;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: Resource = Resource { group: "apps", version: "v1", kind: "Deployment", plural: "deployments" };
    const SERVICE: Resource = Resource { group: "", version: "v1", kind: "Service", plural: "services" };

    #[test]
    fn paths_are_those_of_the_kubernetes_api() {
        let key = Key::new("shop", "web");
        assert_eq!(
            object_path(&DEPLOYMENT, &key, Some(Subresource::Status)).expect("a path"),
            "/apis/apps/v1/namespaces/shop/deployments/web/status"
        );
        assert_eq!(collection_path(&SERVICE, None).expect("a path"), "/api/v1/services");
    }

    #[test]
    fn a_name_that_would_change_the_path_is_refused() {
        for name in ["", "..", "a/b", "a?b", "a%2fb", "a b"] {
            let key = Key::new("shop", name);
            assert!(object_path(&SERVICE, &key, None).is_err(), "{name:?}");
            assert!(object_path(&SERVICE, &Key::new(name, "web"), None).is_err() || name.is_empty(), "{name:?}");
        }
        let part = Some(Subresource::Other("../secrets"));
        assert!(object_path(&SERVICE, &Key::new("shop", "web"), part).is_err());
    }

    #[test]
    fn query_values_are_escaped() {
        let mut escaped = String::new();
        escape("a+b/c=&é", &mut escaped);
        assert_eq!(escaped, "a%2Bb%2Fc%3D%26%C3%A9");
    }
}
