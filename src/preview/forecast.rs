//! What becomes of one Application and its children, as data. Pure.

use std::sync::Arc;

use engine::object::{Key, Object};
use serde::Serialize;
use serde_json::Value;

use super::course::Course;
use super::effect::{self, Effect};
use super::input::{Given, Place};
use super::schema;
use crate::application::config::Source;
use crate::application::{Allowed, Application};
use crate::observe::job::MIGRATION_LABEL;
use crate::observe::revision::REVISION_ANNOTATION;
use crate::observe::{Configuration, Job, Kind, Live, OWNER_ANNOTATION, Observed, Rolled};
use crate::plan::{self, Cause, HASH_ANNOTATION, Write};

/// What kubectl remembers of what it applied: the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What the deployment controller counts rollouts by.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// Stands for what only the operator can tell.
const UNKNOWN: &str = "(told by the operator)";

/// Fields of `metadata` that the API server fills in, and that say nothing to those who read a difference.
const OF_SERVER: [&str; 6] = ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is created.
    Create,
    /// It is changed.
    Change,
    /// It is taken over from the former operator.
    Adopt,
    /// It is deleted, since it is no longer wished for.
    Delete,
    /// It stays as it is.
    Keep,
    /// Nothing can be done before it is gone.
    Wait,
    /// Somebody else's object stands under its name.
    Contested,
    /// The API server will not have it.
    Refused,
}

/// What becomes of one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Kind of the object.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub action: Action,
    /// Why, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What comes of that.
    #[serde(flatten)]
    pub effect: Effect,
    /// As it is; `None` where it is not there.
    pub before: Option<Value>,
    /// As it will be; `None` where it will not be there.
    pub after: Option<Value>,
}

/// What becomes of one Application.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Why it can't be brought about, or not as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What keeps pods of the wished template back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// What else is to be known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What becomes of it and of its children.
    pub objects: Vec<Step>,
}

impl Action {
    /// Whether something is written.
    pub fn is_change(self) -> bool {
        matches!(self, Self::Create | Self::Change | Self::Adopt | Self::Delete)
    }
}

impl Forecast {
    /// Nothing known yet.
    pub fn of(given: &Given) -> Self {
        Self {
            namespace: given.key.namespace.to_string(),
            name: given.key.name.to_string(),
            place: given.place.clone(),
            problem: None,
            held: None,
            notes: Vec::new(),
            objects: Vec::new(),
        }
    }

    /// The key of the Application.
    pub fn key(&self) -> Key {
        Key::new(&*self.namespace, &*self.name)
    }

    /// What becomes of an Application where there is nothing at all, in a namespace that enforces `restricted` or doesn't.
    pub fn offline(given: &Given, allowed: &Allowed, enforces_restricted: bool) -> Self {
        let mut forecast = Self::of(given);
        let mut object = given.object.clone();
        let faults = schema::admit(&mut object);
        if !faults.is_empty() {
            forecast.problem = Some(faults.join("; "));
            return forecast;
        }
        let mut application: Application = match serde_json::from_value(object.clone()) {
            Ok(application) => application,
            Err(error) => {
                forecast.problem = Some(error.to_string());
                return forecast;
            }
        };
        if let Some(number) = application.spec.rollback.take().and_then(|rollback| rollback.to_revision) {
            let note = format!("what revision {number} is, and whether it can run, is not known without the cluster");
            forecast.notes.push(note);
        }
        if application.spec.migrations.is_some() {
            let note = "taken for a first rollout: of what has been rolled out before, no migration runs again";
            forecast.notes.push(note.to_owned());
        }
        forecast.objects.push(Step::of_application(&forecast.name, None, &object));
        forecast.problem = refusal(&application, allowed);
        let configuration = configuration(&application, None);
        let observed = Observed { enforces_restricted, configuration, ..Observed::default() };
        let course = Course::of(&application, observed);
        if forecast.problem.is_none() {
            forecast.objects.extend(course.migrations.iter().map(|job| Step::of_migration(job, true, None)));
        }
        forecast.held.clone_from(&course.held);
        for (kind, write) in plan::plan(&application, &course.end, allowed).children {
            forecast.objects.push(Step::of_write(kind, &application, &write, None, write.body.as_ref()));
        }
        forecast
    }
}

/// Takes off what only the revisions tell, for those who may not read them; and says so, if there is any.
pub fn without_revisions(application: &mut Application) -> Option<String> {
    let rollback = application.spec.rollback.take();
    let mut unknown = Vec::new();
    if rollback.is_some() {
        unknown.push("whether another revision runs than the spec asks for".to_owned());
    }
    if let Some(migrations) = application.spec.migrations.take() {
        let names: Vec<_> = migrations.into_iter().map(|migration| migration.name).collect();
        unknown.push(format!("whether these migrations run first: {}", names.join(", ")));
    }
    (!unknown.is_empty()).then(|| unknown.join(", and "))
}

/// The configuration that pods run with, or are to: what is in it is not read, so that a digest that is yet to be made has a
/// name in its place.
pub fn configuration(application: &Application, deployment: Option<&Arc<Live>>) -> Option<Configuration> {
    application.spec.rolling_config()?;
    let known = Configuration::of_pods(application, deployment);
    // Secrets are only followed by an operator that was told to.
    let is_followed = || application.spec.references().iter().any(|one| one.source == Source::ConfigMap);
    known.or_else(|| {
        let [digest, versions, at] = [UNKNOWN; 3].map(str::to_owned);
        let rolled = Some(Rolled { digest, versions, at });
        is_followed().then_some(Configuration { rolled, is_listed: true, ..Configuration::default() })
    })
}

/// Why the operator writes nothing for `application`, if so.
pub fn refusal(application: &Application, allowed: &Allowed) -> Option<String> {
    let is_leaving = application.metadata.is_terminating();
    let leaving = is_leaving.then(|| "is being deleted, so that nothing is done for it".to_owned());
    leaving.or_else(|| application.spec.fault()).or_else(|| allowed.refusal(&application.spec))
}

impl Step {
    /// What becomes of the Application itself.
    pub fn of_application(name: &str, before: Option<&Value>, after: &Value) -> Self {
        let (before, after) = (before.map(shown), shown(after));
        let action = match &before {
            None => Action::Create,
            Some(before) if *before == after => Action::Keep,
            Some(_) => Action::Change,
        };
        Self::new(Application::RESOURCE.kind, name, action, before, Some(after))
    }

    /// The Job of a migration, which is begun before pods of the wished template; if it is not `refused`. Of an Application that
    /// is not there yet (`is_new`) its name is not known, since it is made of the uid as well.
    pub fn of_migration(job: &Value, is_new: bool, refused: Option<String>) -> Self {
        let mut after = shown(job);
        without_marks(&mut after);
        without_nulls(&mut after);
        let name = job["metadata"]["name"].as_str().unwrap_or_default();
        let stem = name.rsplit_once('-').filter(|_| is_new).map(|(stem, _)| format!("{stem}-…"));
        let name = stem.unwrap_or_else(|| name.to_owned());
        after["metadata"]["name"] = name.as_str().into();
        let migration = job["metadata"]["labels"][MIGRATION_LABEL].as_str().unwrap_or_default();
        let action = if refused.is_some() { Action::Refused } else { Action::Create };
        let words = vec![format!("runs migration {migration}, once, before pods of another template")];
        let effect = if refused.is_some() { Effect::default() } else { Effect { words, ..Effect::default() } };
        Self { reason: refused, effect, ..Self::new(Job::RESOURCE.kind, &name, action, None, Some(after)) }
    }

    /// What becomes of a child by `write`, after which it will be `after`.
    pub fn of_write(
        kind: Kind,
        application: &Application,
        write: &Write,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Self {
        let action = match write.cause {
            Cause::Missing => Action::Create,
            Cause::Adoption => Action::Adopt,
            Cause::Unwished => Action::Delete,
            Cause::Wish | Cause::Drift(_) => Action::Change,
        };
        let effect = effect::of(kind, before, after);
        let (mut before, mut after) = (before.map(shown), after.map(shown));
        if before.is_none() {
            after.iter_mut().for_each(without_marks);
        } else if after.is_none() {
            before.iter_mut().for_each(without_marks);
        }
        // A write that leaves all as it is: of the operator's own mark, say.
        let action = if action == Action::Change && before == after { Action::Keep } else { action };
        let effect = if action == Action::Keep { Effect::default() } else { effect };
        let reason = match &write.cause {
            Cause::Drift(path) => Some(format!("somebody changed {path}")),
            _ => None,
        };
        let name = kind.name(&application.metadata.name);
        Self { reason, effect, ..Self::new(kind.resource().kind, &name, action, before, after) }
    }

    /// Whether it begins a migration.
    pub fn is_migration(&self) -> bool {
        self.kind == Job::RESOURCE.kind && self.action == Action::Create
    }

    /// A child that nothing is written to, with what there is of it, and why.
    pub fn of_rest(
        kind: Kind,
        application: &Application,
        action: Action,
        before: Option<&Value>,
        reason: Option<String>,
    ) -> Self {
        let name = kind.name(&application.metadata.name);
        let before = before.map(shown);
        let after = if action == Action::Keep { before.clone() } else { None };
        Self { reason, ..Self::new(kind.resource().kind, &name, action, before, after) }
    }

    fn new(kind: &str, name: &str, action: Action, before: Option<Value>, after: Option<Value>) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            action,
            reason: None,
            effect: Effect::default(),
            before,
            after,
        }
    }
}

/// An object without what says nothing to those who read a difference: what the server fills in, the status, and the marks
/// of what was applied last.
fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    remove(&mut object, &["status"]);
    remove(&mut object["metadata"], &OF_SERVER);
    remove_annotations(&mut object, &[LAST_APPLIED, REVISION, HASH_ANNOTATION, REVISION_ANNOTATION]);
    object
}

/// Removes what the operator marks a child with as the Application's.
fn without_marks(object: &mut Value) {
    remove(&mut object["metadata"], &["ownerReferences"]);
    remove_annotations(object, &[OWNER_ANNOTATION]);
}

/// Removes what says nothing.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(entries) => entries.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn remove_annotations(object: &mut Value, names: &[&str]) {
    let metadata = &mut object["metadata"];
    if let Some(annotations) = metadata.get_mut("annotations") {
        remove(annotations, names);
        if annotations.as_object().is_none_or(serde_json::Map::is_empty) {
            remove(metadata, &["annotations"]);
        }
    }
}

fn remove(value: &mut Value, fields: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|field, _| !fields.contains(&field.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::preview::input::Input;

    fn offline(yaml: &str, allowed: &Allowed) -> Forecast {
        let mut input = Input::read([("a.yaml", yaml)]).unwrap();
        input.settle_namespaces(None, "shop").unwrap();
        Forecast::offline(&input.applications[0], allowed, false)
    }

    const WEB: &str = "apiVersion: minetto.dev/v1alpha1\nkind: Application\nmetadata: {name: web}\n";

    #[test]
    fn where_there_is_nothing_all_is_created_and_no_mark_is_shown() {
        let forecast = offline(&format!("{WEB}spec: {{image: nginx, port: 80, replicas: 3}}"), &Allowed::default());
        let told: Vec<_> = forecast.objects.iter().map(|step| (&*step.kind, &*step.name, step.action)).collect();
        assert_eq!(
            told,
            [
                ("Application", "web", Action::Create),
                ("Deployment", "web-deployment", Action::Create),
                ("Service", "web-service", Action::Create),
            ]
        );
        assert_eq!((forecast.problem, forecast.objects[1].effect.pods.started), (None, 3));
        let deployment = forecast.objects[1].after.clone().unwrap();
        assert_eq!(deployment["metadata"]["annotations"], json!({"imageregistry": "https://hub.docker.com/"}));
        assert!(!deployment.to_string().contains("ownerReferences"));
    }

    #[test]
    fn without_a_cluster_migrations_are_told_and_what_cannot_be_known_is_said() {
        let yaml = format!(
            "{WEB}spec: {{image: nginx, migrations: [{{name: schema, args: [a]}}], rollback: {{toRevision: 3}}, \
             envFrom: [{{configMapRef: {{name: c}}}}], configRollout: {{mode: Rolling}}}}"
        );
        let forecast = offline(&yaml, &Allowed::default());
        assert_eq!(forecast.problem, None);
        let job = &forecast.objects[1];
        assert!(job.is_migration() && job.name == "web-mig-schema-…", "{}", job.name);
        assert_eq!(job.effect.words, ["runs migration schema, once, before pods of another template"]);
        let told = forecast.notes.join("; ");
        assert!(told.contains("revision 3") && told.contains("first rollout"), "{told}");
        let deployment = forecast.objects[2].after.as_ref().unwrap();
        assert!(deployment["spec"]["template"].to_string().contains(UNKNOWN), "{deployment}");
    }

    #[test]
    fn what_the_operator_is_not_told_to_allow_is_a_problem() {
        let yaml = format!("{WEB}spec: {{image: nginx, serviceAccountName: a}}");
        let problem = offline(&yaml, &Allowed::default()).problem.unwrap();
        assert!(problem.contains("--allow-service-accounts"), "{problem}");
        assert_eq!(offline(&yaml, &Allowed { service_accounts: true, ..Allowed::default() }).problem, None);
        let faulty = offline(&format!("{WEB}spec: {{image: nginx, prot: 80}}"), &Allowed::default());
        assert_eq!((faulty.problem.as_deref(), faulty.objects.len()), (Some("spec.prot: unknown field"), 0));
    }

    #[test]
    fn a_write_that_leaves_all_as_it_is_is_no_change() {
        let application = plan::tests::application(&json!({}));
        let mut plan = plan::plan(&application, &Observed::default(), &Allowed::default());
        let mut write = plan.children.remove(&Kind::Service).unwrap();
        let mut live = write.body.clone().unwrap();
        live["metadata"]["annotations"][HASH_ANNOTATION] = json!("another");
        live["metadata"]["resourceVersion"] = json!("7");
        write.cause = Cause::Wish;
        let step = |live: &Value| Step::of_write(Kind::Service, &application, &write, Some(live), write.body.as_ref());
        assert_eq!(step(&live).action, Action::Keep);
        live["metadata"]["annotations"][OWNER_ANNOTATION] = json!("another");
        assert_eq!(step(&live).action, Action::Change, "whose it is, is told");
    }
}
