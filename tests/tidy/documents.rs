//! The rules about documents: what they point to is there, and what they list is whole.

use super::rules::{complaints, modules};
use super::source::is_word;
use super::tree::{File, ends};

pub(crate) fn links(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| ends(&file.path, "md")) {
        let folder = file.path.rfind('/').map_or("", |slash| &file.path[..=slash]);
        for (number, line) in file.text.lines().enumerate() {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            for target in targets.filter(|target| !target.contains("://")) {
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let path = if path.is_empty() { file.path.clone() } else { resolved(&format!("{folder}{path}")) };
                let there = files.iter().find(|file| file.path == path);
                // A folder counts as well.
                if there.is_none() && !files.iter().any(|file| file.path.starts_with(&format!("{path}/"))) {
                    complaints.push(file.at(number, &format!("there is no {path}")));
                }
                let document = there.filter(|there| ends(&there.path, "md") && !anchor.is_empty());
                if document.is_some_and(|document| headings(&document.text).all(|heading| slug(heading) != anchor)) {
                    complaints.push(file.at(number, &format!("{path} has no heading #{anchor}")));
                }
            }
            for source in
                line.split('`').skip(1).step_by(2).filter(|code| ends(code, "rs") && !code.contains([' ', '*']))
            {
                let end = format!("/{source}");
                if !files.iter().any(|file| file.path == source || file.path.ends_with(&end)) {
                    complaints.push(file.at(number, &format!("there is no {source}")));
                }
            }
        }
    }
    complaints
}

/// The headings of a document in Markdown.
fn headings(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter_map(move |line| {
        is_code ^= line.trim_start().starts_with("```");
        line.strip_prefix('#').filter(|_| !is_code).map(|line| line.trim_start_matches('#').trim())
    })
}

/// The anchor that a heading gets where it is read: <https://docs.github.com>, "Section links".
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|character| is_word(*character) || matches!(character, ' ' | '-'));
    kept.map(|character| if character == ' ' { '-' } else { character }).flat_map(char::to_lowercase).collect()
}

pub(crate) fn tables(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path == "ARCHITECTURE.md") {
        for (head, list) in [("| engine | | |", "engine/src/lib.rs"), ("| src | | |", "src/lib.rs")] {
            let rows =
                file.text.lines().skip_while(|line| *line != head).skip(2).take_while(|line| line.starts_with('|'));
            let told: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
            let there: Vec<&str> = modules(files, list).into_iter().map(|(name, _)| name).collect();
            if told != there {
                complaints
                    .push(format!("{}: of the modules in {list}, which are {there:?}, it has {told:?}", file.path));
            }
        }
    }
    complaints
}

/// A path without `..`.
fn resolved(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/")
}

#[test]
fn a_link_to_nowhere_is_found() {
    let text = "[a](src/lib.rs) [b](https://example.com) [d](src) [e](src/lib.rs#L1)\n[f](src/fifth.rs)\n";
    assert_eq!(complaints(links, "README.md", text), ["README.md:2: there is no src/fifth.rs"]);
    let text = "[a](../src/lib.rs) [b](../src/fifth.rs)\n";
    assert_eq!(complaints(links, "engine/README.md", text), ["engine/README.md:1: there is no src/fifth.rs"]);
    let text = "`lib.rs`, `src/lib.rs`, `*.rs`, `src/fifth.rs`\n";
    assert_eq!(complaints(links, "README.md", text), ["README.md:1: there is no src/fifth.rs"]);
}

#[test]
fn an_anchor_that_no_heading_has_is_found() {
    let text = "## What `make test` does, and *why*\n```sh\n# No heading\n```\n\
        [a](#what-make-test-does-and-why) [b](#no-heading) [c](README.md#what)\n";
    let missing = ["no-heading", "what"].map(|anchor| format!("README.md:5: README.md has no heading #{anchor}"));
    assert_eq!(complaints(links, "README.md", text), missing);
}

#[test]
fn a_table_that_leaves_out_a_module_is_found() {
    let table = |rows: &str| format!("| engine | | |\n|---|---|---|\n{rows}\n| src | | |\n|---|---|---|\n{rows}");
    let whole = "| `first` | `a` | |\n| `second` | | |\n| `third` | | |\n";
    assert_eq!(complaints(tables, "ARCHITECTURE.md", &table(whole)), [""; 0]);
    assert_eq!(complaints(tables, "ARCHITECTURE.md", &table("| `first` | | |\n| `third` | | |\n")).len(), 2);
}
