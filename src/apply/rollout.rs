//! Carries out the steps of a rollout: revisions recorded, amended and forgotten, Jobs started and stopped.

use engine::api::{Deleted, Deletion, Precondition, Propagation};
use engine::events::Kind;
use engine::object::{Key, Metadata, Object, ResourceVersion, Uid};
use engine::store::Reader;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tracing::info;

use super::{Applied, Error, Writer, failure, named};
use crate::application::Application;
use crate::observe::Revision;
use crate::observe::revision::is_own;
use crate::plan::rollout::{Step, Told};

impl Writer {
    /// Carries out `steps`, one after the other; the next is not begun where one was not made.
    pub(super) async fn in_order(&self, application: &Application, steps: Vec<Step>) -> Result<Applied, Error> {
        for step in steps {
            match self.step(application, step).await? {
                Applied::Done => {}
                applied => return Ok(applied),
            }
        }
        Ok(Applied::Done)
    }

    /// Carries out `steps`, all at once.
    pub(super) async fn at_once(&self, application: &Application, steps: Vec<Step>) -> Result<Applied, Error> {
        let results = join_all(steps.into_iter().map(|step| self.step(application, step))).await;
        results.into_iter().try_fold(Applied::Done, |applied, result| Ok(applied.max(result?)))
    }

    async fn step(&self, application: &Application, step: Step) -> Result<Applied, Error> {
        let (revisions, jobs) = (&self.caches.revisions, &self.caches.jobs);
        match step {
            Step::Record { body } => {
                // A wish of long ago would take a number that another revision has by now.
                if !self.is_current(application).await? {
                    return Ok(Applied::Outdated);
                }
                self.create(application, revisions, &body).await
            }
            Step::Amend { key, uid, version, body, told } => {
                let applied = self.amend(&key, uid, version, body).await?;
                if applied == Applied::Done {
                    for told in told {
                        self.told(application, told);
                    }
                }
                Ok(applied)
            }
            Step::Forget { key, uid, version } => {
                let assumed = Metadata { uid: uid.clone(), resource_version: version.clone(), ..Metadata::default() };
                let precondition = Precondition::Unchanged { uid, version };
                self.remove(revisions, &key, &Deletion::unchanged(&assumed), &precondition).await
            }
            Step::Start { migration, body, revision, version } => {
                if !self.is_as_seen(application, &revision, &version).await? {
                    return Ok(Applied::Outdated);
                }
                let applied = self.create(application, jobs, &body).await?;
                if applied == Applied::Done {
                    let name = body["metadata"]["name"].as_str().unwrap_or_default();
                    let note = format!("Migration {migration} begins (Job {name})");
                    self.told(
                        application,
                        Told { is_warning: false, reason: "MigrationStarted", action: "Migrate", note },
                    );
                }
                Ok(applied)
            }
            Step::Stop { key, uid } => {
                // Its pods before it: the next migration waits until it is gone.
                let deletion = Deletion::same_life(uid.clone()).propagation(Propagation::Foreground);
                self.remove(jobs, &key, &deletion, &Precondition::SameLife { uid }).await
            }
        }
    }

    async fn create<T: Object>(
        &self,
        application: &Application,
        cache: &Reader<T>,
        body: &Value,
    ) -> Result<Applied, Error> {
        let key = application.metadata.key().sibling(body["metadata"]["name"].as_str().unwrap_or_default());
        match self.client.apply::<T>(&key, body, &Precondition::Absent).await {
            Ok(created) => {
                cache.remember(created);
                Ok(Applied::Done)
            }
            Err(error) if error.is_conflict() && self.is_occupied::<T>(application, &key).await => {
                Err(Error::Occupied { child: named::<T>(&key) })
            }
            Err(error) => self.settle(cache, &key, &Precondition::Absent, error).await,
        }
    }

    /// Whether somebody else's object stands under the name, which the cache, of labelled objects alone, may not know.
    async fn is_occupied<T: Object>(&self, application: &Application, key: &Key) -> bool {
        let live = self.client.get::<T>(key).await.ok().flatten();
        let metadata = live.as_ref().map(Object::metadata);
        metadata.is_some_and(|there| !there.is_terminating() && !is_own(there, &application.metadata.uid))
    }

    async fn amend(&self, key: &Key, uid: Uid, version: ResourceVersion, mut body: Value) -> Result<Applied, Error> {
        body["metadata"]["uid"] = json!(uid);
        body["metadata"]["resourceVersion"] = json!(version);
        match self.client.merge::<Revision>(key, None, &body).await {
            Ok(written) => {
                self.caches.revisions.remember(written);
                Ok(Applied::Done)
            }
            Err(error) => {
                let precondition = Precondition::Unchanged { uid, version };
                self.settle(&self.caches.revisions, key, &precondition, error).await
            }
        }
    }

    async fn remove<T: Object>(
        &self,
        cache: &Reader<T>,
        key: &Key,
        deletion: &Deletion,
        precondition: &Precondition,
    ) -> Result<Applied, Error> {
        let known = cache.get(key);
        match self.client.delete::<T>(key, deletion).await {
            Ok(Deleted::Terminating(object)) => drop(cache.remember(object)),
            Ok(Deleted::Gone) => {
                if let Some(known) = known {
                    cache.remember_deleted(known.metadata());
                }
            }
            Err(error) => return self.settle(cache, key, precondition, error).await,
        }
        info!(object = %key, kind = T::RESOURCE.kind, "deleted, as nothing needs it any more");
        Ok(Applied::Done)
    }

    /// Whether the server has the wish and the revision that were seen.
    async fn is_as_seen(&self, application: &Application, key: &Key, version: &ResourceVersion) -> Result<bool, Error> {
        if !self.is_current(application).await? {
            return Ok(false);
        }
        let live = self.client.get::<Revision>(key).await.map_err(|error| failure::<Revision>(key, error))?;
        let Some(live) = live else { return Ok(false) };
        Ok(self.caches.revisions.remember(live).metadata.resource_version == *version)
    }

    fn told(&self, application: &Application, Told { is_warning, reason, action, note }: Told) {
        info!(action, "{note}");
        let kind = if is_warning { Kind::Warning } else { Kind::Normal };
        self.recorder.record(application, kind, reason, action, note);
    }
}
