//! Commands as they stand in a file: `$ get pods`, or `~ get pods` if it is known to differ; below it, after `| `, what is
//! written to its input. `#` begins a remark.

use std::fs;
use std::path::Path;

/// A sequence of commands.
pub(crate) struct Script {
    /// The file's, and the namespace's.
    pub(crate) name: String,
    pub(crate) commands: Vec<Command>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Command {
    /// As it stands there.
    pub(crate) line: String,
    pub(crate) input: String,
    /// Whether the two servers are known to differ.
    pub(crate) is_known: bool,
}

pub(crate) fn all() -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands/scripts");
    let mut files: Vec<_> = fs::read_dir(folder).expect("scripts").flatten().map(|entry| entry.path()).collect();
    files.sort();
    let script = |file: &std::path::PathBuf| {
        let name = file.file_stem().expect("a name").display().to_string();
        let text = fs::read_to_string(file).expect("a script");
        Script { commands: parse(&name, &text), name }
    };
    files.iter().map(script).collect()
}

fn parse(name: &str, text: &str) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.split_once(' ').unwrap_or((line, "")), commands.last_mut()) {
            (("$", command), _) => commands.push(Command::new(command, false)),
            (("~", command), _) => commands.push(Command::new(command, true)),
            (("|", input), Some(last)) => last.input.extend([input, "\n"]),
            _ => panic!("{name}: {line}"),
        }
    }
    commands
}

impl Command {
    fn new(line: &str, is_known: bool) -> Self {
        Self { line: line.to_owned(), input: String::new(), is_known }
    }

    /// Its words, split at blanks that stand in no quotes, as a shell does.
    pub(crate) fn words(&self) -> Vec<String> {
        let (mut words, mut word, mut quote, mut is_open) = (Vec::new(), String::new(), None, false);
        for letter in self.line.chars() {
            match (quote, letter) {
                (Some(open), letter) if open == letter => quote = None,
                (None, '\'' | '"') => (quote, is_open) = (Some(letter), true),
                (None, ' ') => {
                    if is_open {
                        words.push(std::mem::take(&mut word));
                    }
                    is_open = false;
                }
                (_, letter) => {
                    word.push(letter);
                    is_open = true;
                }
            }
        }
        if is_open {
            words.push(word);
        }
        words
    }
}

#[test]
fn words_are_split_as_by_a_shell() {
    let words = Command::new(r#"patch cm a -p '{"a": "b c"}' --x="" y"#, false).words();
    assert_eq!(words, ["patch", "cm", "a", "-p", r#"{"a": "b c"}"#, "--x=", "y"]);
}
