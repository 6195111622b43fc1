//! When a credential is renewed, and whether a request waits for that. Pure: time is what has passed since the start.

use std::time::Duration;

use crate::backoff::Schedule;

/// How long what was read from files is used before they are read again. The kubelet replaces a token when a fifth of its
/// life is left, which is two minutes for the shortest that Kubernetes issues: client-go's minute is in time.
pub(super) const FRESH: Duration = Duration::from_mins(1);

/// How long before its end a command's credential is renewed, at most: enough for a command that asks a slow server, and
/// for a clock that is half a minute off.
const MARGIN: Duration = Duration::from_mins(1);

/// Of a credential that lives less than five minutes, a fifth is enough.
const MARGIN_SHARE: u32 = 5;

/// How soon files may be read again because no connection could be made, which may be for lack of the new authority.
const RECONNECT: Duration = Duration::from_secs(1);

/// How soon a command may be run again because its credential was refused. A server that refuses every credential is no
/// reason to run a command for each request.
const REFUSAL: Duration = Duration::from_secs(10);

/// The wait after the first failed renewal, and the longest. A command that fails may have locked somebody out.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// What is, or is to be, renewed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Renewal {
    /// Tokens, certificates and keys in files.
    pub(super) files: bool,
    /// What a command tells.
    pub(super) command: bool,
}

/// What happens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input {
    /// A request is about to be sent.
    Wanted,
    /// The server refused a request (401) that carried this credential.
    Refused { generation: u64 },
    /// There was no connection.
    Unconnected,
    /// A renewal has brought a credential.
    Renewed {
        what: Renewal,
        /// Whether it is another than before.
        changed: bool,
        /// When what the command told ends, if it was run and says so.
        expires: Option<Duration>,
    },
    /// A renewal has brought nothing.
    Failed,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Output {
    /// A renewal to begin. There is none under way then.
    pub(super) start: Option<Renewal>,
    /// What the request does.
    pub(super) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It is sent with what there is.
    Use,
    /// It waits for the end of the renewal that is under way.
    Wait,
    /// It fails as the last renewal did.
    Fail,
}

/// The state.
#[derive(Debug)]
pub(super) struct Machine {
    /// What can be renewed at all.
    renewable: Renewal,
    held: Option<Held>,
    /// At most one renewal at a time.
    under_way: bool,
    failures: u32,
    /// No renewal before this, after one that failed.
    not_before: Duration,
    /// No run of the command before this for the sake of a refusal.
    not_refused_before: Duration,
    retries: Schedule,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    /// Rises with each change.
    generation: u64,
    read: Duration,
    /// When to renew what a command told, and when it is of no use any more.
    due: Option<Duration>,
    expires: Option<Duration>,
}

impl Machine {
    /// Nothing is held, unless `held`: then generation 0 is, as of time zero.
    pub(super) fn new(renewable: Renewal, held: bool) -> Self {
        let first = Held { generation: 0, read: Duration::ZERO, due: None, expires: None };
        Self {
            renewable,
            held: held.then_some(first),
            under_way: false,
            failures: 0,
            not_before: Duration::ZERO,
            not_refused_before: Duration::ZERO,
            retries: Schedule::new(RETRY.0, RETRY.1),
        }
    }

    /// Takes in what happens at `now`.
    pub(super) fn step(&mut self, now: Duration, input: Input) -> Output {
        match input {
            Input::Wanted => self.wanted(now),
            Input::Refused { generation } => self.refused(now, generation),
            Input::Unconnected => self.unconnected(now),
            Input::Renewed { what, changed, expires } => {
                self.renewed(now, what, changed, expires);
                nothing(Then::Use)
            }
            Input::Failed => {
                self.under_way = false;
                self.failures = self.failures.saturating_add(1);
                self.not_before = now + self.retries.delay(self.failures);
                nothing(if self.is_usable(now) { Then::Use } else { Then::Fail })
            }
        }
    }

    /// Whether what is held may be sent.
    fn is_usable(&self, now: Duration) -> bool {
        self.held.is_some_and(|held| held.expires.is_none_or(|expires| now < expires))
    }

    fn wanted(&mut self, now: Duration) -> Output {
        if let Some(held) = self.held.filter(|_| self.is_usable(now)) {
            let stale = self.renewable.files && now >= held.read + FRESH;
            let due = held.due.is_some_and(|due| now >= due);
            if self.under_way || now < self.not_before || !(stale || due) {
                return nothing(Then::Use);
            }
            // Files are read in no time. A command takes its time, and there is some left.
            return self.start(Renewal { files: stale, command: due }, if due { Then::Use } else { Then::Wait });
        }
        if self.under_way {
            nothing(Then::Wait)
        } else if now < self.not_before {
            nothing(Then::Fail)
        } else {
            self.start(self.renewable, Then::Wait)
        }
    }

    fn refused(&mut self, now: Duration, generation: u64) -> Output {
        if self.held.is_some_and(|held| held.generation > generation) {
            return nothing(Then::Use);
        }
        if self.under_way {
            return nothing(Then::Wait);
        }
        let command = self.renewable.command && now >= self.not_refused_before && now >= self.not_before;
        if command {
            self.not_refused_before = now + REFUSAL;
        }
        self.start(Renewal { command, ..self.renewable }, Then::Wait)
    }

    fn unconnected(&mut self, now: Duration) -> Output {
        let recent = self.held.is_none_or(|held| now < held.read + RECONNECT);
        if self.under_way || recent || now < self.not_before {
            return nothing(Then::Use);
        }
        self.start(Renewal { command: false, ..self.renewable }, Then::Use)
    }

    fn renewed(&mut self, now: Duration, what: Renewal, changed: bool, expires: Option<Duration>) {
        self.under_way = false;
        // That files could be read says nothing of a command that fails.
        if what.command || !self.renewable.command {
            self.failures = 0;
            self.not_before = Duration::ZERO;
        }
        let generation = self.held.map_or(0, |held| held.generation + u64::from(changed));
        let (due, expires) = match self.held {
            Some(held) if !what.command => (held.due, held.expires),
            _ => (expires.map(|expires| due(now, expires)), expires),
        };
        self.held = Some(Held { generation, read: now, due, expires });
    }

    fn start(&mut self, what: Renewal, then: Then) -> Output {
        if what == Renewal::default() {
            return nothing(Then::Use);
        }
        self.under_way = true;
        Output { start: Some(what), then }
    }
}

fn nothing(then: Then) -> Output {
    Output { start: None, then }
}

/// When to renew what was told at `now` and ends at `expires`.
fn due(now: Duration, expires: Duration) -> Duration {
    expires.saturating_sub(MARGIN.min(expires.saturating_sub(now) / MARGIN_SHARE))
}

#[cfg(test)]
mod tests;
