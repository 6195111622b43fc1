//! Runs a command that tells a credential: its `ExecCredential` leaves (`client.authentication.k8s.io`, KEP-541).

use std::io::{self, IsTerminal as _};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::Failure;
use crate::config::{Exec, ExecInteractive, Secret};

/// The variable in which a command is told what for it runs.
const INFO: &str = "KUBERNETES_EXEC_INFO";

/// How long a command may take that asks nobody: twice what a slow identity provider takes to time out.
const ALONE: Duration = Duration::from_mins(1);

/// How long one may take that asks a person.
const INTERACTIVE: Duration = Duration::from_mins(5);

/// The most that a command may say, in bytes: a hundred times a token and a chain of certificates.
const LONGEST: u64 = 1 << 20;

/// What a command told.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) token: Option<Secret>,
    /// A certificate chain and its key (PEM).
    pub(super) identity: Option<(Secret, Secret)>,
    /// When it ends.
    pub(super) expires: Option<jiff::Timestamp>,
}

/// As it is written. Not `Debug`: it holds secrets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    status: Option<Status>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Runs the command and reads what it says. It is killed if this is dropped. What it writes to standard error goes to this
/// process', as with kubectl.
pub(super) async fn run(exec: &Exec) -> Result<Told, Failure> {
    let path = || exec.command.clone();
    let interactive = match exec.interactive {
        ExecInteractive::Never => false,
        ExecInteractive::IfAvailable => io::stdin().is_terminal(),
        ExecInteractive::Always if io::stdin().is_terminal() => true,
        ExecInteractive::Always => return Err(Failure::NoTerminal { command: path() }),
    };
    let mut command = Command::new(&exec.command);
    command.args(&exec.args).env(INFO, info(exec, interactive)).kill_on_drop(true);
    for (name, value) in &exec.env {
        command.env(name, String::from_utf8_lossy(value.expose()).as_ref());
    }
    command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Failure::NotFound { command: path(), hint: exec.install_hint.clone() },
        _ => Failure::Run { command: path(), source },
    })?;
    let failed = |source| Failure::Run { command: path(), source };
    let limit = if interactive { INTERACTIVE } else { ALONE };
    let (said, status) = tokio::time::timeout(limit, async {
        let mut said = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LONGEST + 1).read_to_end(&mut said).await?;
        }
        // One that goes on talking is not waited for.
        let status = if said.len() as u64 > LONGEST { None } else { Some(child.wait().await?) };
        Ok((said, status))
    })
    .await
    .map_err(|_| Failure::Late { command: path(), limit })?
    .map_err(failed)?;
    if let Some(status) = status.filter(|status| !status.success()) {
        return Err(Failure::Exit { command: path(), status, hint: exec.install_hint.clone() });
    }
    parse(exec, &said).map_err(|problem| Failure::Answer { command: path(), problem })
}

fn info(exec: &Exec, interactive: bool) -> String {
    let mut spec = json!({ "interactive": interactive });
    if let Some(cluster) = &exec.cluster {
        spec["cluster"] = cluster.clone();
    }
    json!({ "apiVersion": exec.version.as_str(), "kind": "ExecCredential", "spec": spec }).to_string()
}

/// Reads what a command said, or says what is wrong with it, without quoting it.
fn parse(exec: &Exec, said: &[u8]) -> Result<Told, String> {
    if said.len() as u64 > LONGEST {
        return Err(format!("said more than {LONGEST} bytes"));
    }
    let read: ExecCredential = serde_json::from_slice(said).map_err(|error| {
        format!("said no ExecCredential as JSON: see line {}, column {}", error.line(), error.column())
    })?;
    let version = exec.version.as_str();
    if read.kind != "ExecCredential" || read.api_version != version {
        return Err(format!("said no ExecCredential of {version}"));
    }
    let Status { expiration_timestamp, token, client_certificate_data, client_key_data } =
        read.status.ok_or("said no status")?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let token = filled(token).map(Secret::from);
    let identity = match (filled(client_certificate_data), filled(client_key_data)) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        _ => return Err("told a client certificate or its key, and needs to tell both".to_owned()),
    };
    if token.is_none() && identity.is_none() {
        return Err("told neither a token nor a client certificate".to_owned());
    }
    let expires = filled(expiration_timestamp).map(|text| text.parse()).transpose();
    let expires = expires.map_err(|_| "told an expirationTimestamp that is none of RFC 3339")?;
    Ok(Told { token, identity, expires })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExecVersion;

    fn exec() -> Exec {
        Exec {
            version: ExecVersion::V1,
            command: "login".into(),
            args: Vec::new(),
            env: Vec::new(),
            install_hint: Some("get it at https://example.com".to_owned()),
            interactive: ExecInteractive::Never,
            cluster: None,
        }
    }

    fn script(text: &str) -> Exec {
        Exec { command: "sh".into(), args: vec!["-c".to_owned(), text.to_owned()], ..exec() }
    }

    fn said(status: &str) -> String {
        format!(r#"{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{status}}}"#)
    }

    #[tokio::test]
    async fn a_command_is_told_what_for_and_tells_a_token() {
        let mut exec = script(&format!(
            r#"test "$SECRET" = hunter2 && echo "$KUBERNETES_EXEC_INFO" | grep -q '"server":"https://a"' \
               && echo "$KUBERNETES_EXEC_INFO" | grep -q '"interactive":false' && echo '{}'"#,
            said(r#"{"token":"t","expirationTimestamp":"2030-01-02T03:04:05Z"}"#)
        ));
        exec.env.push(("SECRET".to_owned(), "hunter2".to_owned().into()));
        exec.cluster = Some(json!({"server": "https://a"}));
        let told = run(&exec).await.unwrap();
        assert_eq!(told.token.unwrap().expose(), b"t");
        assert_eq!(told.expires.unwrap().to_string(), "2030-01-02T03:04:05Z");
        assert!(told.identity.is_none());
    }

    #[test]
    fn a_command_may_tell_a_certificate() {
        let told = parse(&exec(), said(r#"{"clientCertificateData":"c","clientKeyData":"k"}"#).as_bytes()).unwrap();
        let (certificate, key) = told.identity.unwrap();
        assert_eq!((certificate.expose(), key.expose()), (&b"c"[..], &b"k"[..]));
        assert!(told.token.is_none() && told.expires.is_none());
    }

    #[test]
    fn what_a_command_should_not_say_is_told_and_not_quoted() {
        let other = said(r#"{"token":"hunter2"}"#).replace("/v1\"", "/v1beta1\"");
        for (text, problem) in [
            ("hunter2".to_owned(), "see line 1"),
            (said(r#"{"token":["hunter2"]}"#), "see line 1"),
            (r#"{"token":"hunter2"}"#.to_owned(), "no ExecCredential of"),
            (other, "no ExecCredential of client.authentication.k8s.io/v1"),
            (said("null"), "no status"),
            (said("{}"), "neither"),
            (said(r#"{"clientKeyData":"hunter2"}"#), "both"),
            (said(r#"{"token":"hunter2","expirationTimestamp":"hunter2"}"#), "RFC 3339"),
        ] {
            let told = parse(&exec(), text.as_bytes()).err().unwrap();
            assert!(told.contains(problem) && !told.contains("hunter2"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_or_fails_is_told_with_the_hint_and_without_its_words() {
        let missing = Exec { command: "engine-test-no-such-command".into(), ..exec() };
        let text = run(&missing).await.err().unwrap().to_string();
        assert!(text.contains("not found: get it at https://example.com"), "{text}");

        let error = run(&script("echo hunter2; exit 3")).await.err().unwrap();
        let text = format!("{error} {error:?}");
        assert!(text.contains("exit status: 3") && !text.contains("hunter2"), "{text}");
    }

    #[tokio::test]
    async fn a_command_that_talks_without_end_is_left() {
        let error = run(&script("yes hunter2")).await.err().unwrap();
        let text = format!("{error} {error:?}");
        assert!(text.contains("said more than"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
