//! A summary and a tree in, lines out, for a terminal of some width or for whatever reads lines. Pure.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::summary::Summary;
use super::text::{cut, cut_middle, pad, width, wrap};
use super::tree::{Count, Health, Node};

/// Cells of a bar in the tree, and of the one above it.
const BAR: usize = 10;
const LONG_BAR: usize = 30;

/// The least columns that are left to names: with fewer, none could be told from another.
const LEAST_NAME: usize = 20;

/// The least columns in which a detail says anything.
const LEAST_DETAIL: usize = 12;

/// Columns from which on there is room for bars in the tree.
const WIDE: usize = 100;

/// The most lines that one sentence takes above the tree.
const MOST_LINES: usize = 4;

/// The blanks between two columns.
const GAP: &str = "  ";

/// What is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canvas {
    /// Whether people look at it: with lines that join the tree, symbols and bars. Else each line says it in words.
    pub is_terminal: bool,
    /// The columns that there are; `None` where lines may be of any length.
    pub columns: Option<usize>,
}

/// A row of the tree, without its colours.
struct Row<'n> {
    object: String,
    node: &'n Node,
    state: String,
    ready: String,
}

/// All lines about one Application.
pub fn lines(summary: &Summary, root: &Node, canvas: Canvas) -> Vec<String> {
    let mut lines = head(summary, canvas);
    lines.push(String::new());
    lines.extend(tree(root, canvas));
    lines
}

/// The lines above the tree.
fn head(summary: &Summary, canvas: Canvas) -> Vec<String> {
    let bold = Style::new().bold();
    let tone = tone(summary.health);
    let title = cut(&format!("{}/{}", summary.namespace, summary.name), canvas.columns.unwrap_or(usize::MAX));
    let room = canvas.columns.map_or(usize::MAX, |columns| columns.saturating_sub(width(&title) + GAP.len()));
    let state = cut(&word(&summary.reason, summary.health, canvas), room);
    let mut lines = vec![format!("{bold}{title}{bold:#}{GAP}{tone}{state}{tone:#}")];
    lines.extend(sentence(&summary.message, "", canvas));
    let revision = summary.current_revision.map(|number| match summary.last_good_revision {
        Some(good) if good == number => format!("revision {number}"),
        Some(good) => format!("revision {number}, the last good one is {good}"),
        None => format!("revision {number}, none was rolled out to its end yet"),
    });
    let facts: Vec<&str> = revision.as_deref().into_iter().chain(summary.url.as_deref()).collect();
    if !facts.is_empty() {
        lines.extend(sentence(&facts.join(", "), "", canvas));
    }
    for note in &summary.notes {
        lines.extend(sentence(note, "! ", canvas));
    }
    if canvas.is_terminal && summary.health != Health::Good && summary.rollout.of > 0 {
        let cells = canvas.columns.unwrap_or(LONG_BAR).saturating_sub(12).min(LONG_BAR);
        let Count { done, of } = summary.rollout;
        let words = cut(&format!(" {done}/{of}"), canvas.columns.unwrap_or(usize::MAX).saturating_sub(cells));
        lines.push(format!("{tone}{}{tone:#}{words}", bar(summary.rollout, cells)));
    }
    lines
}

fn sentence(text: &str, mark: &str, canvas: Canvas) -> Vec<String> {
    let Some(columns) = canvas.columns else { return vec![format!("{mark}{text}")] };
    let mut lines = wrap(text, columns.saturating_sub(width(mark)).max(1));
    if lines.len() > MOST_LINES {
        let rest = lines.split_off(MOST_LINES - 1).join(" ");
        lines.push(cut(&rest, columns.saturating_sub(width(mark))));
    }
    let indent = " ".repeat(width(mark));
    lines
        .into_iter()
        .enumerate()
        .map(|(line, text)| format!("{}{text}", if line == 0 { mark } else { &indent }))
        .collect()
}

fn tree(root: &Node, canvas: Canvas) -> Vec<String> {
    let mut rows = Vec::new();
    collect(root, "", "", canvas, &mut rows);
    let titles = ["NAME", "STATUS", "READY", "AGE", "DETAIL"];
    let widest = |title: &str, cell: &dyn Fn(&Row<'_>) -> usize| {
        rows.iter().map(cell).chain([width(title)]).max().unwrap_or_default()
    };
    let state = widest(titles[1], &|row| width(&row.state));
    let ready = widest(titles[2], &|row| width(&row.ready));
    let age = widest(titles[3], &|row| width(&row.node.age));
    // A line for several objects has no state, and may reach over that column.
    let name = widest(titles[0], &|row| if row.state.is_empty() { 0 } else { width(&row.object) });
    let others = state + ready + age + 3 * GAP.len();
    let name = canvas.columns.map_or(name, |columns| name.min(columns.saturating_sub(others).max(LEAST_NAME)));
    let detail = canvas.columns.map_or(usize::MAX, |columns| columns.saturating_sub(name + others + GAP.len()));
    let dim = Style::new().dimmed();
    let has_detail = detail >= LEAST_DETAIL && rows.iter().any(|row| !row.node.detail.is_empty());
    let last = if has_detail { titles[4] } else { "" };
    let header =
        [pad(titles[0], name), pad(titles[1], state), pad(titles[2], ready), pad(titles[3], age), last.to_owned()];
    let mut lines = vec![format!("{dim}{}{dim:#}", fitted(header.join(GAP).trim_end(), canvas))];
    for Row { object, node, state: word, ready: count } in &rows {
        let tone = tone(node.health);
        let (object, word) = if word.is_empty() {
            (pad(&cut(object, name + GAP.len() + state), name + GAP.len() + state), String::new())
        } else {
            (pad(&cut_middle(object, name), name) + GAP, pad(word, state))
        };
        let rest = format!("{GAP}{}{GAP}{}", pad(count, ready), pad(&node.age, age));
        let mut line = match node.health {
            Health::Idle => format!("{dim}{object}{word}{rest}{dim:#}"),
            _ => format!("{object}{tone}{word}{tone:#}{rest}"),
        };
        if !node.detail.is_empty() && detail >= LEAST_DETAIL {
            // Writing to a string can't fail.
            let _ = write!(line, "{GAP}{dim}{}{dim:#}", cut(&node.detail, detail));
        }
        // Narrower than all columns together: what is told last goes first.
        let whole = name + others;
        if canvas.columns.is_some_and(|columns| whole > columns) {
            line = fitted(&format!("{object}{word}{rest}"), canvas);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

fn fitted(line: &str, canvas: Canvas) -> String {
    canvas.columns.map_or_else(|| line.to_owned(), |columns| cut(line.trim_end(), columns))
}

fn collect<'n>(node: &'n Node, own: &str, below: &str, canvas: Canvas, rows: &mut Vec<Row<'n>>) {
    let object = if node.kind.is_empty() { node.name.clone() } else { format!("{} {}", node.kind, node.name) };
    let is_wide = canvas.columns.is_none_or(|columns| columns >= WIDE);
    let ready = node.ready.map(|count| {
        let words = format!("{}/{}", count.done, count.of);
        if canvas.is_terminal && is_wide && node.is_rollout { format!("{} {words}", bar(count, BAR)) } else { words }
    });
    rows.push(Row {
        object: format!("{own}{object}"),
        node,
        state: if node.state.is_empty() { String::new() } else { word(&node.state, node.health, canvas) },
        ready: ready.unwrap_or_default(),
    });
    for (index, child) in node.children.iter().enumerate() {
        let is_last = index + 1 == node.children.len();
        let (joint, rest) = match (canvas.is_terminal, is_last) {
            (false, _) => ("  ", "  "),
            (true, false) => ("├─ ", "│  "),
            (true, true) => ("└─ ", "   "),
        };
        collect(child, &format!("{below}{joint}"), &format!("{below}{rest}"), canvas, rows);
    }
}

/// A state in a word, which people find by its symbol.
fn word(state: &str, health: Health, canvas: Canvas) -> String {
    let symbol = match health {
        Health::Good => '✔',
        Health::Busy => '◌',
        Health::Bad => '✖',
        Health::Idle => '·',
    };
    if canvas.is_terminal { format!("{symbol} {state}") } else { state.to_owned() }
}

fn tone(health: Health) -> Style {
    match health {
        Health::Good => AnsiColor::Green.on_default(),
        Health::Busy => AnsiColor::Yellow.on_default(),
        Health::Bad => AnsiColor::Red.on_default(),
        Health::Idle => Style::new().dimmed(),
    }
}

/// A bar of so many cells. It is full when all is done, and not before; and not empty once something is.
fn bar(Count { done, of }: Count, cells: usize) -> String {
    let (done, of) = (usize::try_from(done).unwrap_or_default(), usize::try_from(of).unwrap_or_default());
    let full = (done.min(of) * cells).checked_div(of).unwrap_or(cells).max(usize::from(done > 0)).min(cells);
    format!("{}{}", "█".repeat(full), "░".repeat(cells - full))
}

#[cfg(test)]
mod tests;
