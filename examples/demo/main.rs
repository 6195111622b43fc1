//! `make demo`: an API server in memory, the operator, the sample; a Deployment that is deleted and comes back, an image
//! that can't be pulled, a scale.
//!
//! Ends by itself with `--once`, or where nobody watches; else it stays until Ctrl-C. What it has started ends with it.
//! `--record FILE` draws a picture of the run.

mod operator;
mod picture;
mod server;
mod story;
mod view;
mod world;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::story::{Demo, PROJECT, Stop};
use crate::view::View;
use crate::world::Event;

fn main() -> ExitCode {
    // Where the paths above begin.
    if let Err(error) = env::set_current_dir(PROJECT) {
        return tell(&format!("demo: {PROJECT}: {error}"), 1);
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let is_terminal = io::stdout().is_terminal();
    let (once, record) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => (!is_terminal, None),
        ["--once"] => (true, None),
        ["--record", file] => (true, Some(PathBuf::from(file))),
        _ => return tell("usage: demo [--once | --record FILE]", 2),
    };
    // The server, the watches and the signals; the story itself blocks.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tell(&format!("demo: {error}"), 1),
    };
    let (send, events) = mpsc::channel();
    listen(&runtime, &send);
    let colours = is_terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let view = View::new(Box::new(io::stdout()), is_terminal, colours);
    let ended = Demo { view, events, once, record }.run(&runtime, &send);
    runtime.shutdown_background();
    match ended {
        Ok(()) | Err(Stop::Interrupted) => tell("Stopped. Nothing is left behind.", 0),
        Err(Stop::Failed(why)) => tell(&format!("demo: {why}"), 1),
    }
}

fn tell(line: &str, code: u8) -> ExitCode {
    // There is nobody left to tell if it fails.
    let _ = writeln!(io::stderr(), "{line}");
    ExitCode::from(code)
}

/// Makes an event of the first signal; the second one ends the process at once, and the server is part of it.
fn listen(runtime: &Runtime, events: &mpsc::Sender<Event>) {
    let events = events.clone();
    runtime.spawn(async move {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
            return;
        };
        let mut next = async || {
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => (), _ = hangup.recv() => () }
        };
        next().await;
        // Nobody receives it any more if everything is ending anyway.
        let _ = events.send(Event::Interrupted);
        next().await;
        std::process::exit(130);
    });
}
