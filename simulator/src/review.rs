//! What a client asks about its rights → that it may do everything: whoever has the token may.

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::request::Request;

/// Why everything is allowed.
const WHY: &str = "the simulator allows everything to whoever has its token";

/// The answer to a review; `None` if the request is for none.
pub fn answer(request: &Request) -> Option<Result<Value, Failure>> {
    if request.method != "POST" {
        return None;
    }
    let status = match request.path.trim_matches('/') {
        "apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => json!({"allowed": true, "reason": WHY}),
        "apis/authorization.k8s.io/v1/selfsubjectrulesreviews" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => return None,
    };
    Some(match serde_json::from_slice::<Value>(&request.body) {
        Ok(mut review) if review.is_object() => {
            review["status"] = status;
            Ok(review)
        }
        Ok(_) => Err(Failure::bad_request("the review is no JSON object")),
        Err(error) => Err(Failure::bad_request(error.to_string())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_may_do_everything() {
        let mut request = Request::new("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
        request.body = br#"{"spec": {"resourceAttributes": {"verb": "delete", "resource": "nodes"}}}"#.to_vec();
        let told = answer(&request).expect("a review").expect("an answer");
        assert_eq!(told["status"]["allowed"], true);
        assert_eq!(told["spec"]["resourceAttributes"]["verb"], "delete");
        request.body = b"?".to_vec();
        assert_eq!(answer(&request).expect("a review").expect_err("no JSON").code, 400);
        assert!(answer(&Request::new("POST", "/api/v1/namespaces")).is_none());
    }
}
