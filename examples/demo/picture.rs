//! What was seen of a run → a picture of it as SVG.

use std::fmt::Write as _;

/// Width of a character and height of a line, in pixels: those of the fonts below at 13 pixels.
const CELL: (f64, f64) = (7.8, 18.0);

/// The space around the text, in pixels.
const MARGIN: f64 = 16.0;

/// Longer lines are cut: wider pictures are shrunk where they are shown, until nobody can read them.
const WIDEST: usize = 118;

/// How a line is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// As any other.
    Plain,
    /// As what somebody does.
    Done,
    /// As a heading of a table.
    Dim,
    /// As what is well.
    Green,
    /// As what is not, or not yet.
    Yellow,
}

impl Look {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Done => " class=\"in\"",
            Self::Dim => " class=\"dim\"",
            Self::Green => " class=\"green\"",
            Self::Yellow => " class=\"yellow\"",
        }
    }
}

/// The picture of these lines.
#[allow(clippy::cast_precision_loss)] // Nobody prints 2^52 lines.
pub(crate) fn render(title: &str, lines: &[(String, Look)]) -> String {
    let cut = |text: &str| -> String {
        if text.chars().count() > WIDEST {
            text.chars().take(WIDEST - 1).chain(['…']).collect()
        } else {
            text.to_owned()
        }
    };
    let longest = lines.iter().map(|(line, _)| cut(line).chars().count()).max().unwrap_or(0);
    let (width, height) = (2.0 * MARGIN + CELL.0 * longest as f64, 2.0 * MARGIN + CELL.1 * lines.len() as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} \
         {height:.0}\" role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">{}</title>\n\
         <style>text{{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#d6deeb;\
         white-space:pre}}.dim{{fill:#7f8c98}}.green{{fill:#8bd649}}.yellow{{fill:#e8c547}}.in{{fill:#ffffff;\
         font-weight:bold}}</style>\n<rect width=\"{width:.0}\" height=\"{height:.0}\" rx=\"8\" fill=\"#1b2430\"/>\n",
        escaped(title)
    );
    for (number, (line, look)) in lines.iter().enumerate().filter(|(_, (line, _))| !line.is_empty()) {
        let (line, y) = (cut(line), MARGIN + 13.0 + CELL.1 * number as f64);
        let length = CELL.0 * line.chars().count() as f64;
        // Writing to a string can't fail.
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{y}\" textLength=\"{length:.1}\" xml:space=\"preserve\"{}>{}</text>",
            look.class(),
            escaped(&line)
        );
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
