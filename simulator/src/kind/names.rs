//! Which names are allowed (RFC 1123).

use crate::resource::Nature;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
    and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
/// Why an object may not have this name.
pub fn problem(nature: Nature, name: &str) -> Option<&'static str> {
    let is_label = |name: &str| {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !name.is_empty() && name.bytes().all(is_inner) && !name.starts_with('-') && !name.ends_with('-')
    };
    match nature {
        Nature::Namespace | Nature::Service => (!is_label(name) || name.len() > 63).then_some(LABEL),
        _ => (!name.split('.').all(is_label) || name.len() > 253).then_some(SUBDOMAIN),
    }
}
