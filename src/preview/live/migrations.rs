//! The revisions of an Application, and the Jobs of its migrations: those that there are, and those that are to come.

use std::sync::Arc;

use engine::api::{self, Collection, Label, Labels, Precondition, Selector};
use engine::object::Object;
use serde_json::Value;

use super::{Cluster, Error, is_not_permitted};
use crate::application::Application;
use crate::observe::revision::{self, APPLICATION_LABEL};
use crate::observe::{Job, Observed, Revision};
use crate::preview::course::Course;
use crate::preview::forecast::{Forecast, Step};

impl Cluster {
    /// The revisions of an Application, and the Jobs of its migrations.
    pub(super) async fn history(
        &self,
        application: &Application,
        is_there: bool,
    ) -> Result<(Vec<Arc<Revision>>, Vec<Arc<Job>>), api::Error> {
        let metadata = &application.metadata;
        if !is_there {
            return Ok((Vec::new(), Vec::new()));
        }
        let is_own = Label::In(APPLICATION_LABEL.into(), vec![(&*metadata.name).into()]);
        let selector = Selector { labels: Labels(vec![is_own]), ..Selector::default() };
        let collection = Collection { namespace: Some(metadata.namespace.clone()), selector };
        let revisions = self.reader.list::<Revision>(&collection, None, None).await?.entries;
        let jobs = self.reader.list::<Job>(&collection, None, None).await?.entries;
        Ok((revision::own(revisions, &metadata.uid), revision::own(jobs, &metadata.uid)))
    }

    /// What there will be once nothing is left to wait for; tells what happens on the way.
    pub(super) async fn follow(
        &self,
        forecast: &mut Forecast,
        application: &Application,
        is_new: bool,
        observed: Observed,
    ) -> Result<Observed, Error> {
        let course = Course::of(application, observed);
        for job in &course.migrations {
            let refused = self.refusal(forecast, application, job).await?;
            forecast.objects.push(Step::of_migration(job, is_new, refused));
        }
        let under_way = course.under_way.iter().map(|name| format!("migration {name} runs already, and is waited for"));
        let stopped =
            course.stopped.iter().map(|job| format!("Job {job} is stopped, which the spec no longer asks for"));
        forecast.notes.extend(under_way.chain(stopped));
        (forecast.held, forecast.problem) = (course.held, course.problem);
        Ok(course.end)
    }

    /// Why the server would not have the Job of a migration, if so.
    async fn refusal(
        &self,
        forecast: &mut Forecast,
        application: &Application,
        job: &Value,
    ) -> Result<Option<String>, Error> {
        let name = job["metadata"]["name"].as_str().unwrap_or_default();
        let key = application.metadata.key().sibling(name);
        let answer = self.operator.apply_as::<Value>(&Job::RESOURCE, &key, None, job, &Precondition::Absent).await;
        match answer {
            Ok(_) => Ok(None),
            Err(error) if is_not_permitted(&error) => {
                let note =
                    format!("you may not write jobs.batch: what becomes of Job {name} is told without the server");
                forecast.notes.push(note);
                Ok(None)
            }
            Err(error) => match error.status() {
                Some(status) if !error.is_unavailable() => Ok(Some(status.message.clone())),
                _ => Err(Error::Untried { what: format!("Job {name}"), source: error }),
            },
        }
    }
}
