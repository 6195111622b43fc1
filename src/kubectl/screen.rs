//! Standard output: a terminal whose lines are drawn anew, or whatever takes lines one after the other.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};

use super::draw::Canvas;
use super::text::width;

/// Columns of a terminal that does not say how many it has: what terminals had when none could say it.
const DEFAULT_COLUMNS: u16 = 80;

/// Where lines go.
pub struct Screen {
    is_terminal: bool,
    has_colour: bool,
    /// Lines of the last drawing, which the next one takes the place of.
    drawn: usize,
}

impl Screen {
    /// Standard output.
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        // A terminal that can't move its cursor is as good as none.
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_terminal = stdout.is_terminal() && !is_dumb;
        // By NO_COLOR, CLICOLOR and CLICOLOR_FORCE, too.
        let has_colour = AutoStream::choice(&stdout) != ColorChoice::Never;
        Self { is_terminal, has_colour, drawn: 0 }
    }

    /// What there is to draw on, as wide as it is now.
    pub fn canvas(&self) -> Canvas {
        let columns = self.is_terminal.then(|| usize::from(size().0));
        Canvas { is_terminal: self.is_terminal, columns }
    }

    /// Whether what was drawn can be drawn anew.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Writes lines below what is there.
    ///
    /// # Errors
    ///
    /// If the output is closed or full; not if its reader has seen enough.
    pub fn print(&mut self, lines: &[String]) -> io::Result<()> {
        self.drawn = 0;
        let lines: Vec<String> = lines.iter().map(|line| self.fit_for(line)).collect();
        write(&format!("{}\n", lines.join("\n")))
    }

    /// Writes lines in the place of those drawn last; no more of them than fit, so that they can be replaced again.
    ///
    /// # Errors
    ///
    /// As [`print`](Self::print).
    pub fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let (columns, rows) = size();
        // The last row is where the cursor rests.
        let most = usize::from(rows).saturating_sub(1).max(2);
        let mut lines: Vec<String> = lines.iter().map(|line| self.fit_for(line)).collect();
        if lines.len() > most {
            let rest = lines.len() - most + 1;
            lines.truncate(most - 1);
            lines.push(format!("… {rest} more lines"));
        }
        // A window that was made narrower has broken the lines that are there.
        let mut frame = String::new();
        if self.drawn > 0 {
            // Writing to a string can't fail.
            let _ = write!(frame, "\x1b[{}A\r", self.drawn);
        }
        self.drawn = 0;
        for line in &lines {
            frame.push_str(line);
            frame.push_str("\x1b[K\n");
            let plain = anstream::adapter::strip_str(line).to_string();
            self.drawn += width(&plain).div_ceil(usize::from(columns).max(1)).max(1);
        }
        frame.push_str("\x1b[J");
        write(&frame)
    }

    fn fit_for(&self, line: &str) -> String {
        if self.has_colour {
            line.to_owned()
        } else {
            anstream::adapter::strip_str(line).to_string().trim_end().to_owned()
        }
    }
}

/// Columns and rows of the terminal.
fn size() -> (u16, u16) {
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map_or((DEFAULT_COLUMNS, u16::MAX), |(columns, rows)| (columns.0.max(1), rows.0))
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}
