//! `simulator [FOLDER]`: an API server in memory with controllers behind it, on a port of this machine, until Ctrl-C.

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use simulator::port::Port;
use simulator::{Controllers, Simulator};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let folder = match arguments.as_slice() {
        [] => env::temp_dir().join(format!("simulator-{}", std::process::id())),
        [folder] if !folder.starts_with('-') => PathBuf::from(folder),
        _ => return fail("usage: simulator [FOLDER]  (which gets the kubeconfig)", 2),
    };
    match run(folder).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("simulator: {}", engine::object::chain(&*error)), 1),
    }
}

async fn run(folder: PathBuf) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let is_new = !folder.exists();
    std::fs::create_dir_all(&folder)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let simulator = Simulator::new(seed, Arc::new(jiff::Timestamp::now));
    let port = Port::open(&simulator, &folder).await?;
    writeln!(io::stdout(), "export KUBECONFIG={}", port.kubeconfig().display())?;
    writeln!(io::stderr(), "An API server in memory answers at https://{}. Ctrl-C ends it.", port.address())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = simulator.run(Controllers::new(seed)) => {}
    }
    port.close().await;
    if is_new {
        std::fs::remove_dir(&folder)?;
    }
    Ok(())
}

fn fail(why: &str, code: u8) -> ExitCode {
    // There is nobody left to tell if it fails.
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::from(code)
}
