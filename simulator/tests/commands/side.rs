//! kubectl on one of the two servers.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, thread};

use crate::script::Command;

/// What `kubectl edit` opens: it makes blue green.
const EDITOR: &str = "sed -i s/blue/green/";

/// Longer than any command takes, so that one that waits for ever is told; in seconds.
const PATIENCE: &str = "60";

/// A server, and kubectl's own state of it.
pub(crate) struct Side {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

/// What came of a command.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Side {
    pub(crate) fn new(program: &Path, kubeconfig: &Path, home: &Path) -> Self {
        fs::create_dir_all(home).expect("a folder");
        Self { program: program.to_owned(), kubeconfig: kubeconfig.to_owned(), home: home.to_owned() }
    }

    /// Runs a command of a script in its namespace, for which `$space` stands. `$uid(deployment/web)` stands for a uid.
    pub(crate) fn run(&self, space: &str, command: &Command) -> Told {
        let filled = |text: &str| self.filled(space, text).replace("$space", space);
        let mut words = vec!["--namespace".to_owned(), space.to_owned()];
        words.extend(command.words().iter().map(|word| filled(word)));
        self.tell(&words, &filled(&command.input))
    }

    /// Runs a command that has to go well.
    pub(crate) fn run_ok(&self, words: &[&str], input: &str) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let told = self.tell(&words, input);
        assert_eq!(told.code, 0, "{words:?}: {}", told.err);
        told.out
    }

    fn filled(&self, space: &str, text: &str) -> String {
        let Some((before, rest)) = text.split_once("$uid(") else { return text.to_owned() };
        let (object, after) = rest.split_once(')').expect("an end");
        let uid = self.run_ok(&["--namespace", space, "get", object, "-o", "jsonpath={.metadata.uid}"], "");
        format!("{before}{uid}{}", self.filled(space, after))
    }

    fn tell(&self, words: &[String], input: &str) -> Told {
        let mut child = std::process::Command::new("timeout")
            .arg(PATIENCE)
            .arg(&self.program)
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.home)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBERC", "off")
            .env("KUBE_EDITOR", EDITOR)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl can be run");
        let pipe = child.stdin.take();
        let output = thread::scope(|scope| {
            // If it stops reading, it says itself why.
            scope.spawn(|| pipe.and_then(|mut pipe| pipe.write_all(input.as_bytes()).err()));
            child.wait_with_output().expect("it ends")
        });
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Told { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }
}
