//! Requests that read.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::names;
use crate::operation::Operation;

pub(super) fn get(resource: &'static str) -> BoxedStrategy<Operation> {
    names()
        .prop_map(move |name| Operation {
            method: "GET".into(),
            path: format!("{resource}/{name}"),
            query: String::new(),
            content: String::new(),
            body: Value::Null,
        })
        .boxed()
}

pub(super) fn list(resource: &'static str) -> BoxedStrategy<Operation> {
    let mut queries = vec![
        "",
        "labelSelector=x%3D1",
        "labelSelector=x",
        "labelSelector=!x",
        "labelSelector=x+in+(1,2),y+notin+(2)",
        "labelSelector=x%3D%3D1",
        "fieldSelector=metadata.name%3Da",
        "fieldSelector=metadata.name!%3Da",
        "fieldSelector=spec.image%3Da",
        "resourceVersion=$any",
        "resourceVersion=$any&resourceVersionMatch=NotOlderThan",
        "resourceVersion=$any&resourceVersionMatch=Exact",
        "resourceVersion=0",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "resourceVersion=x",
        "resourceVersionMatch=Exact",
        "resourceVersion=$any&resourceVersionMatch=Never",
        "sendInitialEvents=true",
        "limit=x",
        "fieldSelector=a",
    ];
    // Names that the server makes have another order on each side.
    if !matches!(resource, "configmaps" | "services") {
        queries.extend([
            "limit=1",
            "limit=1",
            "limit=1&continue=$continue",
            "limit=1&continue=$continue",
            "continue=$continue",
            "limit=1&labelSelector=x",
            "limit=1&resourceVersion=$any&resourceVersionMatch=Exact",
            "limit=1&resourceVersion=$any",
            "limit=1&resourceVersion=0",
        ]);
    }
    select(queries)
        .prop_map(move |query| Operation {
            method: "GET".into(),
            path: resource.into(),
            query: query.into(),
            content: String::new(),
            body: Value::Null,
        })
        .boxed()
}
