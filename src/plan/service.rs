//! The Service of an Application. Pure.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::application::Application;
use crate::observe::{self, Child};

/// The label that the Service selects pods by, with the Application's name as its value.
pub(super) const SELECTOR_LABEL: &str = "app";

pub(super) fn render(application: &Application) -> Value {
    let (name, port) = (&application.metadata.name, application.spec.port);
    let labels = [(SELECTOR_LABEL.to_owned(), name.to_string())];
    let service = Service {
        metadata: ObjectMeta {
            name: Some(observe::Service::name(name)),
            labels: Some(labels.clone().into()),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            type_: Some("NodePort".to_owned()),
            // Keeps the client's address, as the Go operator's did.
            external_traffic_policy: Some("Local".to_owned()),
            selector: Some(labels.into()),
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port,
                target_port: Some(IntOrString::Int(port)),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    serde_json::to_value(service).unwrap_or_default()
}
