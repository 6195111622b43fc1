//! URLs as people write them: text enters, a URL leaves, or what is wrong with it.

use http::Uri;

/// Reads a URL, or says what is wrong with `what` without quoting it.
///
/// A host beyond ASCII is refused: what goes over the wire is its punycode form (RFC 3492), and the rules that lead there (IDNA,
/// which Go's HTTP client follows) are tables of a size that one name in a configuration is not worth.
pub(super) fn parse(what: &str, url: &str) -> Result<Uri, String> {
    url.parse().map_err(|_| {
        if host(url).is_ascii() {
            format!("{what} is no URL")
        } else {
            format!("the host of {what} is not ASCII: write its punycode form, which begins with xn--")
        }
    })
}

/// What stands where the host does.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_beyond_ascii_is_told_apart_from_what_is_no_url() {
        for url in ["https://bücher.example", "http://me:hunter2@пример.example:3128/", "例え.example:80"] {
            let problem = parse("its server", url).unwrap_err();
            let told = "the host of its server is not ASCII: write its punycode form, which begins with xn--";
            assert_eq!(problem, told, "{url}");
        }
        for url in ["https://a b", "https://bücher:hunter2@example"] {
            assert_eq!(parse("its server", url).unwrap_err(), "its server is no URL", "{url}");
        }
        assert_eq!(parse("it", "https://xn--bcher-kva.example").unwrap().host(), Some("xn--bcher-kva.example"));
        assert!(parse("it", "https://example/bücher").is_ok(), "a path may be anything");
    }
}
