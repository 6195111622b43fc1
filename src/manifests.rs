//! What a cluster needs to run the operator, as files that `kubectl apply -f` takes in one go.
//!
//! An image reference enters, YAML leaves. The files are generated from the types and committed
//! in `crds/`; a test holds the one against the other.

pub mod crd;
mod operator;
mod rbac;
pub mod reference;
mod schema;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The image that the manifests name unless told otherwise.
pub const IMAGE: &str = concat!("application-operator:", env!("CARGO_PKG_VERSION"));

pub use self::operator::NAMESPACE;

/// One file and the objects in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Name of the file. kubectl takes files in lexical order, hence the numbers in front.
    pub file: &'static str,
    /// The objects, in the order in which they are to be applied.
    pub objects: Vec<Value>,
}

/// Why manifests could not be given out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An object could not be written as YAML.
    #[error("cannot write {file} as YAML")]
    Yaml {
        /// The file that it belongs to.
        file: &'static str,
        /// What the writer said.
        #[source]
        source: serde_saphyr::ser::Error,
    },

    /// A file or its folder could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// What could not be written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// The output was closed or is full.
    #[error("cannot write to the output")]
    Output(#[source] io::Error),
}

impl Manifest {
    /// The file's content: its objects as YAML documents.
    ///
    /// # Errors
    ///
    /// If an object cannot be written as YAML.
    pub fn yaml(&self) -> Result<String, Error> {
        let mut documents = Vec::with_capacity(self.objects.len());
        for object in &self.objects {
            let document = serde_saphyr::to_string(object).map_err(|source| Error::Yaml { file: self.file, source })?;
            documents.push(document);
        }
        Ok(documents.join("---\n"))
    }
}

/// Everything that runs the operator from `image`, in the order in which it is to be applied.
pub fn all(image: &str) -> Vec<Manifest> {
    vec![
        Manifest { file: "00-namespace.yaml", objects: vec![operator::namespace()] },
        Manifest { file: "10-application.yaml", objects: vec![crd::application()] },
        Manifest { file: "20-service-account.yaml", objects: vec![rbac::service_account()] },
        Manifest { file: "30-cluster-role.yaml", objects: vec![rbac::role(), rbac::binding()] },
        Manifest { file: "31-user-roles.yaml", objects: vec![rbac::view(), rbac::edit()] },
        Manifest { file: "32-leader-election-role.yaml", objects: vec![rbac::election(), rbac::election_binding()] },
        Manifest { file: "40-deployment.yaml", objects: vec![operator::deployment(image), operator::budget()] },
    ]
}

/// The same for an operator that looks at Secrets, if `watch_secrets` holds.
pub fn all_with(image: &str, watch_secrets: bool) -> Vec<Manifest> {
    let mut all = all(image);
    if watch_secrets {
        let objects = vec![rbac::secrets_role(), rbac::secrets_binding()];
        for deployment in all.iter_mut().flat_map(|manifest| &mut manifest.objects) {
            if let Some(args) =
                deployment.pointer_mut("/spec/template/spec/containers/0/args").and_then(Value::as_array_mut)
            {
                args.push(Value::from("--watch-secrets"));
            }
        }
        all.push(Manifest { file: "33-secrets-role.yaml", objects });
        all.sort_by_key(|manifest| manifest.file);
    }
    all
}

/// Writes everything into the folder `dir`, or to standard output where there is none.
///
/// # Errors
///
/// If a file, the folder or the output cannot be written. That the reader of the output has gone,
/// as `head` does, is no error.
pub fn deliver(image: &str, watch_secrets: bool, dir: Option<&Path>) -> Result<(), Error> {
    let all = all_with(image, watch_secrets);
    match dir.map_or_else(|| print(&all, &mut io::stdout().lock()), |dir| write(&all, dir)) {
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints the page on every field of an Application.
///
/// # Errors
///
/// If the output cannot be written. That the reader of the output has gone is no error.
pub fn deliver_reference() -> Result<(), Error> {
    match io::stdout().lock().write_all(reference::markdown().as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// Writes `manifests` to `output` as one stream of YAML documents.
///
/// # Errors
///
/// If the output cannot be written.
pub fn print(manifests: &[Manifest], output: &mut impl Write) -> Result<(), Error> {
    for manifest in manifests {
        write!(output, "---\n{}", manifest.yaml()?).map_err(Error::Output)?;
    }
    output.flush().map_err(Error::Output)
}

/// Writes `manifests` into the folder `dir`, which is made if it does not exist.
///
/// # Errors
///
/// If a file or the folder cannot be written.
pub fn write(manifests: &[Manifest], dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(|source| Error::File { path: dir.into(), source })?;
    for manifest in manifests {
        let path = dir.join(manifest.file);
        fs::write(&path, manifest.yaml()?).map_err(|source| Error::File { path, source })?;
    }
    Ok(())
}
