//! Kinds that are watched only where there is a reason to: their caches are begun when it shows.

use engine::informer::{Informers, Subscription};

use crate::application::Application;
use crate::application::config::Source;
use crate::observe::{Child, ConfigMaps, HttpRoutes, RouteDefinition, Secrets, Stamp};

/// Begins to watch `HTTPRoutes` once the cluster has a definition of them, for as long as what is returned is kept.
pub fn routes(informers: &Informers) -> Subscription {
    let routes = informers.of::<Child<HttpRoutes>>();
    informers.of_scope::<RouteDefinition>(&RouteDefinition::scope()).subscribe(move |change| {
        if change.new.is_some() {
            routes.start();
        }
    })
}

/// Begins to watch the definition of `HTTPRoutes` once an Application may have one, for as long as what is returned is kept: for
/// an operator whose rights are in some namespaces, and which may have to be given this one.
pub fn definition(informers: &Informers) -> Subscription {
    let definition = informers.of_scope::<RouteDefinition>(&RouteDefinition::scope());
    informers.of::<Application>().subscribe(move |change| {
        let application = change.new.as_ref().and_then(|entry| entry.valid());
        if application.is_some_and(|application| application.may_have_route()) {
            definition.start();
        }
    })
}

/// Begins to watch `ConfigMaps`, and Secrets if `watches_secrets`, once an Application follows one, for as long as what is
/// returned is kept.
pub fn configuration(informers: &Informers, watches_secrets: bool) -> Subscription {
    let (config_maps, secrets) = (informers.of::<Stamp<ConfigMaps>>(), informers.of::<Stamp<Secrets>>());
    informers.of::<Application>().subscribe(move |change| {
        let Some(application) = change.new.as_ref().and_then(|entry| entry.valid()) else { return };
        if application.spec.rolling_config().is_none() {
            return;
        }
        for reference in application.spec.references() {
            match reference.source {
                Source::ConfigMap => config_maps.start(),
                Source::Secret if watches_secrets => secrets.start(),
                Source::Secret => {}
            }
        }
    })
}
