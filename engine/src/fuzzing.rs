//! Entry points for the fuzz targets in `fuzz/`: any bytes enter a parser, and what is promised of it is asserted. No part of
//! the public interface.

use std::io::Read as _;

use bytes::Bytes;
use serde::Deserialize;

use crate::api::Event;
use crate::frame::Frames;
use crate::object::{Metadata, Object, Resource};
use crate::watch::{Machine, Transaction};
use crate::{config, transport};

/// Far more than the inputs hold.
const LONGEST: u64 = 1 << 20;

/// Cuts `data` in pieces whose lengths its own bytes decide, so that every way of cutting is tried.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let length = usize::from(*rest.first()? % 32) + 1;
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        Some(piece)
    })
}

/// Documents come out whole, in their order, wherever the stream was cut.
///
/// # Panics
///
/// If they don't.
pub fn frame(data: &[u8]) {
    let mut frames = Frames::default();
    let mut found = Vec::new();
    for piece in pieces(data) {
        frames.push(piece);
        while let Ok(Some(document)) = frames.next_document() {
            found.push(document);
        }
    }
    let end = data.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let lines = data[..end].split(|byte| *byte == b'\n');
    let expected: Vec<&[u8]> = lines.filter(|line| !line.iter().all(u8::is_ascii_whitespace)).collect();
    assert_eq!(found, expected);
}

#[derive(Debug, Deserialize)]
struct Anything {
    metadata: Metadata,
}

impl Object for Anything {
    const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "Anything", plural: "anythings" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Whatever a watch brings, the state machine goes on.
pub fn watch(data: &[u8]) {
    let mut frames = Frames::default();
    let mut machine = Machine::<Anything>::default();
    for piece in pieces(data) {
        frames.push(piece);
        while let Ok(Some(document)) = frames.next_document() {
            let result = match Event::<Anything>::decode(&document) {
                Ok(event) => machine.event(event),
                Err(error) => Err((&error).into()),
            };
            match result {
                Ok(Some(Transaction::Upsert(entry) | Transaction::Delete(entry))) => drop(entry.key()),
                Ok(_) => {}
                Err(end) => drop(machine.ended(end)),
            }
        }
    }
    let _ = machine.request();
}

/// A kubeconfig is understood or refused in one line, and the same one twice in the same way.
///
/// # Panics
///
/// If it isn't.
pub fn kubeconfig(data: &[u8]) {
    let told = |result: Result<config::Config, config::Error>| match result {
        Ok(config) => Ok(format!("{config:?}")),
        Err(error) => Err(error.to_string()),
    };
    let first = told(config::from_text(data));
    assert_eq!(first, told(config::from_text(data)));
    if let Err(text) = first {
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

/// PEM is read or refused, and a refusal quotes nothing.
///
/// # Panics
///
/// If it does.
pub fn pem(data: &[u8]) {
    let (certificates, key) = transport::read_pem(data);
    for refusal in [certificates, key].into_iter().flatten() {
        assert!(
            ["it is not PEM", "it holds no certificate", "it holds no private key"].contains(&&*refusal),
            "{refusal}"
        );
    }
}

/// Members are decompressed as by a decoder that has them all at once, wherever the stream was cut.
///
/// # Panics
///
/// If they aren't.
pub fn gzip(data: &[u8]) {
    let found = transport::gunzip(pieces(data).map(Bytes::copy_from_slice), LONGEST);
    let mut expected = Vec::new();
    let whole = flate2::read::MultiGzDecoder::new(data).take(LONGEST + 1).read_to_end(&mut expected);
    if let (Some(found), Ok(_)) = (&found, &whole)
        && expected.len() as u64 <= LONGEST
        && !data.is_empty()
    {
        assert!(*found == expected, "{} bytes and {}", found.len(), expected.len());
    }
    if let Some(found) = &found {
        assert!(data.is_empty() || whole.is_ok() || found.is_empty(), "taken for whole, and it isn't");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Everything in the committed corpus of a target; there has to be something.
    fn replay(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            run(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 1, "{} is nearly empty", folder.display());
    }

    #[test]
    fn nothing_that_the_fuzzers_kept_breaks_a_parser() {
        replay("frame", super::frame);
        replay("watch", super::watch);
        replay("kubeconfig", super::kubeconfig);
        replay("pem", super::pem);
        replay("gzip", super::gzip);
    }
}
