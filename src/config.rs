//! What configuration there is, and what the pods run with, in; what they are to run with, and from when, out. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::application::Application;
use crate::application::config::Reference;
use crate::observe::{Configuration, Part, Rolled};

/// Bytes of a digest that are kept: too many for two configurations to have the same by chance.
const KEPT: usize = 16;

/// The digest of one value.
pub type ValueDigest = [u8; 32];

/// What becomes of the pods, whatever their configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pods {
    /// Those of the wished template run on.
    Stay,
    /// They are replaced, or there are none yet.
    Anew,
    /// Those of another revision run in place of the wished ones, so that what the spec refers to is not what they take.
    Former,
}

/// What to do about the pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// They run with what there is, or what there is can't be run with.
    Keep,
    /// They are to run with this from now on.
    Roll(Rolled),
    /// They are to be replaced after this time.
    Wait(Duration),
}

/// The digest of a value, as the API server writes it, or of several.
pub fn bytes_digest(bytes: &[u8]) -> ValueDigest {
    Sha256::digest(bytes).into()
}

/// The versions of all that is referred to, in a few letters.
pub fn versions(parts: &[Part]) -> String {
    let mut all = Sha256::new();
    for Part { reference, there } in parts {
        add(&mut all, reference);
        if let Some((uid, version)) = there {
            all.update(format!("{uid} {version}"));
        }
        all.update([0]);
    }
    shown(all)
}

/// The digest of all that the pods of `application` take from their configuration, of which `value` tells the digest of each
/// key, or what stands for all of them.
///
/// It can be read by who reads the Deployment, and is salted with the Application's uid, so that equal passwords of two
/// Applications don't show.
pub fn digest(application: &Application, parts: &[Part], value: impl Fn(&Reference) -> Option<ValueDigest>) -> String {
    let mut all = Sha256::new();
    all.update(&*application.metadata.uid.0);
    for Part { reference, .. } in parts {
        add(&mut all, reference);
        if let Some(value) = value(reference) {
            all.update(value);
        }
        all.update([0]);
    }
    shown(all)
}

fn add(all: &mut Sha256, reference: &Reference) {
    all.update(format!(
        "\0{} {} {}=",
        reference.source.kind(),
        reference.name,
        reference.key.as_deref().unwrap_or("*")
    ));
}

fn shown(all: Sha256) -> String {
    use std::fmt::Write as _;
    all.finalize().iter().take(KEPT).fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What to do, now that the digest of what there is is known.
pub fn decide(
    configuration: &Configuration,
    pods: Pods,
    digest: String,
    interval: Duration,
    now: Timestamp,
) -> Decision {
    let roll = |digest| {
        let at = Timestamp::from_second(now.as_second()).unwrap_or(now).to_string();
        Decision::Roll(Rolled { digest, versions: versions(&configuration.parts), at })
    };
    let Some(former) = &configuration.rolled else { return roll(digest) };
    // Pods that are replaced while something is missing do not start; those that run had it.
    if former.digest == digest || configuration.missing().is_some() {
        return Decision::Keep;
    }
    let wait = match pods {
        Pods::Former => return Decision::Keep,
        // They start with what there is: with the former digest, they would be replaced once more.
        Pods::Anew => Duration::ZERO,
        Pods::Stay => wait(&former.at, interval, now),
    };
    if wait.is_zero() { roll(digest) } else { Decision::Wait(wait) }
}

/// How long after a rollout at `last` the next one has to wait. If `last` is to come by more than `interval`, the clock was set
/// back, and says nothing.
fn wait(last: &str, interval: Duration, now: Timestamp) -> Duration {
    let Ok(last) = last.parse::<Timestamp>() else { return Duration::ZERO };
    let Ok(whole) = SignedDuration::try_from(interval) else { return interval };
    let elapsed = now.duration_since(last);
    if elapsed < -whole {
        return Duration::ZERO;
    }
    Duration::try_from(whole.saturating_sub(elapsed)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use engine::object::{ResourceVersion, Uid};
    use serde_json::json;

    use super::*;
    use crate::application::config::Source;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn part(name: &str, version: Option<&str>) -> Part {
        Part {
            reference: reference(name, None),
            there: version.map(|version| (Uid("u".into()), ResourceVersion(version.into()))),
        }
    }

    fn reference(name: &str, key: Option<&str>) -> Reference {
        Reference { source: Source::ConfigMap, name: name.into(), key: key.map(Into::into), is_optional: false }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// A configuration that was rolled out at 1000, with the digest `a`.
    fn rolled() -> Configuration {
        let parts = vec![part("a", Some("1"))];
        let rolled = Rolled { digest: "a".into(), versions: versions(&parts), at: at(1000).to_string() };
        Configuration { rolled: Some(rolled), parts, is_listed: true, ..Configuration::default() }
    }

    fn decide(configuration: &Configuration, digest: &str, now: i64) -> Decision {
        decide_as(configuration, Pods::Stay, digest, now)
    }

    fn decide_as(configuration: &Configuration, pods: Pods, digest: &str, now: i64) -> Decision {
        super::decide(configuration, pods, digest.to_owned(), INTERVAL, at(now))
    }

    #[test]
    fn a_change_is_rolled_out_at_once_after_a_quiet_time_and_else_when_the_interval_is_over() {
        assert_eq!(decide(&rolled(), "a", 5000), Decision::Keep);
        assert!(matches!(decide(&rolled(), "b", 1030), Decision::Roll(Rolled { digest, at: since, .. })
            if digest == "b" && since == at(1030).to_string()));
        assert_eq!(decide(&rolled(), "b", 1010), Decision::Wait(Duration::from_secs(20)));
    }

    #[test]
    fn a_clock_that_was_set_back_delays_a_rollout_by_twice_the_interval_at_most_however_often_it_is_looked_at() {
        for (back, looks) in [(10, 1), (29, 1), (3600, 0)] {
            let (mut now, mut waited, mut looked) = (1000 - back, Duration::ZERO, 0);
            while let Decision::Wait(wait) = decide(&rolled(), "b", now) {
                (waited, looked) = (waited + wait, looked + 1);
                now += i64::try_from(wait.as_secs()).unwrap();
                assert!(looked <= 3, "it waits for ever");
            }
            assert!(waited <= 2 * INTERVAL && looked == looks, "{back}: {waited:?} in {looked} looks");
        }
    }

    #[test]
    fn pods_that_are_replaced_anyway_take_the_change_along_and_those_of_another_revision_keep_theirs() {
        assert!(
            matches!(decide_as(&rolled(), Pods::Anew, "b", 1010), Decision::Roll(Rolled { digest, .. }) if digest == "b")
        );
        assert_eq!(decide_as(&rolled(), Pods::Anew, "a", 1010), Decision::Keep, "nothing has changed");
        assert_eq!(decide_as(&rolled(), Pods::Former, "b", 5000), Decision::Keep);
        let fresh = Configuration { rolled: None, ..rolled() };
        assert!(matches!(decide_as(&fresh, Pods::Former, "b", 0), Decision::Roll(_)), "they are yet to follow it");
    }

    #[test]
    fn the_first_pods_have_what_there_is_even_if_something_is_missing() {
        let fresh = Configuration { rolled: None, parts: vec![part("a", None)], ..rolled() };
        assert!(matches!(decide(&fresh, "b", 0), Decision::Roll(_)));
    }

    #[test]
    fn pods_that_run_are_not_replaced_by_some_that_can_not_start() {
        let mut gone = rolled();
        gone.parts[0].there = None;
        assert_eq!(decide(&gone, "b", 5000), Decision::Keep);
        gone.parts[0].reference.is_optional = true;
        assert!(matches!(decide(&gone, "b", 5000), Decision::Roll(_)));
        let lacking = Configuration { lacking: Some(reference("a", Some("k"))), ..rolled() };
        for pods in [Pods::Stay, Pods::Anew] {
            assert_eq!(decide_as(&lacking, pods, "b", 5000), Decision::Keep, "its object is there, and the key is not");
        }
    }

    #[test]
    fn digests_differ_by_value_application_and_place_and_versions_by_life() {
        let application =
            |uid: &str| serde_json::from_value::<Application>(json!({"metadata": {"name": "a", "uid": uid}})).unwrap();
        let of = |uid, names: [&str; 2], values: [&str; 2]| {
            let parts = names.map(|name| part(name, Some("1")));
            let value = |one: &Reference| {
                let place = names.iter().position(|name| **name == *one.name)?;
                Some(bytes_digest(values[place].as_bytes()))
            };
            digest(&application(uid), &parts, value)
        };
        let one = of("u", ["a", "b"], ["1", "2"]);
        assert_eq!(one, of("u", ["a", "b"], ["1", "2"]));
        assert_eq!(one.len(), 2 * KEPT);
        for other in [of("u", ["a", "b"], ["1", "3"]), of("v", ["a", "b"], ["1", "2"]), of("u", ["a", "c"], ["1", "2"])]
        {
            assert_ne!(one, other);
        }
        assert_ne!(versions(&[part("a", Some("1"))]), versions(&[part("a", Some("2"))]));
        assert_ne!(versions(&[part("a", Some("1"))]), versions(&[part("a", None)]));
    }
}
