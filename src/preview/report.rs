//! Forecasts in, text or JSON out.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::diff::{self, Line};
use super::effect::Pods;
use super::forecast::{Action, Forecast, Step};
use super::input::Skipped;

/// All that is told.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What becomes of all together.
    pub summary: Summary,
    /// What becomes of each Application.
    pub applications: Vec<Forecast>,
    /// What nothing is said about.
    pub skipped: Vec<Skipped>,
}

/// What becomes of all Applications together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Whether anything is written.
    pub changes: bool,
    /// Migrations that run before pods of another template.
    pub migrations: usize,
    /// Objects that are created.
    pub created: usize,
    /// Objects that are changed.
    pub changed: usize,
    /// Children that are taken over from the former operator.
    pub adopted: usize,
    /// Children that are deleted.
    pub deleted: usize,
    /// Children under whose name an object of somebody else stands.
    pub contested: usize,
    /// Children that the API server will not have.
    pub refused: usize,
    /// Applications that can't be brought about, or not as a whole.
    pub problems: usize,
    /// How many pods are concerned.
    pub pods: Pods,
    /// Applications of which no pod runs for a time.
    pub downtime: usize,
}

impl Report {
    /// The report of these forecasts.
    pub fn new(applications: Vec<Forecast>, skipped: Vec<Skipped>) -> Self {
        let mut summary = Summary::default();
        for forecast in &applications {
            let mut is_problem = forecast.problem.is_some();
            for step in &forecast.objects {
                summary.migrations += usize::from(step.is_migration());
                let place = match step.action {
                    Action::Create => &mut summary.created,
                    Action::Change => &mut summary.changed,
                    Action::Adopt => &mut summary.adopted,
                    Action::Delete => &mut summary.deleted,
                    Action::Contested => &mut summary.contested,
                    Action::Refused => &mut summary.refused,
                    Action::Keep | Action::Wait => continue,
                };
                *place += 1;
                is_problem |= matches!(step.action, Action::Contested | Action::Refused);
                let Pods { started, replaced, stopped } = step.effect.pods;
                summary.pods.started += started;
                summary.pods.replaced += replaced;
                summary.pods.stopped += stopped;
            }
            summary.changes |= forecast.objects.iter().any(|step| step.action.is_change());
            summary.downtime += usize::from(forecast.objects.iter().any(|step| step.effect.downtime));
            summary.problems += usize::from(is_problem);
        }
        Self { summary, applications, skipped }
    }

    /// What stands in the way, a line for each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for forecast in &self.applications {
            let at = format!("{}: Application {}", forecast.place, forecast.key());
            problems.extend(forecast.problem.iter().map(|problem| format!("{at}: {}", one_line(problem))));
            for step in
                forecast.objects.iter().filter(|step| matches!(step.action, Action::Contested | Action::Refused))
            {
                let said = one_line(step.reason.as_deref().unwrap_or_default());
                let what = if step.action == Action::Refused { "would be refused: " } else { "" };
                problems.push(format!("{at}: {} {} {what}{said}", step.kind, step.name));
            }
        }
        problems
    }

    /// Writes it as one JSON document.
    ///
    /// # Errors
    ///
    /// If `to` can't be written.
    pub fn json(&self, to: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *to, self)?;
        writeln!(to)?;
        to.flush()
    }

    /// Writes it for people, with the colours of a terminal.
    ///
    /// # Errors
    ///
    /// If `to` can't be written, or an object not as YAML.
    pub fn text(&self, to: &mut impl Write) -> io::Result<()> {
        for forecast in &self.applications {
            for step in forecast.objects.iter().filter(|step| step.action.is_change()) {
                write_difference(forecast, step, to)?;
            }
        }
        for forecast in &self.applications {
            write_forecast(forecast, to)?;
        }
        for Skipped { place, kind, name } in &self.skipped {
            writeln!(to, "{DIM}Skipped {kind} {name} ({place}){DIM:#}")?;
        }
        writeln!(to, "{BOLD}Plan: {}{BOLD:#}", self.summary.sentence())?;
        to.flush()
    }
}

const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const CHANGED: Style = AnsiColor::Yellow.on_default();
const PLACE: Style = AnsiColor::Cyan.on_default();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn write_difference(forecast: &Forecast, step: &Step, to: &mut impl Write) -> io::Result<()> {
    let name = format!("{}/{}/{}", forecast.namespace, step.kind, step.name);
    let lines = diff::unified(&name, step.before.as_ref(), step.after.as_ref()).map_err(io::Error::other)?;
    for line in &lines {
        let style = match line {
            Line::Header(_) => BOLD,
            Line::Hunk(_) => PLACE,
            Line::Same(_) => Style::new(),
            Line::Removed(_) => REMOVED,
            Line::Added(_) => ADDED,
        };
        writeln!(to, "{style}{}{style:#}", line.text())?;
    }
    if lines.is_empty() { Ok(()) } else { writeln!(to) }
}

fn write_forecast(forecast: &Forecast, to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "{BOLD}Application {}{BOLD:#} ({})", forecast.key(), forecast.place)?;
    let width = forecast.objects.iter().map(|step| step.kind.len() + 1 + step.name.len()).max().unwrap_or_default();
    for step in &forecast.objects {
        let (sign, style, word) = match step.action {
            Action::Create => ('+', ADDED, "created"),
            Action::Change => ('~', CHANGED, "changed"),
            Action::Adopt => ('~', CHANGED, "adopted from the former operator"),
            Action::Delete => ('-', REMOVED, "deleted"),
            Action::Keep => ('=', DIM, "unchanged"),
            Action::Wait => ('.', DIM, "waits"),
            Action::Contested => ('!', REMOVED, "contested"),
            Action::Refused => ('!', REMOVED, "refused"),
        };
        let object = format!("{} {}", step.kind, step.name);
        let said = step.reason.iter().map(|reason| one_line(reason)).chain(step.effect.words.iter().cloned());
        let said: Vec<String> = said.collect();
        let colon = if said.is_empty() { "" } else { ": " };
        writeln!(to, "  {style}{sign} {object:width$}  {word}{colon}{}{style:#}", said.join("; "))?;
    }
    if let Some(held) = &forecast.held {
        writeln!(to, "  {CHANGED}. held back: {}{CHANGED:#}", one_line(held))?;
    }
    if let Some(problem) = &forecast.problem {
        writeln!(to, "  {REMOVED}! {}{REMOVED:#}", one_line(problem))?;
    }
    for note in &forecast.notes {
        writeln!(to, "  {DIM}note: {note}{DIM:#}")?;
    }
    Ok(())
}

impl Summary {
    /// What becomes of all, in a sentence.
    fn sentence(&self) -> String {
        let counts = [
            (self.created, "created"),
            (self.changed, "changed"),
            (self.adopted, "adopted"),
            (self.deleted, "deleted"),
            (self.contested, "contested"),
            (self.refused, "refused"),
        ];
        let counts: Vec<_> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let Pods { started, replaced, stopped } = self.pods;
        let pods = [(replaced, "restarts"), (started, "starts"), (stopped, "stops")];
        let pods: Vec<_> = pods
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} pod{} {}", plural(*count), verb(*count, what)))
            .collect();
        let mut sentence = if counts.is_empty() { "nothing changes".to_owned() } else { counts.join(", ") };
        if !counts.is_empty() {
            sentence.push_str("; ");
            sentence.push_str(&if pods.is_empty() { "no pod restarts".to_owned() } else { pods.join(", ") });
        }
        if self.migrations > 0 {
            let migrations = i64::try_from(self.migrations).unwrap_or(i64::MAX);
            let verb = verb(migrations, "runs");
            // Writing to a string can't fail.
            let _ = write!(sentence, "; {migrations} migration{} {verb} first", plural(migrations));
        }
        if self.downtime > 0 {
            let downtime = i64::try_from(self.downtime).unwrap_or(i64::MAX);
            let verb = verb(downtime, "stands still");
            // Writing to a string can't fail.
            let _ = write!(sentence, "; {downtime} application{} {verb} for a time", plural(downtime));
        }
        if self.problems > 0 {
            let problems = i64::try_from(self.problems).unwrap_or(i64::MAX);
            let _ = write!(sentence, "; {problems} application{} can't be brought about as a whole", plural(problems));
        }
        sentence
    }
}

fn plural(count: i64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A verb of one, or of many.
fn verb(count: i64, of_one: &str) -> String {
    match of_one.split_once("s ") {
        _ if count == 1 => of_one.to_owned(),
        Some((verb, rest)) => format!("{verb} {rest}"),
        None => of_one.trim_end_matches('s').to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
