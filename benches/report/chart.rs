//! Numbers in, a picture of horizontal bars out, as SVG. Written here, since that is all that is drawn, and a library for
//! plots brings fonts, images and a hundred crates along.

use std::fmt::Write as _;

use super::data::short;

/// One bar, in a group of what is compared with each other.
pub(crate) struct Bar {
    group: String,
    name: String,
    value: f64,
}

impl Bar {
    pub(crate) fn new(group: &str, name: &str, value: f64) -> Self {
        Self { group: group.to_owned(), name: name.to_owned(), value }
    }
}

const WIDTH: f64 = 860.0;
/// Room for the names on the left, and for the numbers on the right.
const LEFT: f64 = 250.0;
const RIGHT: f64 = 110.0;
const ROW: f64 = 20.0;

/// Each group has a scale of its own, so that the least can be seen as well.
pub(crate) fn bars(title: &str, unit: &str, bars: &[Bar], footnote: &str) -> String {
    let mut rows = String::new();
    let (mut y, mut group) = (58.0, "");
    for bar in bars {
        if bar.group != group {
            group = &bar.group;
            let _ = writeln!(rows, r#"<text class="group" x="16" y="{}">{}</text>"#, y + 16.0, escaped(group));
            y += 26.0;
        }
        let most = bars.iter().filter(|other| other.group == group).map(|other| other.value).fold(0.0, f64::max);
        let width = (WIDTH - LEFT - RIGHT) * bar.value / if most > 0.0 { most } else { 1.0 };
        let class = if bar.name.starts_with("engine") { "ours" } else { "theirs" };
        let _ = writeln!(
            rows,
            r#"<text x="{}" y="{}" text-anchor="end">{}</text><rect class="{class}" x="{LEFT}" y="{}" width="{:.1}" height="14" rx="2"/><text x="{:.1}" y="{}">{} {unit}</text>"#,
            LEFT - 10.0,
            y + 11.0,
            escaped(&bar.name),
            y,
            width.max(1.0),
            LEFT + width.max(1.0) + 8.0,
            y + 11.0,
            short(bar.value),
        );
        y += ROW;
    }
    let height = y + 40.0;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12">
<style>text {{ fill: #333 }} .title {{ font-size: 17px; font-weight: 600 }} .group {{ font-weight: 600 }} .ours {{ fill: #c2410c }} .theirs {{ fill: #94a3b8 }} .note {{ fill: #777; font-size: 11px }}</style>
<rect width="{WIDTH}" height="{height}" fill="#fff"/>
<text class="title" x="16" y="34">{}</text>
{rows}<text class="note" x="16" y="{}">{}</text>
</svg>
"##,
        escaped(title),
        height - 14.0,
        escaped(footnote),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
