//! `Warning` headers in, each text out once. The API server warns so of deprecated versions, and of fields that it drops.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, header};

/// Texts that are remembered. A server that has more to say repeats itself after that, instead of taking memory for ever.
const REMEMBERED: usize = 1_000;

/// The warnings that were said already.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    said: Mutex<HashSet<String>>,
}

impl Warnings {
    /// The warnings in `headers` that are heard for the first time.
    pub(super) fn new_in(&self, headers: &HeaderMap) -> Vec<String> {
        let texts = headers.get_all(header::WARNING).into_iter().filter_map(|value| text(value.to_str().ok()?));
        let mut texts = texts.peekable();
        if texts.peek().is_none() {
            return Vec::new();
        }
        // Nothing under the lock can panic.
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        texts
            .filter(|text| {
                if said.len() >= REMEMBERED {
                    said.clear();
                }
                said.insert(text.clone())
            })
            .collect()
    }
}

/// The text of a header such as `299 - "spec.old is deprecated"` (RFC 7234, 5.5); the API server uses code 299 alone.
fn text(value: &str) -> Option<String> {
    let quoted = value.trim().strip_prefix("299 ")?.split_once(' ')?.1.strip_prefix('"')?;
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (header::WARNING, http::HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn each_warning_is_heard_once() {
        let warnings = Warnings::default();
        let both = headers(&[r#"299 - "spec.old is deprecated""#, r#"299 kube "unknown field \"spec.odd\"" "date""#]);
        assert_eq!(warnings.new_in(&both), ["spec.old is deprecated", r#"unknown field "spec.odd""#]);
        assert_eq!(warnings.new_in(&both), [""; 0]);
    }

    #[test]
    fn what_is_no_warning_of_an_api_server_is_passed_over() {
        for odd in ["", "299", "299 -", "199 - \"stale\"", "299 - \"no end", "299 - bare"] {
            assert_eq!(text(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_server_with_ever_new_warnings_takes_no_memory_for_ever() {
        let warnings = Warnings::default();
        for number in 0..3 * REMEMBERED {
            let mut headers = HeaderMap::new();
            headers.insert(header::WARNING, format!("299 - \"{number}\"").parse().expect("a header"));
            assert_eq!(warnings.new_in(&headers).len(), 1);
        }
        assert!(warnings.said.lock().expect("no panic").len() <= REMEMBERED);
    }
}
