//! The Deployment of an Application. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::Value;

use super::service;
use crate::application::Application;
use crate::observe::{self, Child};

/// The label that the Deployment selects its pods by. The Go operator's name for it: a selector can't be changed later.
pub(super) const SELECTOR_LABEL: &str = "label";

pub(super) fn render(application: &Application) -> Value {
    let (name, spec) = (&application.metadata.name, &application.spec);
    let labels = BTreeMap::from([
        (SELECTOR_LABEL.to_owned(), name.to_string()),
        (service::SELECTOR_LABEL.to_owned(), name.to_string()),
    ]);
    let deployment = Deployment {
        metadata: ObjectMeta {
            name: Some(observe::Deployment::name(name)),
            labels: Some(labels.clone()),
            // The Go operator's; kept, since somebody may select by it.
            annotations: Some([("imageregistry".to_owned(), "https://hub.docker.com/".to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(DeploymentSpec {
            replicas: Some(spec.replicas),
            selector: LabelSelector {
                match_labels: Some([(SELECTOR_LABEL.to_owned(), name.to_string())].into()),
                ..LabelSelector::default()
            },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(pod(name, application)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    };
    serde_json::to_value(deployment).unwrap_or_default()
}

fn pod(name: &str, application: &Application) -> PodSpec {
    PodSpec {
        containers: vec![Container {
            name: format!("{name}-container"),
            image: Some(application.spec.image.clone()),
            ports: Some(vec![ContainerPort {
                container_port: application.spec.port,
                protocol: Some("TCP".to_owned()),
                ..ContainerPort::default()
            }]),
            security_context: Some(SecurityContext {
                allow_privilege_escalation: Some(false),
                ..SecurityContext::default()
            }),
            ..Container::default()
        }],
        // An application that talks to no API server needs no token for one.
        automount_service_account_token: Some(false),
        security_context: Some(PodSecurityContext {
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}
