//! Who we are, kept up to date: tokens, certificates and keys out of files and commands enter, what the next request carries
//! leaves.
//!
//! The core ([`machine`]) decides when to renew; this shell holds the locks, and runs renewals as tasks of their own, so that
//! a request that is given up takes no renewal with it and one renewal serves all who wait. Files are read by Tokio's
//! blocking threads, never by its workers.

mod error;
mod exec;
mod machine;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::HeaderValue;
use tokio::sync::watch;
use tokio::time::Instant;

use self::error::Failure;
use self::exec::Told;
use self::machine::{Input, Machine, Output, Renewal, Then};
use super::Error;
use super::tls::{Pems, Settings, Trust};
use crate::config::{Config, Credential, Secret, Source};

/// What a request carries to say who sends it.
pub(super) struct Held {
    /// Rises with each change.
    generation: u64,
    /// Of `authorization`.
    pub(super) header: Option<HeaderValue>,
    /// With what connections are made.
    pub(super) tls: Arc<Settings>,
}

/// Holds what the next request carries.
pub(super) struct Keeper {
    credential: Credential,
    sources: Sources,
    trust: Trust,
    state: Mutex<State>,
    /// Counts the renewals that have ended.
    ended: watch::Sender<u64>,
    started: Instant,
}

struct State {
    machine: Machine,
    /// Present from the moment on in which the machine holds something.
    held: Option<Arc<Held>>,
    /// What the command told last.
    told: Option<Told>,
    /// Why the last renewal failed.
    failure: Option<Arc<Failure>>,
    /// What connections are made with until something else is read.
    tls: Arc<Settings>,
}

/// Where what connections are made with stands.
struct Sources {
    authority: Option<Source>,
    identity: Option<(Source, Source)>,
}

impl Keeper {
    /// Reads certificates and keys once, on this thread, so that what can't be used is told at the start.
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let identity = config.tls.identity.clone();
        let sources = Sources {
            authority: config.tls.authority.clone(),
            identity: identity.map(|identity| (identity.certificate_chain, identity.key)),
        };
        let trust = Trust::new(config)?;
        let pems = sources.read_now().map_err(|failure| Error::Credential(Box::new(failure)))?;
        let tls = Arc::new(trust.settings(pems, 0)?);
        let header = match &config.credential {
            Credential::Token(Source::Inline(token)) => Some(bearer(token.expose())),
            Credential::Basic(login) => Some(sensitive(login.basic().expose()).ok_or("not fit for a header")),
            _ => None,
        };
        let header =
            header.transpose().map_err(|problem| Error::Setting { setting: "token", source: problem.into() })?;
        let command = matches!(config.credential, Credential::Exec(_));
        let token_file = matches!(config.credential, Credential::Token(Source::File(_)));
        let files = token_file || sources.has_files();
        let held = (!command && !token_file).then(|| Arc::new(Held { generation: 0, header, tls: tls.clone() }));
        let machine = Machine::new(Renewal { files, command }, held.is_some());
        let state = Mutex::new(State { machine, held, told: None, failure: None, tls });
        let (credential, started) = (config.credential.clone(), Instant::now());
        Ok(Self { credential, sources, trust, state, ended: watch::Sender::new(0), started })
    }

    /// What to send now. Waits where there is nothing that is good.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<Held>, Error> {
        let mut ended = self.ended.subscribe();
        loop {
            let (output, held, failure) = self.step(Input::Wanted);
            match (output.then, held) {
                (Then::Use, Some(held)) => return Ok(held),
                (Then::Wait, _) => {
                    // The sender is a part of this.
                    let _ = ended.changed().await;
                }
                (Then::Use | Then::Fail, _) => {
                    let failure = failure.unwrap_or_else(|| Arc::new(Failure::Panicked));
                    return Err(Error::Credential(Box::new(failure)));
                }
            }
        }
    }

    /// What to send in place of `refused`, if that is anything else.
    pub(super) async fn instead_of(self: &Arc<Self>, refused: &Held) -> Option<Arc<Held>> {
        let mut ended = self.ended.subscribe();
        let (output, mut held, _) = self.step(Input::Refused { generation: refused.generation });
        if output.then == Then::Wait {
            let _ = ended.changed().await;
            held.clone_from(&self.lock().held);
        }
        held.filter(|held| held.generation > refused.generation)
    }

    /// Notes that there was no connection.
    pub(super) fn unconnected(self: &Arc<Self>) {
        self.step(Input::Unconnected);
    }

    fn step(self: &Arc<Self>, input: Input) -> (Output, Option<Arc<Held>>, Option<Arc<Failure>>) {
        let mut state = self.lock();
        let output = state.machine.step(self.started.elapsed(), input);
        if let Some(what) = output.start {
            tokio::spawn(self.clone().renew(what));
        }
        (output, state.held.clone(), state.failure.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn renew(self: Arc<Self>, what: Renewal) {
        let attempt = AssertUnwindSafe(self.attempt(what)).catch_unwind();
        let result = attempt.await.unwrap_or(Err(Failure::Panicked));
        let now = self.started.elapsed();
        {
            let mut state = self.lock();
            match result.and_then(|read| self.take(&mut state, what, read)) {
                Ok((changed, expires)) => {
                    state.machine.step(now, Input::Renewed { what, changed, expires });
                    state.failure = None;
                }
                Err(failure) => {
                    let then = state.machine.step(now, Input::Failed).then;
                    let error = crate::object::chain(&failure);
                    if then == Then::Use {
                        tracing::warn!(error, "cannot renew the credential; the last one is kept");
                    }
                    state.failure = Some(Arc::new(failure));
                }
            }
        }
        self.ended.send_modify(|count| *count += 1);
    }

    /// Reads what is to be renewed; changes nothing.
    async fn attempt(&self, what: Renewal) -> Result<Read, Failure> {
        let told = match &self.credential {
            Credential::Exec(exec) if what.command => Some(exec::run(exec).await?),
            _ => None,
        };
        let token = match &self.credential {
            Credential::Token(Source::File(path)) => Some((path.clone(), read(path).await?)),
            _ => None,
        };
        Ok(Read { told, token, pems: self.sources.read().await? })
    }

    /// Makes what was read what is held, and says whether that changed anything, and when it ends.
    fn take(&self, state: &mut State, what: Renewal, read: Read) -> Result<(bool, Option<Duration>), Failure> {
        let told = read.told.or_else(|| state.told.clone());
        let remaining = match told.as_ref().and_then(|told| told.expires) {
            Some(expires) if what.command => {
                let remaining = Duration::try_from(expires.duration_since(jiff::Timestamp::now()));
                match (remaining, &self.credential) {
                    (Err(_), Credential::Exec(exec)) => {
                        let problem = "told a credential that has expired already".to_owned();
                        return Err(Failure::Answer { command: exec.command.clone(), problem });
                    }
                    (remaining, _) => remaining.ok(),
                }
            }
            _ => None,
        };
        let (token, from) = match (&read.token, &told, &self.credential) {
            (Some((path, token)), _, _) => (Some(token.expose().trim_ascii()), path.display().to_string()),
            (None, Some(told), Credential::Exec(exec)) => {
                let from = format!("what the command {} told", exec.command.display());
                (told.token.as_ref().map(Secret::expose), from)
            }
            _ => (None, String::new()),
        };
        let header = match token {
            Some(token) => Some(bearer(token).map_err(|problem| Failure::Token { from, problem })?),
            None => state.held.as_ref().and_then(|held| held.header.clone()),
        };
        let mut pems = read.pems;
        if let Some(identity) = told.as_ref().and_then(|told| told.identity.clone()) {
            pems.identity = Some(identity);
        }
        let tls = if pems == state.tls.pems {
            state.tls.clone()
        } else {
            let generation = state.tls.generation + 1;
            Arc::new(self.trust.settings(pems, generation).map_err(|error| Failure::Unusable(Box::new(error)))?)
        };
        let same = |held: &Arc<Held>| held.header == header && Arc::ptr_eq(&held.tls, &tls);
        let changed = !state.held.as_ref().is_some_and(same);
        if changed {
            let generation = state.held.as_ref().map_or(0, |held| held.generation + 1);
            state.held = Some(Arc::new(Held { generation, header, tls: tls.clone() }));
        }
        (state.tls, state.told) = (tls, told);
        Ok((changed, remaining.map(|remaining| self.started.elapsed() + remaining)))
    }
}

/// What a renewal has read.
struct Read {
    told: Option<Told>,
    token: Option<(PathBuf, Secret)>,
    pems: Pems,
}

impl Sources {
    fn has_files(&self) -> bool {
        let identity = self.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        self.authority.iter().chain(identity).any(|source| matches!(source, Source::File(_)))
    }

    fn read_now(&self) -> Result<Pems, Failure> {
        let get = |source: &Source| match source {
            Source::Inline(bytes) => Ok(bytes.clone()),
            Source::File(path) => std::fs::read(path).map(Secret::from).map_err(unread(path)),
        };
        let authority = self.authority.as_ref().map(get).transpose()?;
        let identity = match &self.identity {
            Some((certificate, key)) => Some((get(certificate)?, get(key)?)),
            None => None,
        };
        Ok(Pems { authority, identity })
    }

    async fn read(&self) -> Result<Pems, Failure> {
        let authority = match &self.authority {
            Some(source) => Some(get(source).await?),
            None => None,
        };
        let identity = match &self.identity {
            Some((certificate, key)) => Some((get(certificate).await?, get(key).await?)),
            None => None,
        };
        Ok(Pems { authority, identity })
    }
}

async fn get(source: &Source) -> Result<Secret, Failure> {
    match source {
        Source::Inline(bytes) => Ok(bytes.clone()),
        Source::File(path) => read(path).await,
    }
}

async fn read(path: &PathBuf) -> Result<Secret, Failure> {
    tokio::fs::read(path).await.map(Secret::from).map_err(unread(path))
}

fn unread(path: &std::path::Path) -> impl Fn(std::io::Error) -> Failure {
    move |source| Failure::Read { path: path.to_owned(), source }
}

/// The header for a token, or what is wrong with it.
fn bearer(token: &[u8]) -> Result<HeaderValue, &'static str> {
    if token.is_empty() {
        return Err("empty");
    }
    sensitive(&[b"Bearer ", token].concat()).ok_or("no token: it has bytes that no header can carry")
}

fn sensitive(value: &[u8]) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_bytes(value).ok()?;
    header.set_sensitive(true);
    Some(header)
}
