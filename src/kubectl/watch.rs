//! Follows one Application until its rollout has ended: drawn anew on a terminal, a line for each step elsewhere.

use std::time::Duration;

use engine::api::Client;
use engine::object::Key;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::args::Status;
use super::error::Error;
use super::progress::{Progress, progress};
use super::screen::Screen;
use super::snapshot::Snapshot;
use super::source::{Kept, Once};
use super::{not_found, status_json, status_lines};

/// Changes come in bursts, and nobody reads faster than this.
const LULL: Duration = Duration::from_millis(100);

/// How often ages are drawn anew while nothing changes.
const TICK: Duration = Duration::from_secs(1);

/// Shows the Application until the latest spec is rolled out.
///
/// # Errors
///
/// If it has failed, is gone, can't be read, or was waited for long enough.
pub(super) async fn watch(client: Client, key: &Key, args: &Status, screen: &mut Screen) -> Result<(), Error> {
    let end = (!args.timeout.is_zero()).then(|| Instant::now() + args.timeout);
    // What is wrong is told at once by a look, where a cache would try again for ever.
    let first = Snapshot::of(&Once(client.clone()), key).await?.ok_or_else(|| not_found(key))?;
    let kept = Kept::new(client, &first.unread);
    let (mut snapshot, mut said) = (Some(first), String::new());
    loop {
        let Some(seen) = &snapshot else {
            return Err(Error::Failed(format!("application {} was deleted", key.name)));
        };
        let progress = progress(seen);
        show(seen, &progress, args, screen, &mut said).map_err(Error::Output)?;
        match progress {
            Progress::Done(_) => return Ok(()),
            Progress::Failed(why) => return Err(Error::Failed(why)),
            Progress::Going(last) => {
                let news = async {
                    kept.news().await;
                    sleep(LULL).await;
                };
                let late = async {
                    match end {
                        Some(end) => sleep_until(end).await,
                        None => std::future::pending().await,
                    }
                };
                let look = async {
                    // The first look begins to follow.
                    let _ = timeout(TICK, news).await;
                    let mut now = Snapshot::of(&kept, key).await?;
                    if let Some(now) = &mut now {
                        now.unread.clone_from(&seen.unread);
                    }
                    Ok(now)
                };
                let next = tokio::select! {
                    next = look => next,
                    () = late => {
                        let waited = format!("{:?}", args.timeout);
                        return Err(Error::TimedOut { waited, name: key.name.to_string(), last });
                    }
                };
                snapshot = next?;
            }
        }
    }
}

/// Shows what there is; elsewhere than on a terminal, if it is another line than the last.
fn show(
    snapshot: &Snapshot,
    progress: &Progress,
    args: &Status,
    screen: &mut Screen,
    said: &mut String,
) -> std::io::Result<()> {
    let now = Timestamp::now();
    if args.output.is_some() {
        // Ages change by themselves, and are no news.
        let (line, news) = (status_json(snapshot, now), status_json(snapshot, Timestamp::UNIX_EPOCH));
        if news != *said {
            screen.print(&[line.to_string()])?;
            *said = news.to_string();
        }
        return Ok(());
    }
    if screen.is_terminal() {
        return screen.draw(&status_lines(snapshot, screen.canvas(), now));
    }
    // How it ends badly is told on standard error.
    let (Progress::Going(line) | Progress::Done(line)) = progress else { return Ok(()) };
    if line != said {
        screen.print(std::slice::from_ref(line))?;
        said.clone_from(line);
    }
    Ok(())
}
