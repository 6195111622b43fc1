//! The text files of the project, and of each which lines are code and which of these are tests.

use std::fs;
use std::ops::Range;
use std::path::Path;

use super::source::{lines_of_tests, without_comments_and_literals};

/// What holds nothing of the project's own.
const SKIPPED: [&str; 2] = ["target", ".git"];

/// A text file of the project.
pub(crate) struct File {
    /// From the project's root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// `text` of a Rust file with blanks in place of comments and literals, so that what is left is code.
    pub(crate) code: String,
    /// The lines of the module `tests`, if there is one.
    pub(crate) tests: Range<usize>,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if is_rust(path) { without_comments_and_literals(text) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code, tests: lines_of_tests(text) }
    }

    pub(crate) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// Whether all of it is tests.
    pub(crate) fn is_tests(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path.starts_with("tests/")
    }

    /// Whether it begins by saying that it is pure.
    pub(crate) fn says_pure(&self) -> bool {
        let mut header = self.text.lines().map_while(|line| line.strip_prefix("//!"));
        header.any(|line| ["Pure.", "Pure:", "Pure,", "Pure;"].iter().any(|mark| line.contains(mark)))
    }

    /// The lines of code that are no tests, with their numbers.
    pub(crate) fn lines_without_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = if self.is_tests() { 0..usize::MAX } else { self.tests.clone() };
        self.code.lines().enumerate().filter(move |(number, _)| !tests.contains(number))
    }

    /// A complaint about a line, counted from zero.
    pub(crate) fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, line + 1)
    }

    /// The line, counted from zero, of a byte in `code`.
    pub(crate) fn line_of(&self, byte: usize) -> usize {
        self.code[..byte].matches('\n').count()
    }
}

/// All of them below `root`.
pub(crate) fn read(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    collect(root, "", &mut files);
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().display().to_string();
        // In a worktree, git's folder is a file.
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{prefix}{name}/"), files);
        // What is no text is none of this test's business.
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.push(File::new(&format!("{prefix}{name}"), &text));
        }
    }
}

fn is_rust(path: &str) -> bool {
    ends(path, "rs")
}

/// Whether a path has this extension.
pub(crate) fn ends(path: &str, with: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == with)
}
