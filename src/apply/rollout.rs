//! Carries out the steps of a rollout: revisions recorded, amended and forgotten, Jobs started and stopped.

use engine::api::{Collection, Deleted, Deletion, Entry, Label, Labels, Precondition, Propagation, Selector};
use engine::events::Kind;
use engine::object::{Key, Metadata, Object, ResourceVersion, Uid};
use engine::store::Reader;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tracing::info;

use super::{Applied, Error, Writer, failure, named};
use crate::application::Application;
use crate::observe::job::MIGRATION_LABEL;
use crate::observe::revision::{APPLICATION_LABEL, is_own};
use crate::observe::{Job, Pod, Revision};
use crate::plan::rollout::{Step, Told};

/// Finalizers by which an object goes after, or without, what it owns: the server's own, with which it goes by itself
/// (`FinalizerDeleteDependents` and `FinalizerOrphanDependents` in meta/v1).
const OF_DELETION: [&str; 2] = ["foregroundDeletion", "orphan"];

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
        if step.gives_number() && !self.is_current(application).await? {
            return Ok(Applied::Outdated);
        }
        match step {
            Step::Record { body } => self.create(application, revisions, &body).await,
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
                if self.is_migrating(application).await? {
                    return Ok(Applied::Ahead);
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
        let error = match self.client.apply::<T>(&key, body, &Precondition::Absent).await {
            Ok(created) => {
                cache.remember(created);
                return Ok(Applied::Done);
            }
            Err(error) => error,
        };
        if error.is_conflict()
            && let Some(why) = self.obstacle::<T>(application, &key).await
        {
            return Err(Error::Occupied { child: named::<T>(&key), why });
        }
        self.settle(cache, &key, &Precondition::Absent, error).await
    }

    /// Why what stands under the name stays there, and is no plan's: the cache, of labelled objects alone, may not know it.
    async fn obstacle<T: Object>(&self, application: &Application, key: &Key) -> Option<String> {
        let live = self.client.get::<T>(key).await.ok().flatten()?;
        let (there, metadata) = (live.metadata(), &application.metadata);
        if there.is_terminating() {
            let keeper = there.finalizers.iter().find(|finalizer| !OF_DELETION.contains(&&***finalizer))?;
            return Some(format!("is being deleted, and its finalizer {keeper} keeps it"));
        }
        if !is_own(there, &metadata.uid) {
            return Some("is there already, and is not this Application's; delete it".to_owned());
        }
        let label = there.labels.get(APPLICATION_LABEL);
        (label != Some(&*metadata.name)).then(|| {
            format!("is there already, and lacks its label {APPLICATION_LABEL}={}; give it back", metadata.name)
        })
    }

    /// Whether a pod or a Job runs a migration of the Application, or of an earlier life of it, that the cache may not know yet.
    async fn is_migrating(&self, application: &Application) -> Result<bool, Error> {
        let metadata = &application.metadata;
        let labels = vec![
            Label::In(APPLICATION_LABEL.into(), vec![(&*metadata.name).into()]),
            Label::Exists(MIGRATION_LABEL.into()),
        ];
        let selector = Selector { labels: Labels(labels), ..Selector::default() };
        let collection = Collection { namespace: Some(metadata.namespace.clone()), selector };
        let pods = self.client.list::<Pod>(&collection, None, None).await;
        let pods = pods.map_err(|error| failure::<Pod>(&metadata.key(), error))?.entries;
        if pods.iter().filter_map(Entry::valid).any(|pod| pod.runs_migration()) {
            return Ok(true);
        }
        let jobs = self.client.list::<Job>(&collection, None, None).await;
        let jobs = jobs.map_err(|error| failure::<Job>(&metadata.key(), error))?.entries;
        Ok(jobs.iter().filter_map(Entry::valid).any(|job| !job.is_finished()))
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
