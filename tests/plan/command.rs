//! `application-operator plan` as a process: what it is given, what it says, and how it ends.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::World;

/// What `plan` said, and how it ended.
pub(crate) struct Plan {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) said: String,
}

impl Plan {
    pub(crate) fn run(args: &[&str], input: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_application-operator"));
        command.arg("plan").args(args).env_clear();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        // It fails only if nobody reads it, as with a wrong flag.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: status.code(), out: text(stdout), said: text(stderr) }
    }

    /// What is planned of files with these contents, in a namespace.
    pub(crate) fn of(world: &World, namespace: &str, name: &str, contents: &[&str]) -> Self {
        Self::with(world.cluster.kubeconfig(), &["-n", namespace], name, contents)
    }

    pub(crate) fn with(kubeconfig: &Path, args: &[&str], name: &str, contents: &[&str]) -> Self {
        let files: Vec<String> = contents
            .iter()
            .enumerate()
            .map(|(index, content)| file(&format!("{name}-{index}.yaml"), content).display().to_string())
            .collect();
        let mut all = vec!["--kubeconfig", kubeconfig.to_str().expect("UTF-8")];
        all.extend(files.iter().flat_map(|file| ["-f", file]));
        all.extend(args);
        Self::run(&all, "")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {} {}", self.out, self.said))
    }

    /// It has ended with 1, and one line that contains `expected`.
    #[track_caller]
    pub(crate) fn is_refused(&self, expected: &str) {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.said);
        assert_eq!(self.said.lines().count(), 1, "{}", self.said);
        assert!(self.said.starts_with("application-operator: ") && self.said.contains(expected), "{}", self.said);
    }

    /// It has ended with `code`, and printed each of `expected`.
    #[track_caller]
    pub(crate) fn shows(&self, code: i32, expected: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.said);
        for expected in expected {
            assert!(self.out.contains(expected), "{expected} in:\n{}", self.out);
        }
    }
}

pub(crate) fn file(name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("plan-{}-{name}", std::process::id()));
    fs::write(&path, content).expect("a file");
    path
}
