//! Says who sends a request: a bearer token, fixed or from a file whose content changes.
//!
//! A file is read again when its token is a minute old or was refused. A refusal (401) comes before a request is
//! executed, so any request may be sent again with a token that changed since; once.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::{Error, Inner, Request, Response};
use crate::config::Credential;

/// How long a file's token is used before the file is read again. The kubelet replaces a token when a fifth of its life
/// is left, which is two minutes for the shortest that Kubernetes issues: client-go's minute is in time.
const FRESH: Duration = Duration::from_mins(1);

/// The layer.
#[derive(Clone)]
pub(super) struct Auth<S> {
    inner: S,
    bearer: Bearer,
}

#[derive(Clone)]
enum Bearer {
    None,
    Fixed(HeaderValue),
    File(Arc<File>),
}

/// A token file and what was last read from it.
struct File {
    path: PathBuf,
    /// Locked while the file is read, so that requests that wait for a token share one read.
    last: Mutex<Option<Read>>,
}

struct Read {
    header: HeaderValue,
    at: Instant,
}

impl<S> Auth<S> {
    pub(super) fn new(inner: S, credential: &Credential) -> Result<Self, Error> {
        let bearer = match credential {
            Credential::None => Bearer::None,
            Credential::Token(token) => {
                let header = header(token.expose());
                Bearer::Fixed(header.map_err(|error| Error::Setting { setting: "token", source: error.into() })?)
            }
            Credential::TokenFile(path) => Bearer::File(Arc::new(File { path: path.clone(), last: Mutex::default() })),
        };
        Ok(Self { inner, bearer })
    }
}

impl<S: Inner> tower::Service<Request> for Auth<S> {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match &self.bearer {
            Bearer::None => Box::pin(self.inner.call(request)),
            Bearer::Fixed(header) => {
                request.headers_mut().insert(AUTHORIZATION, header.clone());
                Box::pin(self.inner.call(request))
            }
            Bearer::File(file) => {
                let spare = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, spare);
                Box::pin(from_file(ready, request, file.clone()))
            }
        }
    }
}

async fn from_file<S: Inner>(mut service: S, mut request: Request, file: Arc<File>) -> Result<Response, Error> {
    let sent = file.header(None).await?;
    request.headers_mut().insert(AUTHORIZATION, sent.clone());
    let response = service.call(request.clone()).await?;
    if response.status() != StatusCode::UNAUTHORIZED {
        return Ok(response);
    }
    match file.header(Some(&sent)).await {
        Ok(changed) if changed != sent => {
            tracing::debug!("refused with a token that has been replaced since: sent again");
            request.headers_mut().insert(AUTHORIZATION, changed);
            service.ready().await?.call(request).await
        }
        _ => Ok(response),
    }
}

impl File {
    /// The header to send. One that was `refused` is not taken from memory.
    async fn header(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue, Error> {
        let mut last = self.last.lock().await;
        if let Some(Read { header, at }) = &*last
            && at.elapsed() < FRESH
            && refused != Some(header)
        {
            return Ok(header.clone());
        }
        let read = tokio::fs::read(&self.path).await.and_then(|text| header(text.trim_ascii()));
        let header = match (read, &*last) {
            (Ok(header), _) => header,
            (Err(error), Some(Read { header, .. })) => {
                // The old one may well be valid still; the server is the judge of that.
                let path = self.path.display();
                tracing::warn!(%path, %error, "cannot read the token again; the last one is kept");
                header.clone()
            }
            (Err(source), None) => {
                return Err(Error::Token { path: self.path.clone(), source });
            }
        };
        *last = Some(Read { header: header.clone(), at: Instant::now() });
        Ok(header)
    }
}

/// The header for a token. An error never quotes it.
fn header(token: &[u8]) -> io::Result<HeaderValue> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason);
    if token.is_empty() {
        return Err(invalid("the token is empty"));
    }
    let mut header = HeaderValue::from_bytes(&[b"Bearer ", token].concat())
        .map_err(|_| invalid("the token has bytes that no header can carry"))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    use tower::{Service as _, service_fn};

    use super::*;
    use crate::config::Secret;

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
            Auth::new(inner, &Credential::TokenFile(self.0.clone())).unwrap()
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
        let fixed = Credential::Token(Secret::from("hunter2\n".to_owned()));
        let error = Auth::new(server("x", &seen), &fixed).err().unwrap();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}
