//! The rules: each is a function from files to complaints. The tests hand it a file that breaks it, since a rule that can't fail
//! proves nothing.

use super::source::{heads, words};
use super::tree::File;

/// The most lines that a file may have before its tests: what one still reads in one go.
const LONGEST: usize = 400;

/// The crates whose modules stand in the order in which data flows.
const ORDERED: [&str; 3] = ["engine/src/", "simulator/src/", "src/"];

/// What talks to sockets and certificates; known to the engine's transport alone, and to the simulator's port at the other
/// end.
const WIRE: [&str; 5] = ["hyper", "hyper_util", "hyper_rustls", "rustls", "rustls_pemfile"];

/// What a pure module may not do: wait, log, read a clock, roll dice.
const IMPURE: [&str; 6] = ["await", "tracing", "Instant::now", "SystemTime", "Timestamp::now", "fastrand"];

/// Held to be pure without saying so: reading a cache takes its lock, and nothing more.
const AS_GOOD_AS_PURE: &str = "src/observe.rs";

/// How a path below the folder of all homes goes on if it is an example's, and nobody's.
const NOBODY: [&str; 3] = ["me/", ".kube/", "…"];

pub(crate) fn headers(files: &[File]) -> Vec<String> {
    let without = files.iter().filter(|file| file.is_rust() && !file.text.starts_with("//! "));
    without.map(|file| file.at(0, "the first line has to be `//!` and what enters, what leaves")).collect()
}

pub(crate) fn directions(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for root in ORDERED {
        let list = format!("{root}lib.rs");
        let modules = modules(files, &list);
        let place = |name: &str| modules.iter().position(|(module, _)| *module == name);
        let members = files.iter().filter(|file| file.is_rust() && file.path.starts_with(root));
        for file in members.filter(|file| file.path != list && file.path != format!("{root}main.rs")) {
            let steps: Vec<&str> = file.path[root.len()..].trim_end_matches(".rs").split('/').collect();
            let Some(own) = place(steps[0]) else {
                complaints.push(file.at(0, &format!("{list} does not list this module")));
                continue;
            };
            for (byte, name) in references(file, steps.len()) {
                let what = match place(&name) {
                    Some(other) if other <= own => continue,
                    Some(_) => format!("`{}` names `{name}`, which stands below it in {list}", steps[0]),
                    None => format!("`crate::{name}` is no module of {list}"),
                };
                complaints.push(file.at(file.line_of(byte), &what));
            }
        }
    }
    complaints
}

pub(crate) fn names(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && ORDERED.iter().any(|root| file.path.starts_with(root))) {
        let ends = ["engine/src/transport", "simulator/src/port"];
        let is_end =
            ends.iter().any(|end| file.path == format!("{end}.rs") || file.path.starts_with(&format!("{end}/")));
        for (number, line) in file.code.lines().enumerate() {
            for name in WIRE.iter().filter(|name| words(line, name).next().is_some()) {
                if !is_end {
                    complaints.push(file.at(number, &format!("only {} may name {name}", ends.join(" and "))));
                } else if *name == "rustls_pemfile" && file.path != "engine/src/transport/pem.rs" {
                    complaints.push(file.at(number, "only engine/src/transport/pem.rs may name rustls_pemfile"));
                }
            }
            // Behind `::` it is the engine's module of that name.
            let is_crate = |byte: usize| line[byte..].starts_with("backoff::") && !line[..byte].ends_with("e::");
            if file.path != "engine/src/backoff.rs" && words(line, "backoff").any(is_crate) {
                complaints.push(file.at(number, "only engine/src/backoff.rs may name the crate backoff"));
            }
        }
    }
    complaints
}

pub(crate) fn strangers(files: &[File]) -> Vec<String> {
    let strangers = ["Application", "minetto"];
    let of_engine = files.iter().filter(|file| file.path.starts_with("engine/"));
    mentions(of_engine, &strangers, |name| format!("the engine has never heard of `{name}`"))
}

pub(crate) fn purity(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let mark = ORDERED.iter().find_map(|root| mark(files, file, root));
        let Some(purity) = mark.or_else(|| file.says_pure().then_some(Purity::Whole)) else { continue };
        for (number, line) in file.lines_without_tests() {
            let found = IMPURE.iter().find(|impure| words(line, impure).next().is_some());
            // The lock of a cache may be waited for, which reads `.wait_for(…).await`.
            let is_lock = purity == Purity::ButForItsLock && line.contains(".wait_for(");
            if let Some(impure) = found.filter(|_| !is_lock) {
                complaints.push(file.at(number, &format!("this is pure, and may not name `{impure}`")));
            }
        }
    }
    complaints
}

#[derive(PartialEq, Eq)]
enum Purity {
    Whole,
    ButForItsLock,
}

/// How pure a file is by the mark that its module has in the `lib.rs` of `root`.
fn mark(files: &[File], file: &File, root: &str) -> Option<Purity> {
    if file.path == AS_GOOD_AS_PURE {
        return Some(Purity::Whole);
    }
    let inner = file.path.strip_prefix(root)?.trim_end_matches(".rs");
    let (name, is_root) = inner.split_once('/').map_or((inner, true), |(name, _)| (name, false));
    match modules(files, &format!("{root}lib.rs")).into_iter().find(|(module, _)| *module == name)?.1 {
        mark if mark.starts_with("pure, with a thin async shell") => (!is_root).then_some(Purity::Whole),
        mark if mark.starts_with("pure but for its lock") => Some(Purity::ButForItsLock),
        mark if mark.starts_with("pure:") => Some(Purity::Whole),
        mark if mark.starts_with("pure") => panic!("{root}{name}: no rule for the mark `{mark}`"),
        _ => None,
    }
}

pub(crate) fn sizes(files: &[File]) -> Vec<String> {
    let folders = ["src/", "engine/src/", "simulator/src/", "cluster/src/", "testbed/src/", "examples/", "benches/"];
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && !file.is_tests()) {
        let lines = if file.tests.is_empty() { file.text.lines().count() } else { file.tests.start };
        if lines > LONGEST && folders.iter().any(|folder| file.path.starts_with(folder)) {
            complaints.push(file.at(LONGEST, &format!("{lines} lines before the tests, and {LONGEST} are the most")));
        }
    }
    complaints
}

pub(crate) fn leftovers(files: &[File]) -> Vec<String> {
    // In halves, so that this file is none of its own finds.
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("dbg", "!(")];
    mentions(files.iter(), &notes, |note| format!("finish it, or leave it out: `{note}`"))
}

pub(crate) fn paths(files: &[File]) -> Vec<String> {
    let [work, root, home] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let mut complaints = Vec::new();
    // The paths in a Dockerfile are the image's.
    for file in files.iter().filter(|file| file.path != "Dockerfile") {
        for (number, line) in file.text.lines().enumerate() {
            let of_machine = [work, root].iter().any(|path| line.contains(path));
            let mut homes = line.split(home).skip(1);
            if of_machine || homes.any(|rest| NOBODY.iter().all(|nobody| !rest.starts_with(nobody))) {
                complaints.push(file.at(number, "a path of somebody's machine"));
            }
        }
    }
    complaints
}

/// A complaint for each line that has one of `texts` in it, comments and all.
fn mentions<'a>(
    files: impl Iterator<Item = &'a File>,
    texts: &[&str],
    complaint: impl Fn(&str) -> String,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            for text in texts.iter().filter(|text| line.contains(**text)) {
                complaints.push(file.at(number, &complaint(text)));
            }
        }
    }
    complaints
}

/// The modules that a `lib.rs` lists, in its order, each with the comment behind it.
pub(crate) fn modules<'a>(files: &'a [File], list: &str) -> Vec<(&'a str, &'a str)> {
    let Some(list) = files.iter().find(|file| file.path == list) else {
        return Vec::new();
    };
    let lines = list.text.lines().filter_map(|line| line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod "));
    lines
        .filter_map(|line| line.split_once(';'))
        .map(|(name, comment)| (name, comment.trim_start_matches([' ', '/'])))
        .collect()
}

/// The names that follow `crate::`, or as many `super::` as lead to the crate, and where they stand. The file is `depth`
/// modules below the crate.
fn references(file: &File, depth: usize) -> Vec<(usize, String)> {
    let code = &file.code;
    let mut found = Vec::new();
    for byte in words(code, "crate") {
        if let Some(rest) = code[byte..].strip_prefix("crate::") {
            found.extend(heads(rest).into_iter().map(|name| (byte, name)));
        }
    }
    for byte in words(code, "super").filter(|byte| !code[..*byte].ends_with("super::")) {
        let rest = code[byte..].trim_start_matches("super::");
        let steps = (code.len() - byte - rest.len()) / "super::".len();
        let inline = usize::from(file.tests.len() > 1 && file.tests.contains(&file.line_of(byte)));
        if steps == depth + inline && inline == 0 {
            found.extend(heads(rest).into_iter().map(|name| (byte, name)));
        }
    }
    found
}

/// What `rule` has to say of a tree in which both crates have the modules `first`, `second` and `third`.
pub(crate) fn complaints(rule: fn(&[File]) -> Vec<String>, path: &str, text: &str) -> Vec<String> {
    let list = "//! A.\n\npub mod first; // pure: a -> b\npub mod second; // pure, with a thin async shell\n\
        mod third; // pure but for its lock\n";
    let files = [File::new("engine/src/lib.rs", list), File::new("src/lib.rs", list), File::new(path, text)];
    rule(&files)
}

#[test]
fn a_file_without_a_header_is_found() {
    assert_eq!(complaints(headers, "src/first.rs", "//! Says it.\n"), [""; 0]);
    let complaints = complaints(headers, "src/first.rs", "use std::fs;\n");
    assert_eq!(complaints, ["src/first.rs:1: the first line has to be `//!` and what enters, what leaves"]);
}

#[test]
fn an_import_from_below_is_found_in_every_form() {
    let below = "src/second.rs:1: `second` names `third`, which stands below it in src/lib.rs";
    for text in [
        "use crate::third::A;",
        "use crate::{first, third::{self, B}};",
        "fn f(a: crate::third::A) {}",
        "use super::third;",
    ] {
        assert_eq!(complaints(directions, "src/second.rs", text), [below], "{text}");
    }
    assert_eq!(
        complaints(directions, "src/second/inner.rs", "use super::super::third;"),
        [below.replace("second.rs", "second/inner.rs")]
    );
    assert_eq!(
        complaints(directions, "src/first.rs", "#[cfg(test)]\nmod tests {\n    use crate::third;\n}\n").len(),
        1
    );
    assert_eq!(complaints(directions, "engine/src/first.rs", "use crate::fourth;").len(), 1);
    assert_eq!(complaints(directions, "src/fourth.rs", "").len(), 1, "the module is not listed");
}

#[test]
fn an_import_from_above_or_within_is_none_of_the_tests_business() {
    let text = "// crate::third\nuse crate::{first::A, second::{self, third}};\nuse super::first;\n\
        #[cfg(test)]\nmod tests {\n    use super::*;\n    use super::inner;\n}\n";
    assert_eq!(complaints(directions, "engine/src/second.rs", text), [""; 0]);
}

#[test]
fn a_name_from_the_wire_is_found_outside_of_the_transport() {
    for (path, text) in [
        ("engine/src/api.rs", "use hyper::body::Body;"),
        ("src/run.rs", "fn f() { rustls::crypto::ring::default_provider(); }"),
        ("engine/src/transport/tls.rs", "use rustls_pemfile::certs;"),
        ("engine/src/queue.rs", "use backoff::ExponentialBackoff;"),
    ] {
        assert_eq!(complaints(names, path, text).len(), 1, "{text}");
    }
    assert_eq!(complaints(names, "engine/src/transport/tls.rs", "use rustls::ClientConfig;"), [""; 0]);
    assert_eq!(complaints(names, "engine/src/queue.rs", "//! Not hyper.\nuse crate::backoff::Schedule;"), [""; 0]);
}

#[test]
fn an_engine_that_knows_the_operator_is_found() {
    assert_eq!(complaints(strangers, "engine/src/first.rs", "//! Feeds the Application.\n").len(), 1);
    assert_eq!(complaints(strangers, "src/first.rs", "//! Feeds the Application.\n"), [""; 0]);
}

#[test]
fn an_impure_module_is_found_and_its_tests_are_not() {
    let text =
        "fn f() { let now = Instant::now(); }\n\n#[cfg(test)]\nmod tests {\n    // tokio\n    use tracing::info;\n}\n";
    let complaint = "src/first.rs:1: this is pure, and may not name `Instant::now`";
    assert_eq!(complaints(purity, "src/first.rs", text), [complaint]);
    assert_eq!(complaints(purity, "src/first/inner.rs", text).len(), 1);
    assert_eq!(complaints(purity, "src/first/tests.rs", text), [""; 0]);
    assert_eq!(complaints(purity, "src/second.rs", text), [""; 0], "the shell");
    assert_eq!(complaints(purity, "src/second/inner.rs", text).len(), 1, "what the shell is around");
    assert_eq!(complaints(purity, "src/third.rs", "fn f() { a.wait_for(b).await; awaited }"), [""; 0]);
    assert_eq!(complaints(purity, "src/third.rs", "fn f() { a.get(b).await; }").len(), 1);
    assert_eq!(complaints(purity, "src/observe.rs", "use tracing::info;").len(), 1);
    assert_eq!(
        complaints(purity, "src/fourth.rs", "//! A in,\n//! B out. Pure: no\n//! clock.\nuse tracing::info;").len(),
        1
    );
    assert_eq!(complaints(purity, "src/fourth.rs", "//! Some of it is pure.\nuse tracing::info;"), [""; 0]);
}

#[test]
fn a_long_file_is_found_and_long_tests_are_not() {
    assert_eq!(complaints(sizes, "src/first.rs", &"//! A.\n".repeat(LONGEST + 1)).len(), 1);
    let text =
        format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "//! A.\n".repeat(LONGEST), "    // B.\n".repeat(LONGEST));
    assert_eq!(complaints(sizes, "src/first.rs", &text), [""; 0]);
}

#[test]
fn a_note_to_oneself_and_a_path_of_ones_own_are_found() {
    assert_eq!(complaints(leftovers, "src/first.rs", concat!("// TO", "DO: later")).len(), 1);
    for text in [concat!("cd /wo", "rk/main"), concat!("~ is /ro", "ot/"), concat!("in /ho", "me/mary/")] {
        assert_eq!(complaints(paths, "README.md", text).len(), 1, "{text}");
    }
    assert_eq!(complaints(paths, "README.md", concat!("in /ho", "me/me/.kube/config")), [""; 0]);
}
