//! Bytes in, JSON documents out, wherever the bytes were cut. Pure; knows nothing of what a document means.
//!
//! A watch is a stream of JSON documents, one a line. JSON escapes line feeds inside of strings, so a line feed always
//! ends a document.

use bytes::{Buf, Bytes, BytesMut};

/// The longest document that is accepted, in bytes.
///
/// etcd refuses objects beyond 1.5 MiB of protobuf; as JSON the same object takes a few times that. What is longer still
/// is no Kubernetes object, and buffering it would let one connection take all memory.
const LONGEST_DOCUMENT: usize = 32 << 20;

/// Why no document can be read any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The document would not fit into memory that is worth spending on it.
    #[error("a document in the stream is longer than {LONGEST_DOCUMENT} bytes")]
    TooLong,
}

/// Cuts a stream of bytes into documents.
#[derive(Debug, Default)]
pub struct Frames {
    /// What has arrived and is not handed out yet.
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line feed, so that no byte is looked at twice.
    searched: usize,
}

impl Frames {
    /// Takes in the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Hands out the next whole document, or `None` until more bytes arrive.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] once a document exceeds what is accepted.
    pub fn next_document(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let unsearched = &self.buffer[self.searched..];
            let Some(found) = memchr::memchr(b'\n', unsearched) else {
                self.searched = self.buffer.len();
                return if self.searched > LONGEST_DOCUMENT { Err(Error::TooLong) } else { Ok(None) };
            };
            let document = self.buffer.split_to(self.searched + found).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            if !document.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(document));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn documents(frames: &mut Frames) -> Vec<Bytes> {
        std::iter::from_fn(|| frames.next_document().expect("short documents")).collect()
    }

    proptest! {
        #[test]
        fn documents_come_out_whole_wherever_the_stream_is_cut(
            sent in prop::collection::vec("[ -~]{0,20}[!-~]", 0..8),
            cuts in prop::collection::vec(0usize..200, 0..12),
        ) {
            let stream: Vec<u8> = sent.iter().flat_map(|d| [d.as_bytes(), b"\n"].concat()).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut frames = Frames::default();
            let mut received = Vec::new();
            for piece in cuts.windows(2) {
                frames.push(&stream[piece[0]..piece[1]]);
                received.extend(documents(&mut frames));
            }
            prop_assert_eq!(received, sent);
        }
    }

    #[test]
    fn a_document_without_its_line_feed_waits() {
        let mut frames = Frames::default();
        frames.push(b"{\"a\":1}\n{\"b\"");
        assert_eq!(documents(&mut frames), ["{\"a\":1}"]);
        assert!(documents(&mut frames).is_empty());
        frames.push(b":2}\n");
        assert_eq!(documents(&mut frames), ["{\"b\":2}"]);
    }

    #[test]
    fn empty_lines_are_no_documents() {
        let mut frames = Frames::default();
        frames.push(b"\n\r\n{}\n \n");
        assert_eq!(documents(&mut frames), ["{}"]);
    }

    #[test]
    fn an_endless_document_is_refused() {
        let mut frames = Frames::default();
        frames.push(&vec![b'x'; LONGEST_DOCUMENT]);
        assert!(matches!(frames.next_document(), Ok(None)));
        frames.push(b"xx");
        assert!(matches!(frames.next_document(), Err(Error::TooLong)));
    }
}
