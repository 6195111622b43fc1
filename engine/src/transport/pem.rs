//! Certificates and keys out of PEM. The only module that names rustls-pemfile, whose repository is archived: taking
//! another parser in its place is a change to these two functions.

use std::io;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::Cause;

/// All certificates in `text`, in their order; what else stands there is passed over.
///
/// # Errors
///
/// If a section cannot be decoded, or there is no certificate at all. The message never quotes the text: it may be a key's.
pub(super) fn certificates(mut text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Cause> {
    let found = rustls_pemfile::certs(&mut text).collect::<Result<Vec<_>, io::Error>>();
    let found = found.map_err(|_| "it is not PEM")?;
    if found.is_empty() { Err("it holds no certificate".into()) } else { Ok(found) }
}

/// The first private key in `text`.
///
/// # Errors
///
/// If a section cannot be decoded, or there is no key. The message never quotes the text, which is secret.
pub(super) fn private_key(mut text: &[u8]) -> Result<PrivateKeyDer<'static>, Cause> {
    match rustls_pemfile::private_key(&mut text) {
        Ok(Some(key)) => Ok(key),
        Ok(None) => Err("it holds no private key".into()),
        Err(_) => Err("it is not PEM".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_each_kind_are_found_among_other_sections() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let certificate = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap().cert.pem();
        let both = format!("a comment\n{certificate}{key}{certificate}");
        assert_eq!(certificates(both.as_bytes()).unwrap().len(), 2);
        assert!(private_key(both.as_bytes()).is_ok());
        let (sec1, pkcs1) = ("EC PRIVATE KEY", "RSA PRIVATE KEY");
        for kind in [sec1, pkcs1] {
            let text = format!("-----BEGIN {kind}-----\nYQ==\n-----END {kind}-----\n");
            assert!(private_key(text.as_bytes()).is_ok(), "{kind}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_quoted() {
        let broken = b"-----BEGIN PRIVATE KEY-----\nhunter2!\n-----END PRIVATE KEY-----\n";
        assert_eq!(private_key(broken).unwrap_err().to_string(), "it is not PEM");
        assert_eq!(private_key(b"hunter2").unwrap_err().to_string(), "it holds no private key");
        let unended = b"-----BEGIN hunter2-----\nYQ==\n";
        assert_eq!(certificates(unended).unwrap_err().to_string(), "it is not PEM");
        assert_eq!(certificates(b"").unwrap_err().to_string(), "it holds no certificate");
    }
}
