//! Asks for compressed responses and hands on what they say: gzip enters, the bytes that were compressed leave.
//!
//! A body is any number of gzip members one after the other (RFC 1952). An API server of 1.37 sends each event of a
//! watch, or several that wait, as a member, so a member's content leaves as soon as it is there, though the body goes on.

use std::io::{self, BufRead, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use flate2::bufread::GzDecoder;
use futures_util::future::{BoxFuture, Either};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use http_body::Frame;
use http_body_util::BodyExt as _;

use super::{Body, Error, Inner, Request, Response};

/// The most that a member may hold, in bytes.
///
/// Compressed bytes can stand for a thousand times as many, and a list's are all held while they are decoded: 256 MiB is a
/// page of 500 objects of half a megabyte each, many times what pages weigh. Where a fleet has heavier ones, its kubeconfig
/// can say `disable-compression`.
const LONGEST_MEMBER: u64 = 256 << 20;

/// How much is decompressed at a time: as much as an HTTP/2 frame carries.
const PIECE: usize = 16 << 10;

/// The layer.
#[derive(Clone)]
pub(super) struct Gzip<S> {
    inner: S,
    enabled: bool,
}

impl<S> Gzip<S> {
    /// Asks for nothing and changes nothing unless `enabled`.
    pub(super) fn new(inner: S, enabled: bool) -> Self {
        Self { inner, enabled }
    }
}

impl<S: Inner> tower::Service<Request> for Gzip<S> {
    type Response = Response;
    type Error = Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response, Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        // Who asks for an encoding knows what to do with it.
        if !self.enabled || request.headers().contains_key(ACCEPT_ENCODING) {
            return Either::Left(self.inner.call(request));
        }
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let response = self.inner.call(request);
        Either::Right(Box::pin(async move { Ok(decompressed(response.await?)) }))
    }
}

fn decompressed(response: Response) -> Response {
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_none_or(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"gzip")) {
        return response;
    }
    let (mut head, inner) = response.into_parts();
    head.headers.remove(CONTENT_ENCODING);
    head.headers.remove(CONTENT_LENGTH);
    let body = Decompressed { inner, members: Some(Members::new(LONGEST_MEMBER)) };
    Response::from_parts(head, body.boxed_unsync())
}

/// A body whose bytes are decompressed as they come.
struct Decompressed {
    inner: Body,
    /// Absent once the body has failed: what comes after that means nothing.
    members: Option<Members>,
}

impl http_body::Body for Decompressed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Some(members) = &mut this.members else { return Poll::Ready(None) };
        let failed = loop {
            match members.next_piece() {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Ok(None) => {}
                Err(corrupt) => break Error::Cut(corrupt.into()),
            }
            match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => members.push(bytes),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => break error,
                None if members.is_between() => return Poll::Ready(None),
                None => break Error::Cut(Corrupt::Truncated.into()),
            }
        };
        this.members = None;
        Poll::Ready(Some(Err(failed)))
    }
}

/// Why a body can't be decompressed any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Corrupt {
    /// The bytes are no gzip, or are damaged.
    #[error("the response is no valid gzip")]
    Invalid(#[source] io::Error),
    /// The body ended inside of a member.
    #[error("the response ended in the middle of its gzip")]
    Truncated,
    /// Decompressing on would take too much memory.
    #[error("the response decompresses to more than {0} bytes")]
    TooLong(u64),
}

/// Decompresses members one after the other, wherever the bytes were cut. Pure.
pub(crate) struct Members {
    decoder: GzDecoder<Arrived>,
    /// How much the present member has brought so far.
    length: u64,
    /// The most that a member may bring.
    longest: u64,
    piece: Box<[u8]>,
}

/// What has arrived and is not decompressed yet. Its end is not the body's.
#[derive(Debug)]
struct Arrived {
    bytes: Bytes,
    /// Whether anything of the present member was read.
    begun: bool,
}

impl Members {
    pub(crate) fn new(longest: u64) -> Self {
        let arrived = Arrived { bytes: Bytes::new(), begun: false };
        Self { decoder: GzDecoder::new(arrived), length: 0, longest, piece: vec![0; PIECE].into() }
    }

    /// Takes in the next bytes. What was taken in before must have been handed out.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        let arrived = self.decoder.get_mut();
        debug_assert!(arrived.bytes.is_empty(), "bytes would be lost");
        arrived.bytes = bytes;
    }

    /// Hands out what can be decompressed of the bytes so far; `None` when more are needed.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Bytes>, Corrupt> {
        loop {
            match self.decoder.read(&mut self.piece) {
                Ok(0) => {
                    let rest = std::mem::take(&mut self.decoder.get_mut().bytes);
                    self.length = 0;
                    self.decoder.reset(Arrived { bytes: rest, begun: false });
                }
                Ok(read) => {
                    self.length += read as u64;
                    if self.length > self.longest {
                        return Err(Corrupt::TooLong(self.longest));
                    }
                    return Ok(Some(Bytes::copy_from_slice(&self.piece[..read])));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(Corrupt::Invalid(error)),
            }
        }
    }

    /// Whether the bytes so far end where a member does.
    pub(crate) fn is_between(&self) -> bool {
        let arrived = self.decoder.get_ref();
        !arrived.begun && arrived.bytes.is_empty()
    }
}

impl BufRead for Arrived {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(&self.bytes) }
    }

    fn consume(&mut self, amount: usize) {
        self.begun |= amount > 0;
        self.bytes.advance(amount);
    }
}

impl io::Read for Arrived {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(into.len());
        into[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use http_body_util::StreamBody;
    use proptest::prelude::*;
    use tower::{Service as _, service_fn};

    use super::*;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// All that comes of these bytes, or why nothing more does.
    fn decompress(pieces: &[&[u8]], longest: u64) -> Result<Vec<u8>, Corrupt> {
        let (mut members, mut found) = (Members::new(longest), Vec::new());
        for piece in pieces {
            members.push(Bytes::copy_from_slice(piece));
            while let Some(piece) = members.next_piece()? {
                found.extend_from_slice(&piece);
            }
        }
        if members.is_between() { Ok(found) } else { Err(Corrupt::Truncated) }
    }

    proptest! {
        #[test]
        fn members_come_out_whole_wherever_the_stream_is_cut(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 0..5),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream: Vec<u8> = texts.iter().flat_map(|text| member(text)).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
            prop_assert_eq!(decompress(&pieces, LONGEST_MEMBER).unwrap(), texts.concat());
        }

        #[test]
        fn what_is_cut_off_in_a_member_is_never_taken_for_the_whole(
            text in prop::collection::vec(any::<u8>(), 0..2000),
            cut in any::<prop::sample::Index>(),
        ) {
            let stream = member(&text);
            let cut = 1 + cut.index(stream.len() - 1);
            prop_assert!(matches!(decompress(&[&stream[..cut]], LONGEST_MEMBER), Err(Corrupt::Truncated)));
        }

        #[test]
        fn damage_is_noticed_and_no_panic(
            text in prop::collection::vec(any::<u8>(), 1..2000),
            at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            // The ten bytes of the head hold a time and a system, which mean nothing.
            let mut stream = member(&text);
            let at = 10 + at.index(stream.len() - 10);
            stream[at] ^= flip;
            // A flipped bit may be one that stands for nothing; then what comes out is right all the same.
            if let Ok(found) = decompress(&[&stream], LONGEST_MEMBER) {
                prop_assert_eq!(found, text);
            }
        }
    }

    #[test]
    fn a_bomb_is_left_after_a_bounded_number_of_bytes() {
        let bomb = member(&vec![0; 4 << 20]);
        assert!(bomb.len() < 8 << 10);
        assert!(matches!(decompress(&[&bomb], 1 << 20), Err(Corrupt::TooLong(_))));
        // A watch may bring any number of members.
        let long = member(&vec![0; 1 << 20]).repeat(4);
        assert_eq!(decompress(&[&long], 1 << 20).unwrap().len(), 4 << 20);
    }

    #[test]
    fn what_is_no_gzip_is_told() {
        for garbage in
            [&b"{\"kind\":\"Status\"}"[..], &[0; 40], &[&member(b"x")[..], b"rubbish, and more of it"].concat()]
        {
            assert!(matches!(decompress(&[garbage], LONGEST_MEMBER), Err(Corrupt::Invalid(_))), "{garbage:?}");
        }
    }

    /// A server that answers with these frames, and then never ends the body.
    fn endless(encoding: &'static str, frames: Vec<Vec<u8>>) -> impl Inner {
        service_fn(move |request: Request| {
            assert_eq!(request.headers()[ACCEPT_ENCODING], "gzip");
            let frames = stream::iter(frames.clone()).map(|bytes| Ok(Frame::data(Bytes::from(bytes))));
            let body = StreamBody::new(frames.chain(stream::pending())).boxed_unsync();
            let response = http::Response::builder().header(CONTENT_ENCODING, encoding).header(CONTENT_LENGTH, 7);
            std::future::ready(Ok(response.body(body).unwrap()))
        })
    }

    async fn ask(inner: impl Inner) -> Response {
        Gzip::new(inner, true).call(Request::new(Bytes::new())).await.unwrap()
    }

    #[tokio::test]
    async fn an_event_comes_out_as_soon_as_its_member_is_there() {
        let (one, two) = (member(b"one\n"), member(b"two\n"));
        let (begun, rest) = two.split_at(two.len() - 1);
        let inner = endless("gzip", vec![one, begun.to_vec(), rest.to_vec()]);
        let response = ask(inner).await;
        assert!(response.headers().is_empty(), "the length is that of other bytes");
        let mut body = response.into_body();
        let mut seen = Vec::new();
        while let Some(frame) = body.frame().now_or_never() {
            seen.extend_from_slice(&frame.unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(seen, b"one\ntwo\n");
    }

    #[tokio::test]
    async fn a_body_that_is_not_compressed_is_handed_on_as_it_is() {
        let mut body = ask(endless("identity", vec![b"plain".to_vec()])).await.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "plain");
    }

    #[tokio::test]
    async fn garbage_is_a_cut_connection_and_nothing_comes_after_it() {
        let inner = endless("gzip", vec![member(b"one\n"), b"garbage and more garbage".to_vec(), member(b"two\n")]);
        let mut body = ask(inner).await.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one\n");
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.is_lost(), "{error:?}");
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn who_asks_for_an_encoding_gets_it() {
        let inner = service_fn(|request: Request| {
            assert_ne!(request.headers()[ACCEPT_ENCODING], "gzip");
            let body = http_body_util::Full::new(Bytes::from_static(b"br")).map_err(|never| match never {});
            let response = http::Response::builder().header(CONTENT_ENCODING, "gzip").body(body.boxed_unsync());
            std::future::ready(Ok(response.unwrap()))
        });
        let request = http::Request::get("/").header(ACCEPT_ENCODING, "br, gzip").body(Bytes::new()).unwrap();
        let response = Gzip::new(inner, true).call(request).await.unwrap();
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    }
}
