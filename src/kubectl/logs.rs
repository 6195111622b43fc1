//! Which log tells why an Application fails. Pure: its failure and the pod in, a log out.

use engine::api::LogOptions;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::args::Logs;
use super::error::Error;
use super::object::Seen;
use super::text::printable;
use crate::application::Failure;

/// What is read, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Which log.
    pub options: LogOptions,
    /// Whose it is, in a sentence.
    pub title: String,
}

/// The log of the container that `failure` names, of the pod as it is now.
///
/// # Errors
///
/// If there is no such log: the pod is gone, or no program of it has ever begun.
pub fn choose(failure: &Failure, pod: Option<&Seen<Pod>>, args: &Logs) -> Result<Choice, Error> {
    let Some(pod) = pod else {
        return Err(Error::Impossible(format!("pod {} is gone, which failed: {failure}", failure.pod)));
    };
    if failure.container.is_empty() {
        return Err(Error::Impossible(format!("no container has begun, so that there is no log: {failure}")));
    }
    let status = pod.it.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_ref()).into_iter().flatten();
    let inits = status.and_then(|status| status.init_container_statuses.as_ref()).into_iter().flatten();
    let container = inits.chain(containers).find(|container| container.name == failure.container);
    if container.is_some_and(never_ran) {
        return Err(Error::Impossible(format!("the container has never run, so that there is no log: {failure}")));
    }
    let previous = args.previous.unwrap_or_else(|| container.is_some_and(is_between_runs));
    let run = if previous { ", its run before this one" } else { "" };
    let Failure { pod, container, reason, exit_code, .. } = failure;
    let code = exit_code.map_or_else(String::new, |code| format!(", exit code {code}"));
    Ok(Choice {
        options: LogOptions {
            container: Some(container.clone()),
            previous,
            follow: args.follow,
            tail_lines: u64::try_from(args.tail).ok(),
            timestamps: args.timestamps,
        },
        title: printable(&format!("container {container} of pod {pod} ({reason}{code}){run}:")),
    })
}

/// Whether no program of it has ever begun.
fn never_ran(container: &ContainerStatus) -> bool {
    let has_ended = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
        state.as_ref().is_some_and(|state| state.terminated.is_some())
    };
    let waits = container.state.as_ref().is_some_and(|state| state.waiting.is_some());
    waits && !has_ended(&container.last_state)
}

/// Whether it has failed before, and is on its next run or waits for it: the last one tells why.
fn is_between_runs(container: &ContainerStatus) -> bool {
    let has_ended = container.state.as_ref().is_some_and(|state| state.terminated.is_some());
    !has_ended && container.last_state.as_ref().is_some_and(|state| state.terminated.is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn args(previous: Option<bool>) -> Logs {
        Logs { name: "shop".to_owned(), follow: false, tail: 5, previous, timestamps: false }
    }

    fn failure(container: &str) -> Failure {
        let (pod, container, reason) = ("p".to_owned(), container.to_owned(), "CrashLoopBackOff".to_owned());
        Failure { pod, container, reason, exit_code: Some(3), message: String::new() }
    }

    fn told(states: &Value, previous: Option<bool>) -> Result<Choice, String> {
        let mut container = json!({"name": "c", "ready": false, "restartCount": 0, "image": "", "imageID": ""});
        container["state"] = states["state"].clone();
        container["lastState"] = states["lastState"].clone();
        let pod = json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [container]}});
        let pod: Seen<Pod> = serde_json::from_value(pod).unwrap();
        choose(&failure("c"), Some(&pod), &args(previous)).map_err(|error| error.to_string())
    }

    #[test]
    fn of_a_container_that_crashes_again_and_again_the_run_before_is_read() {
        let ended = json!({"terminated": {"exitCode": 3}});
        let waits = json!({"state": {"waiting": {}}, "lastState": ended});
        let choice = told(&waits, None).unwrap();
        assert_eq!((choice.options.previous, choice.options.tail_lines), (true, Some(5)));
        assert_eq!(choice.title, "container c of pod p (CrashLoopBackOff, exit code 3), its run before this one:");
        assert!(!told(&waits, Some(false)).unwrap().options.previous);
        assert!(told(&json!({"state": {"running": {}}, "lastState": ended}), None).unwrap().options.previous);
        assert!(!told(&json!({"state": ended, "lastState": ended}), None).unwrap().options.previous);
        assert!(!told(&json!({"state": {"running": {}}, "lastState": {}}), None).unwrap().options.previous);
    }

    #[test]
    fn where_nothing_has_run_there_is_no_log_and_it_is_said_why() {
        let never = told(&json!({"state": {"waiting": {"reason": "ErrImagePull"}}, "lastState": {}}), None);
        assert!(never.unwrap_err().contains("has never run"));
        let gone = choose(&failure("c"), None, &args(None)).unwrap_err().to_string();
        assert!(gone.starts_with("pod p is gone"), "{gone}");
        let pod: Seen<Pod> = serde_json::from_value(json!({"metadata": {"name": "p"}})).unwrap();
        let unscheduled = choose(&failure(""), Some(&pod), &args(None)).unwrap_err().to_string();
        assert!(unscheduled.starts_with("no container has begun"), "{unscheduled}");
    }
}
