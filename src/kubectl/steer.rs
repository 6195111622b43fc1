//! Carries out a change of the spec that a command asks for, on the state that it was decided on.

use engine::api::{Client, PatchType};
use engine::object::{Key, Object};
use serde_json::{Value, json};

use super::args::{Place, Target};
use super::change::{Change, Wish, change, other_owners};
use super::error::Error;
use super::screen::Screen;
use super::snapshot::Snapshot;
use super::{FIELD_MANAGER, not_found, read, same_place, snapshot};
use crate::application::Application;
use crate::observe::Namespace;

/// Looks that are taken while others, the operator's status above all, change the Application in between.
const TRIES: usize = 10;

/// Writes what `wish` takes, and says what was done.
pub(super) async fn steer(
    client: Client,
    key: &Key,
    target: &Target,
    wish: Wish,
    place: &Place,
    screen: &mut Screen,
) -> Result<(), Error> {
    let command = |words: &str| {
        let (verb, flags) =
            words.split_once(' ').map_or((words, String::new()), |(verb, rest)| (verb, format!(" {rest}")));
        format!("kubectl application {verb} {}{flags}{}", key.name, same_place(place))
    };
    let writer = if target.dry_run { client.dry_run() } else { client.clone() };
    let enforces_restricted = match wish {
        Wish::RollBack(_) => {
            // Who may not read it is told the same, but for revisions that a namespace's label has made.
            let namespace = client.get::<Namespace>(&Key::new("", key.namespace.clone())).await;
            namespace.ok().flatten().is_some_and(|namespace| namespace.enforces_restricted())
        }
        Wish::Unpin | Wish::Pause | Wish::Resume => false,
    };
    let mut last = None;
    for _ in 0..TRIES {
        let snapshot = match wish {
            Wish::RollBack(_) => snapshot(client.clone(), key).await?,
            // The rest is decided by the spec alone.
            _ => Snapshot::new(read(&client, key).await?.ok_or_else(|| not_found(key))?.into()),
        };
        if matches!(wish, Wish::RollBack(_)) && snapshot.unread.contains(&"controllerrevisions") {
            return Err(Error::Impossible(format!("you may not read the revisions in namespace {}", key.namespace)));
        }
        let title = format!("{}/{}", Application::RESOURCE, key.name).replace("applications.", "application.");
        let (spec, done, hint) = match change(&snapshot, enforces_restricted, wish, &command)? {
            Change::Nothing(why) => {
                return screen.print(&[format!("{title} {why}")]).map_err(Error::Output);
            }
            Change::Patch { spec, done, hint } => (spec, done, hint),
        };
        let metadata = &snapshot.application.metadata;
        let body = json!({
            "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
            "spec": spec,
        });
        let path = match wish {
            Wish::RollBack(_) | Wish::Unpin => &["rollback", "toRevision"][..],
            Wish::Pause | Wish::Resume => &["paused"][..],
        };
        // Before it is written: afterwards it is ours.
        let before: Option<Value> = client.get_as(&Application::RESOURCE, key).await.ok().flatten();
        let written = writer.patch_as::<Value>(&Application::RESOURCE, key, None, PatchType::Merge, body).await;
        match written {
            Ok(_) => {
                let trial = if target.dry_run { " (server dry run)" } else { "" };
                screen.print(&[format!("{title} {done}{trial}")]).map_err(Error::Output)?;
                let owners = before.map(|before| other_owners(&before, path, FIELD_MANAGER)).unwrap_or_default();
                let again = (!owners.is_empty()).then(|| {
                    format!("spec.{} was set by {}, which may set it again", path.join("."), owners.join(", "))
                });
                for note in hint.into_iter().chain(again) {
                    eprintln_note(&note);
                }
                return Ok(());
            }
            Err(error) if error.is_conflict() => last = Some(error),
            Err(error) => return Err(Error::of(format!("change application {}", key.name), error)),
        }
    }
    let conflict = last.map(|error| error.to_string()).unwrap_or_default();
    Err(Error::Impossible(format!("others change application {} all the time: {conflict}", key.name)))
}

/// A note for people, beside what programs read.
fn eprintln_note(note: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{note}");
}
