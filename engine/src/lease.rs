//! Leader election by a Lease (`coordination.k8s.io/v1`): of several processes, one acts at a time.
//!
//! `Core` decides. Here stand the requests, the clock and the log: an [`Elector`] that runs keeps a [`Leadership`] up to
//! date, which tells others when to begin and when to stop, and [fences](Leadership::fence) their writes.
//!
//! # Invariants
//!
//! 1. No two processes lead at a time, as long as no clock runs faster than another by more than the lease duration is longer
//!    than the renew deadline (by half, with the [defaults](Timing::default)).
//! 2. No write begins past the deadline of the term, and none that is under way is waited for.
//! 3. The Lease is given back only once every [`Leading`] is dropped.
//!
//! A Lease is no fence on the server: what was sent just before a deadline may arrive after it. The 5 s until another one may
//! take over leave room for that; and a process that is stopped between looking at the clock and sending may send one
//! request late. Writes therefore need preconditions still.
//!
//! The Lease is one that client-go's electors understand, and may share.

mod core;
mod fence;
mod leadership;
mod record;
mod timing;

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

pub use self::leadership::{Leadership, Leading};
pub use self::timing::{Error, Timing};

use self::core::{Core, Failure, Kind, Now, Step, Write};
use self::leadership::Term;
use self::record::Lease;
use self::timing::JITTER;
use crate::api::{self, Client, Collection, Entry, Event, Precondition, Start, Watch};
use crate::object::{Key, ResourceVersion, chain};
use crate::shutdown::Shutdown;

/// How long giving the Lease back may take. It saves others the wait for its end, and is worth no more.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long a watch of the Lease is kept open, in seconds: below the 240 s after which common load balancers drop a
/// connection that they take for idle.
const WATCH_SECONDS: u64 = 200;

/// Takes part in an election.
pub struct Elector {
    client: Client,
    key: Key,
    identity: Arc<str>,
    timing: Timing,
    core: Core,
    leadership: Leadership,
    started: Instant,
    watch: Option<Watch<Lease>>,
    /// When the watch was last opened.
    opened: Instant,
    /// The term that was last told.
    told: Option<u64>,
    /// Who led when that was last said.
    said_holder: Option<String>,
    /// The failure that was last said, so that a lasting one is said once.
    said_failure: Option<String>,
}

impl Elector {
    /// An elector for the Lease `key`, that sends its requests through `client`, which must be none behind its own
    /// [fence](Leadership::fence), and had better share no connection with those who write much.
    ///
    /// `name` tells people which process it is: the pod's name, say. In the Lease something follows it that makes it unique.
    pub fn new(client: Client, key: Key, name: &str, timing: Timing) -> Self {
        // As client-go's: a process that was started again under its name must not take the Lease of the former for its own.
        let identity: Arc<str> = format!("{name}_{:032x}", fastrand::u128(..)).into();
        Self {
            client,
            key,
            core: Core::new(identity.clone(), timing),
            identity,
            timing,
            leadership: Leadership::of(None),
            started: Instant::now(),
            watch: None,
            opened: Instant::now(),
            told: None,
            said_holder: None,
            said_failure: None,
        }
    }

    /// Tells whether this process leads.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// How the Lease names this process.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Contends for the Lease and keeps it, until `shutdown` is given and all that lead have stopped; then gives it back.
    pub async fn run(mut self, shutdown: Shutdown) {
        info!(lease = %self.key, identity = &*self.identity, "standing by");
        let leadership = self.leadership.clone();
        let leave = async {
            shutdown.given().await;
            leadership.close();
            leadership.left().await;
        };
        tokio::pin!(leave);
        let mut farewell = None;
        while farewell.is_none_or(|end| Instant::now() < end) {
            let wanted = leadership.is_wanted();
            self.core.contend(wanted);
            match self.core.next(self.now()) {
                Step::End => return,
                Step::Read => self.read().await,
                Step::Write(write) => self.write(&write).await,
                Step::Wait(until) => tokio::select! {
                    () = self.wait(until) => {}
                    () = leadership.wanted_is_not(wanted) => {}
                    () = &mut leave, if farewell.is_none() => {
                        self.core.leave();
                        farewell = Some(Instant::now() + FAREWELL);
                    }
                },
            }
            self.tell();
        }
        warn!(lease = %self.key, "the Lease could not be given back in time");
    }

    fn now(&self) -> Now {
        self.started.elapsed()
    }

    /// The time between the starts of two requests.
    fn pause(&self) -> Duration {
        self.timing.retry_period.mul_f64(1.0 + (JITTER - 1.0) * fastrand::f64())
    }

    /// The longest that a request may take: so that another fits in before the deadline, as controller-runtime has it.
    fn patience(&self) -> Duration {
        (self.timing.renew_deadline / 2).min(if self.core.leaves() { FAREWELL } else { Duration::MAX })
    }

    /// Tells those who lead, or wait to, what has become of the term.
    fn tell(&mut self) {
        let term = self.core.term(self.now());
        let number = term.map(|term| term.number);
        let deadline = |deadline: Now| self.started.checked_add(deadline);
        self.leadership.set(term.map(|term| Term { number: term.number, deadline: deadline(term.deadline) }));
        if self.told != number {
            match number {
                Some(_) => info!(lease = %self.key, identity = &*self.identity, "leading"),
                None if self.core.leaves() => {}
                None => warn!(lease = %self.key, "not leading any more, standing by"),
            }
            self.told = number;
        }
    }

    async fn read(&mut self) {
        let started = self.now();
        self.watch = None;
        let read = timeout(self.patience(), self.client.get::<Lease>(&self.key)).await;
        match read {
            Ok(Ok(lease)) => self.see(lease.as_ref()),
            Ok(Err(error)) => self.fail(started, Failure::Unread, "read", Some(&error)),
            Err(_elapsed) => self.fail(started, Failure::Unread, "read", None),
        }
    }

    async fn write(&mut self, write: &Write) {
        let started = self.now();
        let body = record::body(write, &self.identity, self.timing.lease_duration, &self.key.name, Timestamp::now());
        let answer = async {
            match write.version {
                Some(_) => self.client.merge::<Lease>(&self.key, None, &body).await,
                None => self.client.apply::<Lease>(&self.key, body, &Precondition::Absent).await,
            }
        };
        match timeout(self.patience(), answer).await {
            Ok(Ok(_)) if write.kind == Kind::Release => {
                self.core.released();
                info!(lease = %self.key, "gave the Lease back");
            }
            Ok(Ok(lease)) => {
                self.core.won(started, self.now(), &lease, self.pause());
                self.report_holder(lease.spec.holder());
                self.said_failure = None;
            }
            Ok(Err(error)) if error.is_conflict() => self.core.failed(started, Failure::Conflict, self.pause()),
            // It was deleted. Where it was to be created, it is the namespace that is missing.
            Ok(Err(error)) if error.is_not_found() && write.version.is_some() => self.see(None),
            Ok(Err(error)) => self.fail(started, Failure::Ambiguous, "write", Some(&error)),
            Err(_elapsed) => self.fail(started, Failure::Ambiguous, "write", None),
        }
    }

    /// Waits, and hears meanwhile what becomes of the Lease.
    async fn wait(&mut self, until: Now) {
        let now = self.now();
        if let Some(version) = self.core.watched(now).cloned() {
            let opened = &mut self.opened;
            let seen = observe(&self.client, &self.key, &mut self.watch, opened, version);
            match timeout(until.saturating_sub(now), seen).await {
                Err(_elapsed) => {}
                Ok(Ok(lease)) => self.see(lease.as_ref()),
                Ok(Err(cause)) => self.unwatched(cause.as_ref()),
            }
            return;
        }
        self.watch = None;
        // What is absent can't be watched from any version on: it is looked for.
        let look = if self.core.term(now).is_some() { Duration::MAX } else { self.pause() };
        tokio::time::sleep(until.saturating_sub(now).min(look)).await;
        if look < until.saturating_sub(now) {
            self.core.forget(self.now());
        }
    }

    /// A watch has ended, or could not be opened.
    fn unwatched(&mut self, cause: Option<&api::Error>) {
        self.watch = None;
        debug!(lease = %self.key, error = cause.map(|error| chain(error)), "the watch of the Lease ended");
        let is_forbidden = cause.and_then(api::Error::status).is_some_and(|status| status.code == 403);
        if is_forbidden {
            self.report_failure("watch", cause);
        }
        // One that ends as soon as it begins is no better than asking now and then.
        let is_good = self.opened.elapsed() > self.timing.retry_period && cause.is_none();
        let at = if is_good { self.now() } else { self.now() + self.pause() };
        self.core.forget(at);
    }

    fn see(&mut self, lease: Option<&Lease>) {
        self.core.seen(self.now(), lease);
        if let Some(lease) = lease {
            self.report_holder(lease.spec.holder());
        }
    }

    fn fail(&mut self, started: Now, failure: Failure, verb: &str, error: Option<&api::Error>) {
        self.core.failed(started, failure, self.pause());
        self.report_failure(verb, error);
    }

    /// Says why the Lease can't be read, written or watched; once, as long as it is the same.
    fn report_failure(&mut self, verb: &str, error: Option<&api::Error>) {
        let (namespace, key) = (&self.key.namespace, &self.key);
        let cause = error.map_or_else(|| format!("no answer within {:?}", self.patience()), |error| chain(error));
        let advice = match error.and_then(api::Error::status) {
            Some(status) if status.code == 403 => format!(
                "; the role needs create, get, patch and watch on leases.coordination.k8s.io in namespace {namespace}"
            ),
            _ => String::new(),
        };
        let text = format!("can't {verb} the Lease {key}: {cause}{advice}");
        if self.said_failure.as_ref() != Some(&text) {
            warn!("{text}");
            self.said_failure = Some(text);
        }
    }

    fn report_holder(&mut self, holder: &str) {
        if self.said_holder.as_deref() != Some(holder) {
            if !holder.is_empty() && holder != &*self.identity {
                info!(lease = %self.key, holder, "another process leads");
            }
            self.said_holder = Some(holder.to_owned());
        }
    }
}

/// Waits until a watch tells of another state of the Lease than that of `version`; `None` if it is deleted. Fails when the
/// watch ends, with the cause if it did not end well.
async fn observe(
    client: &Client,
    key: &Key,
    open: &mut Option<Watch<Lease>>,
    opened: &mut Instant,
    version: ResourceVersion,
) -> Result<Option<Lease>, Option<api::Error>> {
    let watch = if let Some(watch) = open {
        watch
    } else {
        *opened = Instant::now();
        let start = Start::After(version.clone());
        open.insert(client.watch(&Collection::object(key), &start, WATCH_SECONDS).await.map_err(Some)?)
    };
    loop {
        let (entry, is_gone) = match watch.next().await.map_err(Some)? {
            None => return Err(None),
            Some(Event::Error(status)) => return Err(Some(api::Error::Status(status))),
            Some(Event::Bookmark { .. }) => continue,
            Some(Event::Upsert(entry)) => (entry, false),
            Some(Event::Delete(entry)) => (entry, true),
        };
        // A watch that lags behind what was read tells of what has passed.
        let is_old = entry.metadata().resource_version.compare(&version).is_some_and(Ordering::is_lt);
        match entry {
            entry if entry.key() != *key || is_old => {}
            _ if is_gone => return Ok(None),
            Entry::Valid(lease) => return Ok(Some((*lease).clone())),
            // Whoever wrote that, it is not to be understood: the read tells why.
            Entry::Invalid(_) => return Err(None),
        }
    }
}

#[cfg(test)]
mod tests;
