//! stub
use bytes::Bytes;
/// x
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Error>;
/// x
pub type Request = http::Request<Bytes>;
/// x
pub type Response = http::Response<Body>;
/// x
pub type Service = tower::util::BoxCloneSyncService<Request, Response, Error>;
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct Error;
impl Error {
    /// x
    pub fn is_connect(&self) -> bool {
        true
    }
}
