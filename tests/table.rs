//! The page that says which test shows what: each test that it names exists.

use std::fs;
use std::path::Path;

/// Names in backticks in the rows of tables of `page`: a file, and after it the tests in that file. What is missing.
fn missing(page: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut missing = Vec::new();
    for row in page.lines().filter(|line| line.starts_with('|')) {
        let mut file: Option<(&str, String)> = None;
        for name in row.split('`').skip(1).step_by(2) {
            if Path::new(name).extension().is_some_and(|extension| extension == "rs") {
                let text = read(name);
                if text.is_none() {
                    missing.push(format!("there is no {name}"));
                }
                file = text.map(|text| (name, text));
            } else if let Some((path, text)) = file.as_ref().filter(|_| is_test(name))
                && !text.contains(&format!("fn {name}("))
            {
                missing.push(format!("there is no {name} in {path}"));
            }
        }
    }
    missing
}

/// A sentence with underlines, which no other name is.
fn is_test(name: &str) -> bool {
    name.matches('_').count() > 2 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[test]
fn every_test_that_the_page_on_the_engine_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/engine.md")).expect("the page");
    assert!(page.matches("`src/").count() > 30, "tests are named in another way than is looked for");
    let missing = missing(&page, |file| fs::read_to_string(root.join("engine").join(file)).ok());
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

#[test]
fn a_test_that_is_not_there_is_found() {
    let read = |file: &str| (file == "src/a.rs").then(|| "fn it_is_as_it_is_said() {}".to_owned());
    assert_eq!(missing("| a | `src/a.rs` `it_is_as_it_is_said` |", read), [""; 0]);
    assert_eq!(missing("| a | `src/a.rs` `it_is_as_it_is` |", read), ["there is no it_is_as_it_is in src/a.rs"]);
    assert_eq!(missing("| a | `src/b.rs` `it_is_as_it_is_said` |", read), ["there is no src/b.rs"]);
    assert_eq!(missing("`src/b.rs` outside of a table, `a_b` of no file |", read), [""; 0]);
}
