//! Tokens that are replaced, refused, unreadable; commands that are run; whose name is told.

use std::path::PathBuf;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use tower::{Service as _, service_fn};

use super::*;
use crate::config::{Config, Credential, Exec, ExecInteractive, ExecVersion, Login, Secret, Source, Tls};

/// As the credential's core has it.
const FRESH: Duration = Duration::from_mins(1);

type Seen = Arc<StdMutex<Vec<String>>>;

/// Accepts one token, and notes those that it sees.
fn server(accepted: &'static str, seen: &Seen) -> impl Inner {
    let seen = seen.clone();
    service_fn(move |request: Request| {
        let header = &request.headers()[AUTHORIZATION];
        assert!(header.is_sensitive());
        let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
        let status = if token == accepted { 200 } else { 401 };
        seen.lock().unwrap().push(token);
        let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        std::future::ready(Ok(http::Response::builder().status(status).body(body).unwrap()))
    })
}

fn config(credential: Credential) -> Config {
    Config {
        server: "http://127.0.0.1:1".parse().unwrap(),
        default_namespace: "default".to_owned(),
        tls: Tls::default(),
        credential,
        impersonation: None,
        proxy: None,
        disable_compression: false,
    }
}

fn auth<S>(inner: S, credential: Credential) -> Result<Auth<S>, Error> {
    Auth::new(inner, Keeper::new(&config(credential))?, None)
}

struct TokenFile(PathBuf);

impl TokenFile {
    fn new(name: &str, token: &str) -> Self {
        let name = format!("engine-auth-{name}-{}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.write(token);
        file
    }

    fn write(&self, token: &str) {
        std::fs::write(&self.0, token).unwrap();
    }

    fn auth<S>(&self, inner: S) -> Auth<S> {
        auth(inner, Credential::Token(Source::File(self.0.clone()))).unwrap()
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn status<S: Inner>(auth: &mut Auth<S>) -> u16 {
    let request = http::Request::post("/").body(Bytes::from_static(b"x")).unwrap();
    auth.call(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_refused_token_is_read_again_and_the_request_sent_once_more() {
    let seen = Seen::default();
    let file = TokenFile::new("refused", "old\n");
    let mut auth = file.auth(server("new", &seen));
    assert_eq!(status(&mut auth).await, 401);
    assert_eq!(*seen.lock().unwrap(), ["old"], "the same token again would be refused again");

    file.write("new\n");
    assert_eq!(status(&mut auth).await, 200);
    file.write("useless");
    assert_eq!(status(&mut auth).await, 200);
    assert_eq!(*seen.lock().unwrap(), ["old", "old", "new", "new"]);
}

#[tokio::test]
async fn a_request_is_sent_again_no_more_than_once() {
    let seen = Seen::default();
    let file = TokenFile::new("once", "one");
    let mut auth = file.auth(server("none", &seen));
    assert_eq!(status(&mut auth).await, 401);
    file.write("two");
    assert_eq!(status(&mut auth).await, 401);
    assert_eq!(*seen.lock().unwrap(), ["one", "one", "two"]);
}

#[tokio::test]
async fn a_token_is_read_again_after_a_minute_and_kept_when_its_file_is_gone() {
    let seen = Seen::default();
    let file = TokenFile::new("minute", "first");
    let mut auth = file.auth(server("first", &seen));
    status(&mut auth).await;
    file.write("second");
    status(&mut auth).await;
    // Paused only now: while a file is read the runtime counts as idle, and paused time would run on.
    tokio::time::pause();
    tokio::time::advance(FRESH).await;
    tokio::time::resume();
    status(&mut auth).await;
    std::fs::remove_file(&file.0).unwrap();
    tokio::time::pause();
    tokio::time::advance(FRESH).await;
    tokio::time::resume();
    status(&mut auth).await;
    assert_eq!(*seen.lock().unwrap(), ["first", "first", "second", "second"]);
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_told_and_not_shown() {
    let seen = Seen::default();
    for bad in ["", " \n", "hunter2\nhunter2"] {
        let file = TokenFile::new("bad", bad);
        let request = http::Request::get("/").body(Bytes::new()).unwrap();
        let error = file.auth(server("x", &seen)).call(request).await.err().unwrap();
        assert!(error.is_unsent() && !format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let fixed = Credential::Token(Source::Inline(Secret::from("hunter2\n".to_owned())));
    let error = auth(server("x", &seen), fixed).err().unwrap();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

/// A command that writes a line into the file at each run, and tells the token `t` with the number of that run.
struct Command(TokenFile);

impl Command {
    fn new(name: &str) -> Self {
        Self(TokenFile::new(name, ""))
    }

    fn runs(&self) -> usize {
        std::fs::read_to_string(&self.0.0).unwrap().lines().count()
    }

    /// The credential; `status` is the rest of the answer's status.
    fn credential(&self, status: &str) -> Credential {
        let file = self.0.0.display();
        let answer = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":"#;
        let script = format!(
            "echo run >> {file}; n=$(wc -l < {file} | tr -d ' '); \
             printf '%s{{\"token\":\"t%s\"{status}}}}}' '{answer}' $n"
        );
        Credential::Exec(Exec {
            version: ExecVersion::V1,
            command: "sh".into(),
            args: vec!["-c".to_owned(), script],
            env: Vec::new(),
            install_hint: None,
            interactive: ExecInteractive::Never,
            cluster: None,
        })
    }
}

#[tokio::test]
async fn a_hundred_requests_wait_for_one_run_of_a_command_and_one_more_when_they_are_refused() {
    let (seen, login) = (Seen::default(), Command::new("hundred"));
    let service = auth(server("t2", &seen), login.credential("")).unwrap();
    let all = (0..100).map(|_| {
        let mut service = service.clone();
        async move { status(&mut service).await }
    });
    assert!(join_all(all).await.iter().all(|status| *status == 200));
    assert_eq!(login.runs(), 2);
    let count = |token: &str| seen.lock().unwrap().iter().filter(|seen| *seen == token).count();
    assert_eq!((count("t1"), count("t2")), (100, 100), "each is sent once more");
}

#[tokio::test]
async fn a_command_is_not_run_for_each_refusal() {
    let (seen, login) = (Seen::default(), Command::new("refused"));
    let mut service = auth(server("none", &seen), login.credential("")).unwrap();
    for _ in 0..5 {
        assert_eq!(status(&mut service).await, 401);
    }
    assert_eq!(login.runs(), 2);
    assert_eq!(*seen.lock().unwrap(), ["t1", "t2", "t2", "t2", "t2", "t2"]);
}

#[tokio::test]
async fn a_command_runs_again_before_what_it_told_ends() {
    let (seen, login) = (Seen::default(), Command::new("ends"));
    let ends = jiff::Timestamp::now() + Duration::from_hours(1);
    let mut service =
        auth(server("t1", &seen), login.credential(&format!(r#","expirationTimestamp":"{ends}""#))).unwrap();
    assert_eq!(status(&mut service).await, 200);
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(59)).await;
    tokio::time::resume();
    assert_eq!(status(&mut service).await, 200, "nobody waits for it");
    while login.runs() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_credential_that_has_ended_is_not_sent() {
    let (seen, login) = (Seen::default(), Command::new("ended"));
    let ended = r#","expirationTimestamp":"2020-01-01T00:00:00Z""#;
    let mut service = auth(server("t1", &seen), login.credential(ended)).unwrap();
    for _ in 0..3 {
        let request = http::Request::get("/").body(Bytes::new()).unwrap();
        let error = service.call(request).await.err().unwrap();
        assert!(error.is_unsent() && crate::object::chain(&error).contains("has expired already"), "{error:?}");
    }
    assert_eq!(login.runs(), 1, "a command that fails is not run for each request");
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_name_and_a_password_and_another_identity_are_told() {
    let seen = Arc::new(StdMutex::new(HeaderMap::new()));
    let notes = seen.clone();
    let inner = service_fn(move |request: Request| {
        *notes.lock().unwrap() = request.headers().clone();
        let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        std::future::ready(Ok(Response::new(body)))
    });
    let login = Login { username: "Aladdin".to_owned(), password: "open sesame".to_owned().into() };
    let impersonation = Impersonation {
        user: "jane".to_owned(),
        uid: Some("u-1".to_owned()),
        groups: vec!["dev".to_owned(), "ops".to_owned()],
        extra: vec![("Scopes/a b".to_owned(), vec!["x".to_owned(), "y".to_owned()])],
    };
    let keeper = Keeper::new(&config(Credential::Basic(login))).unwrap();
    let mut service = Auth::new(inner, keeper, Some(&impersonation)).unwrap();
    status(&mut service).await;
    let seen = seen.lock().unwrap();
    let all = |name: &str| seen.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("authorization"), ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]);
    assert!(seen[AUTHORIZATION].is_sensitive());
    assert_eq!(all("impersonate-user"), ["jane"]);
    assert_eq!(all("impersonate-uid"), ["u-1"]);
    assert_eq!(all("impersonate-group"), ["dev", "ops"]);
    assert_eq!(all("impersonate-extra-scopes%2Fa%20b"), ["x", "y"]);
}
