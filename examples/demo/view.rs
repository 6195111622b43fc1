//! What is seen: lines that stay, and below them, on a terminal, a table that is drawn again and again in one place.
//!
//! Elsewhere each row is printed when it changes.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::time::Instant;

use application_operator::application::ConditionType;
use engine::object::Object;
use serde_json::Value;

use crate::picture::Look;
use crate::world::{APPLICATION, Pod, World};

/// More pods than this are counted, so that the table fits on a small screen.
const PODS: usize = 6;

/// The screen.
pub(crate) struct View {
    out: Box<dyn Write + Send>,
    is_terminal: bool,
    colours: bool,
    /// Lines of the table that is on the screen.
    drawn: usize,
    /// The table, to be drawn again below further lines.
    table: Vec<String>,
    /// All that stays on the screen, for a picture of it.
    seen: Vec<(String, Look)>,
    /// What was last printed of each object, where there is no table.
    printed: BTreeMap<String, String>,
    begin: Instant,
}

/// An object, and the state that it is in.
struct Row {
    name: String,
    state: String,
}

impl View {
    /// Shown on `out`, which is a terminal or not, and has colours or not.
    pub(crate) fn new(out: Box<dyn Write + Send>, is_terminal: bool, colours: bool) -> Self {
        let (table, seen, printed) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { out, is_terminal, colours, drawn: 0, table, seen, printed, begin: Instant::now() }
    }

    /// Whether there is somebody to watch.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Prints lines that stay.
    pub(crate) fn say(&mut self, lines: impl Display) {
        self.say_as(Look::Plain, lines);
    }

    /// Prints what is done now.
    pub(crate) fn step(&mut self, what: impl Display) {
        self.say("");
        self.say_as(Look::Done, what);
    }

    fn say_as(&mut self, look: Look, lines: impl Display) {
        let lines = lines.to_string();
        self.seen.extend(lines.split('\n').map(|line| (line.to_owned(), look)));
        let shown = self.coloured(look, &lines);
        let text = format!("{}{shown}\n{}", self.erase(), self.draw());
        self.print(&text);
    }

    /// All that was said, and the table as it is now.
    pub(crate) fn seen(&self, world: &World) -> Vec<(String, Look)> {
        let mut seen = self.seen.clone();
        seen.extend(Self::table(world, &rows(world)));
        seen
    }

    /// Shows what there is.
    pub(crate) fn show(&mut self, world: &World) {
        let rows = rows(world);
        if self.is_terminal {
            let table = Self::table(world, &rows).into_iter();
            let table: Vec<String> = table.map(|(line, look)| self.coloured(look, &line)).collect();
            if self.table != table {
                self.table = table;
                let text = format!("{}{}", self.erase(), self.draw());
                self.print(&text);
            }
        } else {
            self.print_news(rows);
        }
    }

    /// Leaves the table as it is, and goes on below it.
    pub(crate) fn leave(&mut self) {
        self.drawn = 0;
        self.table.clear();
    }

    fn table(world: &World, rows: &[Row]) -> Vec<(String, Look)> {
        let Some(application) = world.application() else {
            return Vec::new();
        };
        let spec = &application.spec;
        let (replicas, port) = (spec.replicas.to_string(), spec.port.unwrap_or_default().to_string());
        let ready = application.status.condition(ConditionType::Ready);
        let [status, reason, message] =
            ready.map_or([""; 3], |ready| [&*ready.status, &*ready.reason, &*ready.message]);
        let columns = aligned(&[
            ["NAME", "READY", "REPLICAS", "IMAGE", "PORT", "REASON", "MESSAGE"],
            [APPLICATION, status, &replicas, &spec.image, &port, reason, message],
        ]);
        let looks = [Look::Dim, if status == "True" { Look::Green } else { Look::Yellow }];
        let mut table = vec![(String::new(), Look::Plain)];
        table.extend(columns.into_iter().zip(looks));
        table.push((String::new(), Look::Plain));
        let children: Vec<_> = rows.iter().skip(1).map(|row| [row.name.as_str(), &row.state]).collect();
        table.extend(aligned(&children).into_iter().map(|line| (line, Look::Plain)));
        table
    }

    fn coloured(&self, look: Look, text: &str) -> String {
        match look {
            Look::Plain => text.to_owned(),
            Look::Done => self.paint("1", text),
            Look::Dim => self.paint("2", text),
            Look::Green => self.paint("32", text),
            Look::Yellow => self.paint("33", text),
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// What takes the table from the screen.
    fn erase(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }

    /// What puts it there. Lines are cut at the edge, since one that goes on below would take two.
    fn draw(&mut self) -> String {
        self.drawn = self.table.len();
        if self.table.is_empty() { String::new() } else { format!("\x1b[?7l{}\n\x1b[?7h", self.table.join("\n")) }
    }

    fn print_news(&mut self, rows: Vec<Row>) {
        let at = format!("{:8.3} s", self.begin.elapsed().as_secs_f64());
        let mut news = Vec::new();
        let gone = self.printed.keys().filter(|name| rows.iter().all(|row| row.name != **name));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.printed.remove(&name);
            news.push(format!("{at}  {name}: gone\n"));
        }
        for Row { name, state } in rows {
            if self.printed.get(&name) != Some(&state) {
                news.push(format!("{at}  {name}: {state}\n"));
                self.printed.insert(name, state);
            }
        }
        self.print(&news.concat());
    }

    fn print(&mut self, text: &str) {
        // Whoever has closed it wants no more.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// The Application, if it is there, and what it consists of.
fn rows(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |kind: &str, name: &str, state: String| rows.push(Row { name: format!("{kind}/{name}"), state });
    if let Some(application) = world.application() {
        let state = match application.status.condition(ConditionType::Ready) {
            Some(ready) if ready.status == "True" => format!("ready ({}): {}", ready.reason, ready.message),
            Some(ready) => format!("not ready ({}): {}", ready.reason, ready.message),
            None => "new".to_owned(),
        };
        row("application", &application.metadata().name, state);
    }
    if let Some(deployment) = world.deployment() {
        let wished = serde_json::from_str::<Value>(deployment.0.spec.get()).unwrap_or_default()["replicas"].clone();
        let state = format!("{} of {wished} ready", deployment.0.status.ready_replicas);
        row("deployment", &deployment.metadata().name, state);
    }
    let pods = world.pods();
    pods.iter().take(PODS).for_each(|pod| row("pod", &pod.metadata.name, Pod::state(pod)));
    if pods.len() > PODS {
        row("pod", "…", format!("and {} more", pods.len() - PODS));
    }
    if let Some(service) = world.service() {
        let spec: Value = serde_json::from_str(service.0.spec.get()).unwrap_or_default();
        let port = &spec["ports"][0];
        let state = format!(
            "{} {}:{}, and port {} of each node",
            spec["type"].as_str().unwrap_or_default(),
            spec["clusterIP"].as_str().unwrap_or_default(),
            port["port"],
            port["nodePort"],
        );
        row("service", &service.metadata().name, state);
    }
    rows
}

/// Lines whose cells stand below each other.
fn aligned<const COLUMNS: usize>(rows: &[[&str; COLUMNS]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let line = |row: &[&str; COLUMNS]| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:0$}", width(column)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
