//! Texts as columns: how wide they are, how they are cut, what of them may reach a terminal. Pure.

use jiff::Timestamp;
use unicode_width::UnicodeWidthChar;

/// Where something was left out.
const ELLIPSIS: char = '…';

/// The columns that a text takes: those of its characters, one by one, as most terminals move on.
pub fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// A text as one line without anything that a terminal would obey: what a container says may be meant to.
pub fn printable(text: &str) -> String {
    let words = text.split(|character: char| character.is_whitespace()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let is_harmless = |character: &char| !character.is_control() && !is_invisible(*character);
    words.join(" ").chars().filter(is_harmless).collect()
}

/// Characters that show as nothing and turn the direction of what follows.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The text, cut at its end so that it takes `columns` at most.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = head(text, columns.saturating_sub(1)).to_owned();
    if columns > 0 {
        kept.push(ELLIPSIS);
    }
    kept
}

/// The text, cut in its middle so that it takes `columns` at most: the ends of names tell them apart.
pub fn cut_middle(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let left = columns.saturating_sub(1);
    let head = head(text, left / 2);
    let mut taken = 0;
    let tail = text.char_indices().rev().take_while(|(_, character)| {
        taken += columns_of(*character);
        taken <= left - width(head)
    });
    let tail = tail.last().map_or("", |(byte, _)| &text[byte..]);
    if columns == 0 { String::new() } else { format!("{head}{ELLIPSIS}{tail}") }
}

fn head(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, character)| {
        taken += columns_of(*character);
        taken > columns
    });
    end.map_or(text, |(byte, _)| &text[..byte])
}

/// The text, with blanks behind it so that it takes `columns` at least.
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text in lines of at most `columns`, broken between words where that can be.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let fits = |line: &&mut String| width(line) + 1 + width(word) <= columns;
        if let Some(line) = lines.last_mut().filter(fits) {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        let mut rest = word;
        while width(rest) > columns.max(1) {
            let part = head(rest, columns.max(1));
            // A character may be wider than the line.
            let part = if part.is_empty() { &rest[..rest.chars().next().map_or(0, char::len_utf8)] } else { part };
            lines.push(part.to_owned());
            rest = &rest[part.len()..];
        }
        if !rest.is_empty() {
            lines.push(rest.to_owned());
        }
    }
    lines
}

/// The time since then, as kubectl's column AGE has it.
//
// k8s.io/apimachinery/pkg/util/duration, HumanDuration.
pub fn age(created: Option<Timestamp>, now: Timestamp) -> String {
    let Some(created) = created else { return "<unknown>".to_owned() };
    let seconds = (now.as_second() - created.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let years = days / 365;
    let two = |whole: i64, unit: char, rest: i64, small: char| match rest {
        0 => format!("{whole}{unit}"),
        rest => format!("{whole}{unit}{rest}{small}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, 'd', hours % 24, 'h'),
        () if years < 2 => format!("{days}d"),
        () if years < 8 => two(years, 'y', days % 365, 'd'),
        () => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_age_reads_as_kubectl_writes_it() {
        let now = Timestamp::from_second(1_000_000_000).unwrap();
        let ago = |seconds: i64| age(Some(Timestamp::from_second(1_000_000_000 - seconds).unwrap()), now);
        let told: Vec<String> =
            [0, 119, 120, 150, 600, 10_799, 10_800, 86_400, 172_800, 176_400, 800_000, 70_000_000, -5].map(ago).into();
        let wished = ["0s", "119s", "2m", "2m30s", "10m", "179m", "3h", "24h", "2d", "2d1h", "9d", "2y80d", "0s"];
        assert_eq!(told, wished);
        assert_eq!(age(None, now), "<unknown>");
    }

    #[test]
    fn a_wide_character_counts_as_two_columns() {
        assert_eq!((width("データ"), cut("データベース", 7)), (6, "データ…".to_owned()));
        assert_eq!((cut("データ", 6), cut("データ", 5)), ("データ".to_owned(), "デー…".to_owned()));
        assert_eq!(pad("é", 3), "é  ");
    }

    #[test]
    fn a_name_is_cut_where_it_says_least() {
        assert_eq!(cut_middle("shop-deployment-7d9c8b6f5d-abcde", 16), "shop-de…5d-abcde");
        assert_eq!(
            (cut_middle("shop", 4), cut_middle("shops", 1), cut("shop", 0)),
            ("shop".into(), "…".into(), String::new())
        );
    }

    #[test]
    fn nothing_that_a_container_says_moves_the_cursor() {
        assert_eq!(printable("no \u{1b}[2Jsuch\r\n\ttable\u{7}\u{202e} x"), "no [2Jsuch table x");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("a quota allows no more pods", 10), ["a quota", "allows no", "more pods"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!((wrap("", 3).len(), wrap("デ", 1)), (0, vec!["デ".to_owned()]));
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_it_may_be(text in "\\PC{0,30}", columns in 0_usize..40) {
            prop_assert!(width(&cut(&text, columns)) <= columns);
            prop_assert!(width(&cut_middle(&text, columns)) <= columns);
            prop_assert!(wrap(&text, columns.max(2)).iter().all(|line| width(line) <= columns.max(2)));
        }
    }
}
