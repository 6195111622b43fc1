//! Asks a cluster what there is, and by trials (`dryRun`) what it would make of each write. Nothing is kept of them.

mod migrations;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::api::{self, Client, FieldValidation, PatchType, Precondition, Status};
use engine::object::{Key, Object, chain};
use engine::transport;
use serde_json::Value;

use super::forecast::{Action, Forecast, Step, configuration, refusal, without_revisions};
use super::input::Given;
use crate::application::{Allowed, Application};
use crate::apply::barred::Barred;
use crate::observe::{Found, Kind, Live, Namespace, Observed};
use crate::plan::rollout::decide;
use crate::plan::{self, Plan, Write, merge, predict};
use crate::run::FIELD_MANAGER;

/// Where kubectl remembers what it applied last.
const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// How the Application will be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As `kubectl apply` does.
    ClientSide,
    /// As `kubectl apply --server-side --force-conflicts` does.
    ServerSide,
}

/// A cluster that is asked, and never written to.
pub struct Cluster {
    reader: Client,
    /// Whoever applies the Application.
    user: Client,
    /// The operator.
    operator: Client,
    manner: Manner,
}

/// Why nothing can be said of an Application.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such namespace.
    #[error("there is no namespace {0}")]
    NoNamespace(String),
    /// The cluster has never heard of Applications.
    #[error("the cluster does not know Applications: apply crds/ first, or use --offline")]
    Unknown,
    /// The server will not have it.
    #[error("{}", .0.message)]
    Refused(Status),
    /// The server can't be asked.
    #[error("can't read {what}")]
    Unread {
        /// Kind and name.
        what: String,
        /// What went wrong.
        source: api::Error,
    },
    /// The server can't be asked for a trial.
    #[error("can't try to write {what}")]
    Untried {
        /// Kind and name.
        what: String,
        /// What went wrong.
        source: api::Error,
    },
    /// What the server answers is no Application.
    #[error("the server's answer is no Application")]
    Undecodable(#[source] serde_json::Error),
}

/// What a trial of a child's write has shown.
enum Trial {
    /// The child would be so.
    After(Value),
    /// The server would refuse it.
    Refused(String),
    /// The same as `After`, told without the server, which we may not ask.
    Predicted(Value),
}

impl Cluster {
    /// The cluster at the end of `service`, where Applications are applied by `manager` in this manner.
    pub fn new(service: transport::Service, manager: &'static str, manner: Manner) -> Self {
        let user = Client::new(service.clone(), manager).dry_run().field_validation(FieldValidation::Strict);
        let operator = Client::new(service, FIELD_MANAGER);
        Self { reader: operator.clone(), user, operator: operator.dry_run(), manner }
    }

    /// What becomes of one Application. `declared` are namespaces that stand beside it, and may not exist yet.
    pub async fn forecast(&self, given: &Given, declared: &BTreeMap<String, Namespace>, allowed: &Allowed) -> Forecast {
        let namespace = match self.reader.get::<Namespace>(&Key::new("", given.key.namespace.clone())).await {
            Ok(Some(namespace)) => Ok(Some(namespace.enforces_restricted())),
            Err(error) if is_not_permitted(&error) => Ok(None),
            Ok(None) => match declared.get(&*given.key.namespace) {
                Some(namespace) => {
                    let mut forecast = Forecast::offline(given, allowed, namespace.enforces_restricted());
                    let note =
                        format!("namespace {} does not exist yet: rendered without the cluster", forecast.namespace);
                    forecast.notes.push(note);
                    return forecast;
                }
                None => Err(Error::NoNamespace(given.key.namespace.to_string())),
            },
            Err(source) => Err(Error::Unread { what: format!("Namespace {}", given.key.namespace), source }),
        };
        let mut forecast = Forecast::of(given);
        let filled = match namespace {
            Ok(namespace) => {
                if namespace.is_none() {
                    let note = "you may not read the namespace: taken for one that does not enforce restricted";
                    forecast.notes.push(note.to_owned());
                }
                self.fill(&mut forecast, given, namespace.unwrap_or_default(), allowed).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = filled {
            forecast.problem = Some(chain(&error));
        }
        forecast
    }

    async fn fill(
        &self,
        forecast: &mut Forecast,
        given: &Given,
        enforces_restricted: bool,
        allowed: &Allowed,
    ) -> Result<(), Error> {
        let live: Option<Value> = self.read(&Application::RESOURCE, &given.key).await?;
        let admitted = self.admitted(given, live.as_ref()).await?;
        let mut application: Application = serde_json::from_value(admitted.clone()).map_err(Error::Undecodable)?;
        let (revisions, jobs) = match self.history(&application, live.is_some()).await {
            Ok(history) => history,
            Err(error) if is_not_permitted(&error) => {
                let unknown = without_revisions(&mut application);
                let note = |unknown| format!("you may not read revisions and Jobs, so that it is not told {unknown}");
                forecast.notes.extend(unknown.map(note));
                (Vec::new(), Vec::new())
            }
            Err(source) => return Err(Error::Unread { what: "revisions and Jobs".to_owned(), source }),
        };
        forecast.objects.push(Step::of_application(&forecast.name, live.as_ref(), &admitted));
        forecast.problem = refusal(&application, allowed);

        let mut children: BTreeMap<Kind, Value> = BTreeMap::new();
        for kind in Kind::ALL {
            match self.read(&kind.resource(), &kind.key(&given.key)).await {
                Ok(child) => children.extend(child.map(|child| (kind, child))),
                // Who may edit all else of a namespace may often not read `HTTPRoutes`, and has none of most Applications.
                Err(Error::Unread { source, .. }) if is_not_permitted(&source) && is_beside(&application, kind) => {
                    if live.as_ref().is_some_and(|live| !live["spec"]["http"].is_null()) {
                        let note = format!("you may not read {}: whether one goes is not told", kind.resource());
                        forecast.notes.push(note);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let found = |(kind, child): (&Kind, &Value)| (*kind, judge(*kind, child, &application));
        let children_found = children.iter().map(found).collect();
        let mut observed =
            Observed { children: children_found, enforces_restricted, revisions, jobs, ..Observed::default() };
        observed.configuration = configuration(&application, observed.of(Kind::Deployment).own());
        if forecast.problem.is_none() {
            observed = self.follow(forecast, &application, live.is_none(), observed).await?;
        }
        let plan = plan::plan(&application, &observed, allowed);
        if plan.finalizers.is_some() {
            forecast.notes.push("removes the former operator's finalizer from the Application".to_owned());
        }
        let wished: Vec<Kind> = match &forecast.problem {
            None => plan::wished(&application, &decide(&application, &observed)).collect(),
            Some(_) => Vec::new(),
        };
        let Plan { children: mut writes, .. } = plan.regardless_of_state();
        for kind in Kind::ALL {
            let before = children.get(&kind);
            let step = match (writes.remove(&kind), observed.of(kind)) {
                (Some(write), _) => self.step(forecast, kind, &application, &write, before).await?,
                (None, _) if !wished.contains(&kind) => continue,
                (None, Found::Foreign(whose)) => {
                    Step::of_rest(kind, &application, Action::Contested, before, Some(whose.clone()))
                }
                (None, Found::Leaving(_)) => {
                    let reason = "it is being deleted, and made anew once it is gone";
                    Step::of_rest(kind, &application, Action::Wait, before, Some(reason.to_owned()))
                }
                (None, _) => Step::of_rest(kind, &application, Action::Keep, before, None),
            };
            forecast.objects.push(step);
        }
        Ok(())
    }

    /// What becomes of a child that is to be written.
    async fn step(
        &self,
        forecast: &mut Forecast,
        kind: Kind,
        application: &Application,
        write: &Write,
        before: Option<&Value>,
    ) -> Result<Step, Error> {
        let Some(wish) = &write.body else {
            return Ok(Step::of_write(kind, application, write, before, None));
        };
        let key = kind.key(&application.metadata.key());
        let after = match self.trial(kind, &key, wish, &write.precondition, before).await? {
            Trial::After(after) => after,
            Trial::Predicted(after) => {
                let note = format!(
                    "you may not write {}: what becomes of {kind} {} is told without the server",
                    kind.resource(),
                    key.name
                );
                forecast.notes.push(note);
                after
            }
            Trial::Refused(words) => return Ok(Step::of_rest(kind, application, Action::Refused, before, Some(words))),
        };
        // Of a child that is made, what the operator writes says more than the server's many defaults.
        let after = before.map_or_else(|| wish.clone(), |before| without_handed_out(after, before, wish));
        Ok(Step::of_write(kind, application, write, before, Some(&after)))
    }

    async fn trial(
        &self,
        kind: Kind,
        key: &Key,
        wish: &Value,
        precondition: &Precondition,
        before: Option<&Value>,
    ) -> Result<Trial, Error> {
        let predicted = || before.map_or_else(|| wish.clone(), |live| predict::applied(live, wish, FIELD_MANAGER));
        let answer = self.operator.apply_as::<Value>(&kind.resource(), key, None, wish, precondition).await;
        match answer {
            // Ports of others go in a second step.
            Ok(after) => Ok(Trial::After(predict::applied(&after, wish, FIELD_MANAGER))),
            Err(error) if is_not_permitted(&error) => Ok(Trial::Predicted(predicted())),
            Err(error) => match error.status() {
                Some(status) if status.code == 422 => {
                    let unbarred = match before {
                        Some(live) => self.unbarred(kind, key, live, wish).await?,
                        None => None,
                    };
                    Ok(unbarred.map_or_else(|| Trial::Refused(status.message.clone()), Trial::After))
                }
                // Of an object that is made, a 404 says that there is no such kind.
                Some(status) if status.code == 404 && kind == Kind::HttpRoute && before.is_none() => {
                    Ok(Trial::Refused("this cluster does not know the Gateway API, which parentRefs need".to_owned()))
                }
                Some(status) if !error.is_unavailable() => Ok(Trial::Refused(status.message.clone())),
                _ => Err(Error::Untried { what: format!("{kind} {}", key.name), source: error }),
            },
        }
    }

    /// What becomes of a child if an apply is refused for what others own of it, which the operator takes over; `None` if it is
    /// the wish that is refused.
    async fn unbarred(&self, kind: Kind, key: &Key, live: &Value, wish: &Value) -> Result<Option<Value>, Error> {
        let untried = |source| Error::Untried { what: format!("{kind} {}", key.name), source };
        let barred = Barred { client: &self.operator, resource: &kind.resource(), key, live, wish };
        let bars = barred.by().await.map_err(untried)?;
        Ok((!bars.is_empty()).then(|| barred.after(&bars)))
    }

    /// The Application as the server would keep it.
    async fn admitted(&self, given: &Given, live: Option<&Value>) -> Result<Value, Error> {
        let (resource, key) = (&Application::RESOURCE, &given.key);
        let answer = match (live, self.manner) {
            (None, _) => self.user.create_as(resource, Some(&*key.namespace), &given.object).await,
            (Some(live), Manner::ClientSide) => {
                let former = live.pointer(LAST_APPLIED).and_then(Value::as_str);
                let former = former.and_then(|text| serde_json::from_str(text).ok());
                let patch = merge::three_way(former.as_ref(), &given.object, live);
                self.user.patch_as(resource, key, None, PatchType::Merge, patch).await
            }
            (Some(live), Manner::ServerSide) => {
                let uid = live["metadata"]["uid"].as_str().unwrap_or_default();
                let precondition = Precondition::SameLife { uid: engine::object::Uid(uid.into()) };
                self.user.apply_as(resource, key, None, &given.object, &precondition).await
            }
        };
        answer.map_err(|error| match error.status() {
            Some(status) if status.code == 404 => Error::Unknown,
            Some(status) if !error.is_unavailable() => Error::Refused(status.clone()),
            _ => Error::Untried { what: format!("Application {key}"), source: error },
        })
    }

    async fn read(&self, resource: &engine::object::Resource, key: &Key) -> Result<Option<Value>, Error> {
        let unread = |source| Error::Unread { what: format!("{} {}", resource.kind, key.name), source };
        self.reader.get_as(resource, key).await.map_err(unread)
    }
}

/// Whether a child of that kind leads requests to an Application that does not wish for it.
fn is_beside(application: &Application, kind: Kind) -> bool {
    let asks = |for_route| application.spec.http.as_ref().is_some_and(|http| http.is_route() == for_route);
    match kind {
        Kind::Ingress => !asks(false),
        Kind::HttpRoute => !asks(true),
        _ => false,
    }
}

/// A Service after a trial, without the numbers that the server has handed out for the trial alone.
fn without_handed_out(mut after: Value, before: &Value, wish: &Value) -> Value {
    for field in ["healthCheckNodePort", "clusterIP", "clusterIPs"] {
        if before["spec"][field].is_null() && wish["spec"][field].is_null() {
            after["spec"].as_object_mut().and_then(|spec| spec.remove(field));
        }
    }
    let is_given = |object: &Value, node_port: &Value| {
        object["spec"]["ports"].as_array().into_iter().flatten().any(|port| port["nodePort"] == *node_port)
    };
    // By path, since an index makes what is not there.
    let ports = after.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(node_port) = port.get("nodePort")
            && !is_given(before, node_port)
            && !is_given(wish, node_port)
        {
            port.remove("nodePort");
        }
    }
    after
}

/// Whose a live child is.
fn judge(kind: Kind, child: &Value, application: &Application) -> Found {
    match serde_json::from_str::<Live>(&child.to_string()) {
        Ok(live) => Found::judge(kind, Arc::new(live), &application.metadata.uid),
        Err(_) => Found::Foreign("can't be decoded".to_owned()),
    }
}

/// Whether we have no right to ask: by RBAC (`User "mary" cannot patch resource …`), or by the admission plugin
/// `OwnerReferencesPermissionEnforcement` (`cannot set blockOwnerDeletion …`). Other admission refuses with the same code.
fn is_not_permitted(error: &api::Error) -> bool {
    let is_ours = |message: &str| message.contains("\" cannot ") || message.contains("is forbidden: cannot set ");
    error.status().is_some_and(|status| status.code == 403 && is_ours(&status.message))
}
