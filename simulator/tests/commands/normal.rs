//! What kubectl prints → the same without what must differ: ages, times, uids, versions, addresses, ports, temporary files.
//!
//! A uid, a version or an address becomes its number in the order of first appearance, so that where one server says the same
//! twice, the other has to as well.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::side::Told;

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

/// What becomes a word.
static WORDS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let words = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
        (r"https://127\.0\.0\.1:\d+", "SERVER"),
        (r"127\.0\.0\.1:\d+", "SERVER"),
        // Where a log line comes from.
        (r"(?m)^[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "LOG "),
        (r"(LIVE|MERGED)-\d+", "$1"),
        (r"kubectl-edit-\d+", "kubectl-edit"),
        // What `diff` prints of files.
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}", "TIME"),
        // Ages, in a table or by themselves.
        (r"(?m)(^|[ (])(\d+(ms|s|m|h|d)){1,2}( ago\)?| |$)", "${1}AGE${4}"),
    ];
    words.map(|(pattern, word)| (regex(pattern), word)).into()
});

/// What becomes a numbered word. The number is what the last group matches.
static NUMBERED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let sorts = [
        (r"()([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", "uid"),
        (r#"(resourceVersion"?: "|Resource Version: +)([0-9]+)"#, "version"),
        (r"()(\b10\.0\.\d{1,3}\.\d{1,3}\b)", "address"),
        (r"()(\b3[0-2][0-9]{3}\b)", "port"),
        (r"(made-)([a-z0-9]{5}\b)", "name"),
    ];
    sorts.map(|(pattern, sort)| (regex(pattern), sort)).into()
});

/// Blanks between columns: how many depends on how long the ages are.
static BLANKS: LazyLock<Regex> = LazyLock::new(|| regex(r"(\S)  +"));

/// Blanks at the end of a line.
static TRAILING: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m) +$"));

/// What has been seen of one server.
#[derive(Default)]
pub(crate) struct Normal {
    seen: HashMap<(&'static str, String), usize>,
    counts: HashMap<&'static str, usize>,
}

impl Normal {
    pub(crate) fn told(&mut self, told: &Told) -> Told {
        Told { code: told.code, out: self.text(&told.out), err: self.text(&told.err) }
    }

    fn text(&mut self, text: &str) -> String {
        let text =
            WORDS.iter().fold(text.to_owned(), |text, (pattern, word)| pattern.replace_all(&text, *word).into_owned());
        let text = NUMBERED.iter().fold(text, |text, (pattern, sort)| {
            pattern
                .replace_all(&text, |found: &Captures<'_>| format!("{}{}", &found[1], self.name(sort, &found[2])))
                .into_owned()
        });
        let text = BLANKS.replace_all(&text, "$1  ");
        TRAILING.replace_all(&text, "").into_owned()
    }

    fn name(&mut self, sort: &'static str, value: &str) -> String {
        let counts = &mut self.counts;
        let number = self.seen.entry((sort, value.to_owned())).or_insert_with(|| {
            let count = counts.entry(sort).or_default();
            *count += 1;
            *count
        });
        format!("{sort}-{number}")
    }
}

#[test]
fn what_must_differ_is_left_out_and_nothing_else_is() {
    let mut normal = Normal::default();
    for (text, left) in [
        ("web    1/1     1            1           12s\n", "web  1/1  1  1  AGE\n"),
        ("web   2m3s\n", "web  AGE\n"),
        ("  resourceVersion: \"71\"\n", "  resourceVersion: \"version-1\"\n"),
        ("  resourceVersion: \"72\"\n", "  resourceVersion: \"version-2\"\n"),
        ("web  NodePort  10.0.3.7  <none>  80:31234/TCP  0s", "web  NodePort  address-1  <none>  80:port-1/TCP  AGE"),
        ("sum: 7s away", "sum: AGE away"),
        ("replicas: 3\n", "replicas: 3\n"),
    ] {
        assert_eq!(normal.text(text), left);
    }
}
