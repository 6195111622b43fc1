//! What is promised about the command line.

use std::env;
use std::process::Command as Process;
use std::time::Duration;

use clap::CommandFactory;

use super::*;
use crate::application::Allowed;

fn run(words: &[&str]) -> Result<Run, Exit> {
    let all = ["application-operator", "run"].iter().chain(words);
    match parse(all)?.command {
        Command::Run(run) => Ok(run),
        Command::Manifests(_) | Command::Plan(_) => panic!("`run` was asked for"),
    }
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

#[test]
fn the_definition_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn every_setting_is_an_environment_variable_too() {
    // What a person says each time anew is no setting.
    let is_said = |command: &str, arg: &str| {
        let said = ["files", "offline", "output", "namespace", "server_side", "field_manager"];
        arg == "help" || command == "plan" && said.contains(&arg) || command == "manifests" && arg == "reference"
    };
    for command in Args::command().get_subcommands() {
        for arg in command.get_arguments().filter(|arg| !is_said(command.get_name(), arg.get_id().as_str())) {
            let flag = arg.get_long().unwrap().to_uppercase().replace('-', "_");
            let variable = format!("APPLICATION_OPERATOR_{flag}");
            assert_eq!(arg.get_env(), Some(variable.as_ref()), "{arg}");
        }
    }
}

#[test]
fn nothing_said_means_the_defaults() {
    let expected = Run {
        kubeconfig: None,
        context: None,
        namespaces: vec![],
        max_concurrent_reconciles: 10,
        max_concurrent_restarts: 10,
        metrics_bind_address: address("127.0.0.1:8080"),
        health_probe_bind_address: address("[::]:8081"),
        debug_bind_address: Address::Disabled,
        allowances: Allowances::default(),
        watch_secrets: false,
        election: Election {
            leader_elect: None,
            leader_elect_lease_duration: Duration::from_secs(15),
            leader_elect_renew_deadline: Duration::from_secs(10),
            leader_elect_retry_period: Duration::from_secs(2),
            leader_elect_resource_name: "application-operator".into(),
            leader_elect_resource_namespace: None,
        },
        log_format: LogFormat::Text,
        log_level: "info".into(),
    };
    assert_eq!(run(&[]), Ok(expected));
}

#[test]
fn namespaces_are_repeated_or_listed_and_count_once() {
    let run = run(&["--namespace", "b,a", "--namespace=b", "--namespace="]).unwrap();
    assert_eq!(run.namespaces, ["a", "b"]);
}

#[test]
fn leader_elect_takes_a_value_only_after_an_equals_sign() {
    assert_eq!(run(&["--leader-elect"]).unwrap().election.leader_elect, Some(true));
    assert_eq!(run(&["--leader-elect=false"]).unwrap().election.leader_elect, Some(false));
    assert_eq!(run(&["--leader-elect", "false"]).unwrap_err().code, 2);
}

#[test]
fn what_applications_may_reach_is_said_by_kind() {
    assert_eq!(run(&[]).unwrap().allowances.allowed(), Allowed::default());
    let run_all = run(&["--allow-volumes=emptyDir,secret", "--allow-service-accounts", "--allow-privileged"]).unwrap();
    let volumes = ["emptyDir".to_owned(), "secret".to_owned()].into();
    assert_eq!(run_all.allowances.allowed(), Allowed { service_accounts: true, volumes, privileged: true });
    assert!(run(&["--allow-volumes=emptydir"]).is_err(), "no kind of volume");
}

#[test]
fn the_lease_is_named_as_controller_runtime_and_core_components_name_it() {
    for [name, namespace] in [
        ["--leader-elect-resource-name=a.b", "--leader-elect-resource-namespace=c"],
        ["--leader-election-id=a.b", "--leader-election-namespace=c"],
    ] {
        let election = run(&[name, namespace]).unwrap().election;
        assert_eq!(election.leader_elect_resource_name, "a.b");
        assert_eq!(election.leader_elect_resource_namespace.as_deref(), Some("c"));
    }
}

#[test]
fn addresses_are_those_of_controller_runtime() {
    assert_eq!(address("0"), Address::Disabled);
    assert!(address("0").candidates().is_empty());
    let all: Vec<_> = address(":80").candidates().iter().map(ToString::to_string).collect();
    assert_eq!(all, ["[::]:80", "0.0.0.0:80"]);
    for one in ["127.0.0.1:0", "[::1]:80"] {
        assert_eq!(address(one).candidates(), [one.parse().unwrap()]);
    }
    assert_eq!(address("localhost:80"), address("127.0.0.1:80"));
    for none in ["", "80", ":", ":65536", "::1:x", "example.com:80", "1.2.3.4"] {
        assert_eq!(none.parse::<Address>(), Err(value::NoAddress), "{none:?}");
    }
}

#[test]
fn a_log_level_that_would_silence_everything_by_a_typo_is_refused() {
    for good in ["info", "WARN", "off", "info,engine=trace", "engine::watch=debug"] {
        assert_eq!(run(&["--log-level", good]).unwrap().log_level, good);
    }
    for bad in ["", "inof", "engine", "engine=inof", "info;debug"] {
        assert!(run(&["--log-level", bad]).is_err(), "{bad:?}");
    }
}

#[test]
fn a_wrong_argument_is_answered_by_one_line_and_exit_code_2() {
    let cases: [(&[&str], &str); 10] = [
        (&["run", "--leader-elect-lease-duration=5"], "must be a duration such as 15s"),
        (&["run", "--leader-elect-lease-duration=5s"], "10s is not shorter than 5s"),
        (&["run", "--leader-elect-resource-name=A"], "a name has lower-case letters"),
        (&["run", "--namespce=a"], "unexpected argument '--namespce' found; tip: a similar"),
        (&["run", "--log-format=xml"], "invalid value 'xml' for '--log-format <FORMAT>'"),
        (&["run", "--max-concurrent-reconciles=0"], "0 is not in 1..=1000"),
        (&["run", "--metrics-bind-address=8080"], "must be IP:PORT"),
        (&["run", "--namespace=A"], "a namespace has lower-case letters"),
        (&["manifests", "--image="], "a value is required for '--image <REFERENCE>'"),
        (&["rum"], "unrecognized subcommand 'rum'"),
    ];
    for (words, expected) in cases {
        let exit = parse(["application-operator"].iter().chain(words)).unwrap_err();
        assert_eq!(exit.code, 2, "{words:?}");
        assert_eq!(exit.message.lines().count(), 1, "{}", exit.message);
        assert!(exit.message.starts_with("application-operator: "), "{}", exit.message);
        assert!(exit.message.ends_with("; see --help\n"), "{}", exit.message);
        assert!(exit.message.contains(expected), "{}", exit.message);
    }
}

#[test]
fn help_and_version_are_no_failure_but_no_command_is() {
    let code = |words: &[&str]| parse(["x"].iter().chain(words)).unwrap_err().code;
    assert_eq!(code(&["--help"]), 0);
    assert_eq!(code(&["run", "--help"]), 0);
    assert_eq!(code(&["--version"]), 0);
    assert_eq!(code(&[]), 2);
    let version = parse(["x", "--version"]).unwrap_err().message;
    assert_eq!(version, concat!("application-operator ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_failure_names_its_causes_in_one_line() {
    let cause = std::io::Error::other("disk full");
    let exit = Exit::failed(&manifests::Error::Output(cause));
    assert_eq!(exit.message, "application-operator: cannot write to the output: disk full\n");
    assert_eq!(exit.code, 1);
}

/// Variables of one process are seen by all its tests, so this test starts itself again.
#[test]
fn variables_speak_where_flags_are_silent() {
    const NAMESPACE: &str = "APPLICATION_OPERATOR_NAMESPACE";
    if env::var_os(NAMESPACE).is_some() {
        let run = run(&["--log-level=debug"]).unwrap();
        assert_eq!(run.namespaces, ["a", "b"]);
        assert_eq!(run.election.leader_elect, Some(true));
        assert_eq!(run.election.leader_elect_retry_period, Duration::from_millis(1500));
        assert_eq!(run.metrics_bind_address, Address::Disabled);
        assert_eq!(run.log_level, "debug", "the flag wins");
        return;
    }
    let child = Process::new(env::current_exe().unwrap())
        .args(["--exact", "args::tests::variables_speak_where_flags_are_silent"])
        .env(NAMESPACE, "b,a")
        .env("APPLICATION_OPERATOR_LEADER_ELECT", "1")
        .env("APPLICATION_OPERATOR_LEADER_ELECT_RETRY_PERIOD", "1s500ms")
        .env("APPLICATION_OPERATOR_METRICS_BIND_ADDRESS", "0")
        .env("APPLICATION_OPERATOR_LOG_LEVEL", "error")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

#[test]
fn of_a_plan_2_says_that_something_would_change_and_nothing_else() {
    let refused = |words: &[&str]| parse(["application-operator"].iter().chain(words)).unwrap_err();
    assert_eq!(refused(&["plan"]).code, FAILED);
    assert_eq!(refused(&["plan", "-f", "a.yaml", "-o", "xml"]).code, FAILED);
    assert_eq!(refused(&["plan", "-f", "a.yaml", "--field-manager=flux"]).code, FAILED);
    let help = refused(&["plan", "--help"]);
    assert!(help.code == 0 && help.message.contains("0 nothing would change, 2 something would"), "{}", help.message);
    assert_eq!(refused(&["run", "--log-level=loud"]).code, MISUSED);
}
