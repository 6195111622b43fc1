//! Carries out a plan: writes in, the new state into the caches. Makes no choices of its own.
//!
//! A write that meets another state than the plan assumed, or whose answer is lost, is settled by a look at the server: what
//! is found there is kept beside the cache, and the caller plans again.

pub mod barred;
mod rollout;
mod takeover;

use engine::api::{self, Client, Deleted, Deletion, Precondition, Subresource};
use engine::events::{Kind, Recorder};
use engine::object::{Key, Metadata, Object, Uid};
use engine::settle::{Settled, settle};
use engine::store::Reader;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tracing::info;

use crate::application::{Application, ApplicationStatus};
use crate::observe::{Caches, Child, Kind as ChildKind, Marker};
use crate::plan::{Cause, FORMER_FINALIZER, Finalizers, Plan, Write, compare};

/// What became of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Applied {
    /// Everything is written.
    Done,
    /// Something is other than planned; the caches know by now, so that a new plan can be made.
    Outdated,
    /// Something is other than planned, and the caches will know soon.
    Ahead,
}

/// Why a plan could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server will not have it, and will not until something changes.
    #[error("{child} was refused")]
    Rejected {
        /// Kind and name of the child.
        child: String,
        /// The server's words.
        source: api::Error,
    },
    /// It did not work out this time.
    #[error("{child} could not be written")]
    Failed {
        /// Kind and name of the child.
        child: String,
        /// What went wrong.
        source: api::Error,
    },
    /// It did not work out, and the server, which answers otherwise, has it as before.
    #[error("{child} was not written")]
    Unmade {
        /// Kind and name of the child.
        child: String,
        /// What went wrong.
        source: api::Error,
    },
    /// What stands under the name can't be used, and does not go by itself.
    #[error("{child} {why}")]
    Occupied {
        /// Kind and name of the object.
        child: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// What was written is not what is stored: an admission webhook or policy changes it, or the API server drops a field whose
    /// feature gate is off.
    #[error(
        "{child} was written, but {path} is not as wished: a webhook or policy changes it, or this Kubernetes drops it"
    )]
    Contested {
        /// Kind and name of the child.
        child: String,
        /// The first difference.
        path: String,
    },
}

impl Error {
    /// Returns true if no server could be reached, or it is overloaded.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Failed { source, .. } if source.is_unavailable())
    }

    /// Returns true if the namespace is gone or going, so that nothing can be created in it any more.
    pub fn is_namespace_gone(&self) -> bool {
        let Self::Rejected { source, .. } = self else {
            return false;
        };
        source.status().is_some_and(|status| {
            let terminating = status.details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating");
            // Without a reason it is not the namespace that is unknown, but the kind.
            terminating || status.is_not_found() && !status.reason.is_empty()
        })
    }
}

/// Writes to the API server.
#[derive(Clone)]
pub struct Writer {
    /// The API server.
    pub client: Client,
    /// Where the answers go.
    pub caches: Caches,
    /// Where it is told what was done.
    pub recorder: Recorder,
}

impl Writer {
    /// Carries out `plan`.
    ///
    /// # Errors
    ///
    /// The first [`Error`]; other writes of the plan may have been made.
    pub async fn carry_out(&self, application: &Application, plan: Plan) -> Result<Applied, Error> {
        let children = plan.children.into_iter().map(|(kind, write)| async move {
            match kind {
                ChildKind::Deployment => self.child(application, &self.caches.deployments, write).await,
                ChildKind::Service => self.child(application, &self.caches.services, write).await,
                ChildKind::PodDisruptionBudget => self.child(application, &self.caches.budgets, write).await,
                ChildKind::HorizontalPodAutoscaler => self.child(application, &self.caches.autoscalers, write).await,
                ChildKind::Ingress => self.child(application, &self.caches.ingresses, write).await,
                ChildKind::HttpRoute => self.child(application, &self.caches.routes, write).await,
            }
        });
        match self.in_order(application, plan.before).await? {
            Applied::Done => {}
            applied => return Ok(applied),
        }
        let rest = join(self.finalizers(application, plan.finalizers), self.at_once(application, plan.beside));
        let ((finalizers, beside), children) = join(rest, join_all(children)).await;
        let applied = children.into_iter().try_fold(finalizers?, |applied, child| Ok(applied.max(child?)))?;
        Ok(applied.max(beside?))
    }

    /// Writes the status as a whole.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] or [`Error::Failed`].
    pub async fn status(&self, application: &Application, status: &ApplicationStatus) -> Result<Applied, Error> {
        let body = json!({"status": status});
        self.merge(application, Some(Subresource::Status), body).await
    }

    async fn finalizers(&self, application: &Application, wish: Option<Finalizers>) -> Result<Applied, Error> {
        let Some(Finalizers { kept, mends_replicas }) = wish else { return Ok(Applied::Done) };
        let mut body = json!({"metadata": {"finalizers": kept}});
        if mends_replicas {
            body["spec"]["replicas"] = json!(0);
        }
        let applied = self.merge(application, None, body).await?;
        info!(finalizer = FORMER_FINALIZER, "removed the former operator's finalizer");
        Ok(applied)
    }

    /// Merges `body` into the Application as it is known.
    async fn merge(
        &self,
        application: &Application,
        subresource: Option<Subresource>,
        mut body: Value,
    ) -> Result<Applied, Error> {
        let key = application.metadata.key();
        body["metadata"]["resourceVersion"] = json!(application.metadata.resource_version);
        match self.client.merge::<Application>(&key, subresource, &body).await {
            Ok(written) => {
                self.caches.applications.remember(written);
                Ok(Applied::Done)
            }
            Err(error) => {
                let Metadata { uid, resource_version, .. } = application.metadata.clone();
                let unchanged = Precondition::Unchanged { uid, version: resource_version };
                self.settle(&self.caches.applications, &key, &unchanged, error).await
            }
        }
    }

    async fn child<K: Marker>(
        &self,
        application: &Application,
        cache: &Reader<Child<K>>,
        Write { cause, body, precondition, claims }: Write,
    ) -> Result<Applied, Error> {
        let key = K::KIND.key(&application.metadata.key());
        let Some(body) = body else {
            let known = cache.get(&key);
            return match self.client.delete::<Child<K>>(&key, &deletion(precondition.clone())).await {
                Ok(deleted) => {
                    match (deleted, known) {
                        (Deleted::Terminating(child), _) => drop(cache.remember(child)),
                        (Deleted::Gone, Some(known)) => cache.remember_deleted(known.metadata()),
                        (Deleted::Gone, None) => {}
                    }
                    self.tell(application, &key, K::KIND, &cause);
                    Ok(Applied::Done)
                }
                Err(error) => self.settle(cache, &key, &precondition, error).await,
            };
        };
        if claims && !self.is_current(application).await? {
            return Ok(Applied::Outdated);
        }
        let answer = self.apply_owning::<K>(application, &key, &body, &precondition, &cause).await;
        let child = match answer {
            Ok(child) => cache.remember(child),
            Err(error) => return self.settle(cache, &key, &precondition, error).await,
        };
        if let Some(path) = compare::drift(&body, child.metadata(), &child.0.spec) {
            return Err(Error::Contested { child: named::<Child<K>>(&key), path });
        }
        self.tell(application, &key, K::KIND, &cause);
        Ok(Applied::Done)
    }

    /// Returns true if the server has this life of the Application, with the same wish, and it is not being deleted.
    async fn is_current(&self, application: &Application) -> Result<bool, Error> {
        let key = application.metadata.key();
        let live = self.client.get::<Application>(&key).await.map_err(|error| failure::<Application>(&key, error))?;
        let Some(live) = live else { return Ok(false) };
        let live = self.caches.applications.remember(live);
        Ok(live.has_wish_of(application) && !live.metadata.is_terminating())
    }

    /// Finds out what a write has met that was refused for its precondition, or whose answer was lost.
    async fn settle<T: Object>(
        &self,
        cache: &Reader<T>,
        key: &Key,
        precondition: &Precondition,
        error: api::Error,
    ) -> Result<Applied, Error> {
        match settle(&self.client, cache, key, precondition, error).await {
            Ok(Settled::Outdated) => Ok(Applied::Outdated),
            Ok(Settled::Ahead) => Ok(Applied::Ahead),
            Err(unsettled) if unsettled.is_no_outage() => {
                Err(Error::Unmade { child: named::<T>(key), source: unsettled.error })
            }
            Err(unsettled) => Err(failure::<T>(key, unsettled.error)),
        }
    }

    fn tell(&self, application: &Application, key: &Key, kind: ChildKind, cause: &Cause) {
        let name = &key.name;
        let (reason, action, note) = match cause {
            Cause::Missing => ("Created", "Create", format!("Created {kind} {name}")),
            Cause::Wish => ("Updated", "Update", format!("Updated {kind} {name}")),
            Cause::Drift(path) => ("Healed", "Heal", format!("Put back {path} of {kind} {name}")),
            Cause::Unwished => ("Deleted", "Delete", format!("Deleted {kind} {name}, which is no longer wished for")),
            Cause::Adoption => ("Adopted", "Adopt", format!("Adopted {kind} {name} from the former operator")),
        };
        info!(action, %kind, child = %name, "{note}");
        self.recorder.record(application, Kind::Normal, reason, action, note);
    }
}

/// A deletion that assumes what the plan does.
fn deletion(precondition: Precondition) -> Deletion {
    match precondition {
        Precondition::Unchanged { uid, version } => {
            Deletion::unchanged(&Metadata { uid, resource_version: version, ..Metadata::default() })
        }
        Precondition::SameLife { uid } => Deletion::same_life(uid),
        // No life has this uid, so that nothing is deleted.
        Precondition::Absent => Deletion::same_life(Uid::default()),
    }
}

fn failure<T: Object>(key: &Key, source: api::Error) -> Error {
    let child = named::<T>(key);
    if source.is_unavailable() || source.is_conflict() || source.status().is_none() {
        Error::Failed { child, source }
    } else {
        Error::Rejected { child, source }
    }
}

fn named<T: Object>(key: &Key) -> String {
    format!("{} {}", T::RESOURCE.kind, key.name)
}

#[cfg(test)]
mod tests;
