//! The pace at which a new version replaces pods, kept by all workers together, and told.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use engine::metrics::Samples;
use engine::object::Key;
use tracing::{debug, info, warn};

use crate::application::{Application, ConditionType};
use crate::observe::Observed;
use crate::pace::Pace;
use crate::{plan, status};

/// Whose pods this version replaces, and how many at a time. Clones are the same.
#[derive(Clone)]
pub struct Paced {
    places: usize,
    /// None until the first Application is looked at, which is when the caches are filled.
    pace: Arc<OnceLock<Mutex<Pace>>>,
}

impl Paced {
    pub(super) fn new(places: usize) -> Self {
        Self { places, pace: Arc::default() }
    }

    /// Whether the pods of `application` may be replaced; when to ask again, if not. The first call counts those that are
    /// `found` to be rendered otherwise by this version: all is in the caches, and no server is asked.
    pub(super) fn turn(
        &self,
        application: &Application,
        observed: &Observed,
        found: impl FnOnce() -> Vec<Key>,
    ) -> Result<(), Duration> {
        let mut pace = self.begun(found);
        if pace.is_over() {
            return Ok(());
        }
        let key = application.metadata.key();
        if pace.is_under_way(&key) {
            let is_done =
                !plan::renders_pods_anew(application, observed) && status::is_rolled_out(application, observed);
            if is_done || is_changed(application) || is_paused(application) {
                let (waiting, under_way) = pace.counts();
                debug!(waiting, under_way, "the pods of this version run");
                left(pace.leave(&key));
            }
            return Ok(());
        }
        if !plan::renders_pods_anew(application, observed) {
            left(pace.leave(&key));
            return Ok(());
        }
        let turn = pace.ask(&key, was_ready(application, observed) && !is_paused(application));
        if turn.is_ok() {
            debug!("replacing the pods, which this version renders otherwise");
        }
        turn
    }

    /// Tells that there is no such Application any more.
    pub(super) fn leave(&self, key: &Key) {
        if let Some(pace) = self.pace.get() {
            left(lock(pace).leave(key));
        }
    }

    /// Tells how many wait, and how many are under way.
    pub fn tell(&self, samples: &mut Samples) {
        let (waiting, under_way) = self.pace.get().map_or((0, 0), |pace| lock(pace).counts());
        let help = "Applications whose pods this version of the operator renders otherwise than the last one, and that wait \
                    for their turn to have them replaced, or have them replaced now";
        for (state, count) in [("waiting", waiting), ("under_way", under_way)] {
            let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            samples.gauge("application_operator_upgrade_restarts", help, &[("state", state)], count);
        }
    }

    fn begun(&self, found: impl FnOnce() -> Vec<Key>) -> MutexGuard<'_, Pace> {
        lock(self.pace.get_or_init(|| {
            let found = if self.places == 0 { Vec::new() } else { found() };
            let (count, at_a_time) = (found.len(), self.places);
            let pace = Pace::new(found, self.places);
            if !pace.is_over() {
                warn!(count, at_a_time, "this version replaces the pods of many Applications, so many at a time");
            } else if count > 0 {
                info!(count, "this version replaces the pods of some Applications");
            }
            Mutex::new(pace)
        }))
    }
}

/// Whether a user has asked for something since the operator last told of it. One that it never told of is the former
/// operator's, which tells nothing.
fn is_changed(application: &Application) -> bool {
    let told = application.status.observed_generation;
    told != 0 && told != application.metadata.generation
}

/// Whether its pods stay as they are until somebody says so, for however long.
fn is_paused(application: &Application) -> bool {
    application.spec.paused == Some(true)
}

/// Whether its pods ran before this version came: as it was told, or, where nothing was, as its Deployment is.
fn was_ready(application: &Application, observed: &Observed) -> bool {
    let told = application.status.condition(ConditionType::Ready);
    told.map_or_else(|| status::is_rolled_out(application, observed), |ready| ready.status == "True")
}

fn left(is_over: bool) {
    if is_over {
        info!("the pods of all Applications are as this version renders them");
    }
}

// Nothing under it can panic but what is counted at the start, before there is a lock.
fn lock(pace: &Mutex<Pace>) -> MutexGuard<'_, Pace> {
    pace.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::{Found, Kind};
    use crate::plan::tests::application;

    /// An Application as the Go operator leaves it: it has told nothing, and its pods run.
    fn former(name: &str) -> (Application, Observed) {
        let mut application = application(&json!({"replicas": 1}));
        application.metadata.name = name.into();
        let status = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
            "readyReplicas": 1});
        let deployment = json!({
            "metadata": {"name": format!("{name}-deployment"), "uid": name, "generation": 1,
                "ownerReferences": [{"uid": application.metadata.uid}]},
            "spec": {"replicas": 1, "template": {}},
            "status": status,
        });
        let live = serde_json::from_str(&deployment.to_string()).unwrap();
        let children = [(Kind::Deployment, Found::Own(Arc::new(live)))].into();
        (application, Observed { children, ..Observed::default() })
    }

    #[test]
    fn a_place_is_kept_however_often_it_is_planned_before_anything_was_told() {
        let paced = Paced::new(1);
        let [(first, of_first), (second, of_second)] = ["first", "second"].map(former);
        let found = || vec![first.metadata.key(), second.metadata.key()];
        for _ in 0..3 {
            assert_eq!(paced.turn(&first, &of_first, found), Ok(()));
        }
        assert!(paced.turn(&second, &of_second, found).is_err(), "there is one place");
    }
}
