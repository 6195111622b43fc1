//! Rust as a text: what of it is code, which words stand there, where its tests are.

use std::ops::Range;

/// The lines of the module `tests`, from its attribute to its closing brace.
pub(crate) fn lines_of_tests(text: &str) -> Range<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let is_start =
        |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].trim_start_matches("pub(crate) ").starts_with("mod tests");
    let Some(start) = lines.windows(2).position(is_start) else {
        return 0..0;
    };
    let length = lines[start..].iter().position(|line| *line == "}" || *line == "mod tests;");
    start..length.map_or(lines.len(), |length| start + length + 1)
}

/// Rust with blanks in place of comments, strings and characters. Lines stay where they are.
pub(crate) fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let is_start = !code.ends_with(is_word);
        let blank = match character {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            '"' => string(rest),
            '\'' => letter(rest),
            'r' | 'b' | 'c' if is_start => literal_with_prefix(rest),
            _ => 0,
        };
        let (skipped, length) = if blank > 0 { (true, blank) } else { (false, character.len_utf8()) };
        for character in rest[..length].chars() {
            code.push(if skipped && character != '\n' { ' ' } else { character });
        }
        rest = &rest[length..];
    }
    code
}

/// The length of the block comment at the beginning of `text`; they nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut byte) = (0_usize, 0);
    while byte < text.len() {
        let rest = &text[byte..];
        if rest.starts_with("/*") {
            depth += 1;
            byte += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            byte += 2;
            if depth == 0 {
                break;
            }
        } else {
            byte += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    byte
}

/// The length of the string at the beginning of `text`.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, character)| {
        let is_end = *character == '"' && !escaped;
        escaped = *character == '\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |(byte, _)| byte + 1)
}

/// The length of the character at the beginning of `text`; zero for a lifetime.
fn letter(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((byte, escaped))) => {
            let after = byte + escaped.len_utf8();
            text[after..].find('\'').map_or(0, |end| after + end + 1)
        }
        (Some(_), Some((byte, '\''))) => byte + 1,
        _ => 0,
    }
}

/// The length of a literal such as `r#"…"#`, `b"…"` or `b'…'` at the beginning of `text`; zero if there is none.
fn literal_with_prefix(text: &str) -> usize {
    let quoted = text.trim_start_matches(['r', 'b', 'c']);
    let prefix = text.len() - quoted.len();
    let hashes = quoted.len() - quoted.trim_start_matches('#').len();
    if prefix > 2 {
        return 0;
    }
    if text[..prefix].contains('r') && quoted[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let begin = prefix + hashes + 1;
        return text[begin..].find(&end).map_or(text.len(), |byte| begin + byte + end.len());
    }
    match quoted.chars().next() {
        Some('"') => prefix + string(quoted),
        Some('\'') if letter(quoted) > 0 => prefix + letter(quoted),
        _ => 0,
    }
}

/// The first names of a path: one, or several where the path is a group in braces.
pub(crate) fn heads(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return Vec::from([name(path).to_owned()]);
    };
    let (mut depth, mut heads, mut is_start) = (1, Vec::new(), true);
    for (byte, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => is_start = true,
            character if is_start && is_word(character) => {
                heads.push(name(&group[byte..]).to_owned());
                is_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn name(text: &str) -> &str {
    text.split(|character| !is_word(character)).next().unwrap_or_default()
}

/// Where `word` stands in `text` as a word of its own.
pub(crate) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word)
        .map(|(byte, _)| byte)
        .filter(move |byte| !text[..*byte].ends_with(is_word) && !text[byte + word.len()..].starts_with(is_word))
}

pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "a(\"b\\\"\", 'c', '\\'', b'd', r#\"e\" f\"#, &'g h) /* i /* j */ k */ l // m\nn r#type";
    let code = without_comments_and_literals(text);
    let words: Vec<_> = code.split(|character| !is_word(character)).filter(|word| !word.is_empty()).collect();
    assert_eq!(words, ["a", "g", "h", "l", "n", "r", "type"]);
    assert_eq!(code.len(), text.len());
}
