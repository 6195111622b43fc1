//! One Application: observe, plan, apply, tell. On one screen.

mod looks;
mod paced;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use engine::api::Entry;
use engine::controller::{Cx, Failure, Outcome, Reconcile};
use engine::events::Kind;
use engine::object::{Key, Object, chain};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tracing::{debug, info, warn};

use crate::application::{Allowed, Application, Reason};
use crate::apply::{Applied, Error, Writer};
use crate::contents::Contents;
use crate::contest::Contests;
use crate::observe::{Gateway, Observed};
use crate::plan::{self, Plan};
use crate::readiness;
use crate::status::{self, Attempt};

use self::looks::Looks;
pub use self::paced::Paced;

/// How often one call plans because something was other than planned. Each time the caches know better, so that a third time
/// means that somebody else writes as fast: then the state of the children is not waited for.
const PLANS: u32 = 3;

/// Wait for an event that is on its way, if nothing else triggers the key: many times what an event takes.
const EVENT_DELAY: Duration = Duration::from_secs(1);

/// How long after its first call a reconciler waits for a cache that is only begun where there is a reason to: until then,
/// what is not in it says nothing, and is not to be told.
const WARM_UP: Duration = Duration::from_secs(10);

/// Time between two looks at such a cache. A list of a small collection takes less.
const LOOK_DELAY: Duration = Duration::from_millis(100);

/// Reconciles Applications.
pub struct Reconciler {
    writer: Writer,
    allowed: Allowed,
    paced: Paced,
    contests: Mutex<Contests>,
    contents: Contents,
    /// Who waits for the cache of `HTTPRoutes`.
    routes: Looks,
    /// Who waits for those of `ConfigMaps` and Secrets.
    configuration: Looks,
    /// When it was first called.
    began: OnceLock<Instant>,
}

impl Reconcile<Application> for Reconciler {
    async fn reconcile(&self, cx: &Cx<Application>) -> Result<Outcome, Failure> {
        let key = cx.key();
        for attempt in 1..=PLANS {
            let application = match self.writer.caches.applications.get(key) {
                Some(Entry::Valid(application)) => application,
                // Gone, and its children with it by the garbage collector; or reported as undecodable when it arrived.
                None | Some(Entry::Invalid(_)) => {
                    self.paced.leave(key);
                    self.routes.end(key);
                    self.configuration.end(key);
                    return Ok(Outcome::Done);
                }
            };
            let mut observed = self.writer.caches.observe(key, &application.metadata.uid);
            let mut later = self.follow(&application, &mut observed).await;
            if observed.gateway == Gateway::Unknown && application.may_have_route() {
                if self.began.get_or_init(Instant::now).elapsed() < WARM_UP {
                    return Ok(Outcome::After(LOOK_DELAY));
                }
                later = Some(sooner(later, self.routes.again(key, Instant::now())));
            } else {
                self.routes.end(key);
            }
            let mut plan = plan::plan(&application, &observed, &self.allowed);
            plan.spared(&observed).for_each(|kind| cx.suppressed(&kind.resource()));
            self.tell_from_edits(key, &mut plan);
            if let Some(wait) = readiness::wait(&application, &observed, Timestamp::now()) {
                later = Some(sooner(later, wait));
            }
            if let Err(wait) = self.paced.turn(&application, &observed, || self.rendered_anew()) {
                plan = plan.without_pods();
                later = Some(sooner(later, wait));
            }
            if let Some(undone) = plan.undoes()
                && let Err(wait) = self.may_undo(key)
            {
                return self.yield_to_another(cx, &application, plan.without_undoing(), &undone, wait).await;
            }
            if attempt == PLANS {
                plan = plan.regardless_of_state();
            }
            match self.bring_about(cx, &application, plan).await? {
                Applied::Done => {
                    let later = later.into_iter().chain(self.untold(key)).min();
                    return Ok(later.map_or(Outcome::Done, Outcome::After));
                }
                Applied::Outdated => debug!("something is other than planned, planning anew"),
                Applied::Ahead => return Ok(Outcome::After(EVENT_DELAY)),
            }
        }
        Ok(Outcome::After(EVENT_DELAY))
    }
}

impl Reconciler {
    /// A reconciler that reads caches and writes to the API server through `writer`, and brings about what is `allowed`.
    ///
    /// Of Applications whose pods this version renders otherwise than the last one, it has at most `restarts` under way at a
    /// time; 0 is no limit.
    pub fn new(writer: Writer, allowed: Allowed, restarts: usize) -> Self {
        let (contents, paced) = (Contents::new(writer.client.clone()), Paced::new(restarts));
        let (routes, configuration) = (Looks::default(), Looks::default());
        Self {
            writer,
            allowed,
            paced,
            contests: Mutex::default(),
            contents,
            routes,
            configuration,
            began: OnceLock::new(),
        }
    }

    /// Whose pods this version replaces, for those who measure.
    pub fn paced(&self) -> Paced {
        self.paced.clone()
    }

    /// The Applications whose pods this version renders otherwise than they are.
    fn rendered_anew(&self) -> Vec<Key> {
        let caches = &self.writer.caches;
        let is_anew = |application: &Application| {
            let observed = caches.observe(&application.metadata.key(), &application.metadata.uid);
            self.allowed.refusal(&application.spec).is_none() && plan::renders_pods_anew(application, &observed)
        };
        let all = caches.applications.list();
        let valid = all.iter().filter_map(Entry::valid);
        valid.filter(|application| is_anew(application)).map(|application| application.metadata.key()).collect()
    }

    /// Finds out what the pods are to run with, and when to look again.
    async fn follow(&self, application: &Application, observed: &mut Observed) -> Option<Duration> {
        let key = application.metadata.key();
        let Some(mut configuration) = observed.configuration.take() else {
            self.configuration.end(&key);
            return None;
        };
        let later = if configuration.is_listed {
            self.configuration.end(&key);
            self.contents.settle(application, observed, &mut configuration).await
        } else {
            Some(self.configuration.again(&key, Instant::now()))
        };
        observed.configuration = Some(configuration);
        later
    }

    fn contests(&self) -> MutexGuard<'_, Contests> {
        // Nothing under the lock can panic.
        self.contests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_undo(&self, key: &Key) -> Result<(), Duration> {
        self.contests().undo(key, Instant::now())
    }

    fn tell_from_edits(&self, key: &Key, plan: &mut Plan) {
        if let Some(written) = self.contests().written(key) {
            plan.tell_from_edits(written);
        }
    }

    async fn bring_about(
        &self,
        cx: &Cx<Application>,
        application: &Arc<Application>,
        plan: Plan,
    ) -> Result<Applied, Failure> {
        let hashes = plan.hashes();
        let result = self.writer.carry_out(application, plan).await;
        if matches!(result, Ok(Applied::Done)) {
            self.contests().wrote(cx.key(), hashes, Instant::now());
        }
        let attempt = match &result {
            Ok(Applied::Done) => Attempt::Made,
            Ok(applied) => return Ok(*applied),
            Err(error) if error.is_namespace_gone() => return Ok(Applied::Done),
            Err(error) if error.is_unavailable() => return Err(failure(result)),
            // What fails once, such as whatever is under way when one of several API servers ends, is no news.
            Err(Error::Unmade { .. }) if cx.attempt() == 1 => return Err(failure(result)),
            Err(error @ Error::Contested { .. }) => Attempt::Contested(chain(error)),
            Err(error @ Error::Occupied { .. }) => Attempt::Occupied(chain(error)),
            Err(error @ Error::Rejected { .. }) => Attempt::Rejected(chain(error)),
            Err(error) => Attempt::Failed(chain(error)),
        };
        let told = self.tell(cx, application, &attempt).await;
        if attempt == Attempt::Made { told.map_err(|error| failure(Err(error))) } else { Err(failure(result)) }
    }

    /// Leaves what another writer changes each time as it is for now, and does the rest.
    async fn yield_to_another(
        &self,
        cx: &Cx<Application>,
        application: &Arc<Application>,
        rest: Plan,
        undone: &str,
        wait: Duration,
    ) -> Result<Outcome, Failure> {
        self.writer.carry_out(application, rest).await.map_err(|error| failure(Err(error)))?;
        let message = format!(
            "Another writer keeps changing {undone}; it is put back ever more rarely, in the end once a minute"
        );
        self.tell(cx, application, &Attempt::Contested(message)).await.map_err(|error| failure(Err(error)))?;
        Ok(Outcome::After(sooner(self.untold(cx.key()), wait)))
    }

    /// How long the status of `application` has to wait, if it has.
    fn untold(&self, application: &Key) -> Option<Duration> {
        self.contests().untold(application, Instant::now())
    }

    /// Writes the status, if it has changed, and if it need not wait since somebody else changes it each time.
    async fn tell(
        &self,
        cx: &Cx<Application>,
        application: &Arc<Application>,
        attempt: &Attempt,
    ) -> Result<Applied, Error> {
        let key = cx.key();
        // Again from the caches, which know by now what was just written.
        let Some(Entry::Valid(current)) = self.writer.caches.applications.get(key) else {
            return Ok(Applied::Done);
        };
        // What was attempted says nothing of a wish that came since; that one is the next call's.
        if !current.has_wish_of(application) {
            return Ok(Applied::Done);
        }
        let mut observed = self.writer.caches.observe(key, &current.metadata.uid);
        if let Some(configuration) = &mut observed.configuration {
            configuration.is_late = self.configuration.is_late(key, Instant::now());
            configuration.lacking = self.contents.lacking(&current, &configuration.parts);
        }
        let status = status::status(&current, &observed, &self.allowed, attempt, &now());
        if status == current.status {
            cx.suppressed(&Application::RESOURCE);
            return Ok(Applied::Done);
        }
        let Ok(telling) = self.contests().tell(key, &status, Instant::now()) else {
            let message = "The status does not stay as it is written: another writer keeps changing it, or the definition \
                           is that of another version; it is put back ever more rarely, in the end once a minute";
            let reason = Reason::Contested.as_str();
            self.writer.recorder.record(&*current, Kind::Warning, reason, "Report", message.to_owned());
            return Ok(Applied::Done);
        };
        let applied = self.writer.status(&current, &status).await?;
        if applied == Applied::Done {
            self.contests().told(key, telling, Instant::now());
        }
        if let Some(ready) = status.conditions.first().filter(|ready| {
            let former = current.status.conditions.first().map(|former| &*former.reason);
            // That the children are created is told by then; that they are waited for follows.
            let is_news =
                former != Some(&*ready.reason) && (former, &*ready.reason) != (None, Reason::Pending.as_str());
            applied == Applied::Done && is_news
        }) {
            let degraded =
                status.conditions.iter().any(|condition| condition.type_ == "Degraded" && condition.status == "True");
            if degraded {
                warn!(ready = &*ready.status, reason = &*ready.reason, "{}", ready.message);
            } else {
                info!(ready = &*ready.status, reason = &*ready.reason, "{}", ready.message);
            }
            let kind = if degraded { Kind::Warning } else { Kind::Normal };
            if let Some(reason) = Reason::ALL.iter().find(|reason| reason.as_str() == ready.reason) {
                self.writer.recorder.record(&*current, kind, reason.as_str(), "Report", ready.message.to_string());
            }
        }
        Ok(applied)
    }
}

/// The earlier of two times to look again.
fn sooner(later: Option<Duration>, wait: Duration) -> Duration {
    later.map_or(wait, |later| later.min(wait))
}

fn failure(result: Result<Applied, Error>) -> Failure {
    match result {
        Err(error) if error.is_unavailable() => Failure::Unavailable(Box::new(error)),
        Err(error) => Failure::Retry(Box::new(error)),
        Ok(applied) => Failure::Retry(format!("{applied:?}").into()),
    }
}

/// The time in a condition: whole seconds, as Kubernetes writes it, so that what is read back equals what was written.
fn now() -> Time {
    let now = Timestamp::now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}
