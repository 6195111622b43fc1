//! Where a certificate, a key or a token stands: in the configuration itself, or in a file that is replaced now and then.

use std::path::PathBuf;

use super::Secret;

/// Some bytes, or the file that holds them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Source {
    /// The bytes themselves, which never change.
    Inline(Secret),
    /// A file. It is read again while the process runs, since certificates and tokens are renewed under their names.
    File(PathBuf),
}
