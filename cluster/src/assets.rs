//! Where the programs are: the folder that `KUBEBUILDER_ASSETS` names, or one that `build` makes.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Component;

/// The exit code by which `build` says that there is no Go that is new enough.
const NO_GO: i32 = 3;

/// A folder that holds `etcd`, `kube-apiserver`, `kubectl`, and perhaps the other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assets {
    folder: PathBuf,
}

/// What this machine lacks for a cluster: a reason to leave a test out, and not to fail it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WhyNot {
    /// The programs are not built, and there is nothing to build them with.
    #[error("Go 1.26 is missing")]
    GoMissing,
    /// The folder that `KUBEBUILDER_ASSETS` names has none; envtest's has only three programs.
    #[error("KUBEBUILDER_ASSETS has no {0}")]
    ComponentMissing(Component),
}

/// Why there are no programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This machine lacks something.
    #[error(transparent)]
    WhyNot(#[from] WhyNot),
    /// `KUBEBUILDER_ASSETS` names something else than a folder with `kubectl` in it.
    #[error("KUBEBUILDER_ASSETS is {}, where there is no kubectl", .0.display())]
    NotAssets(PathBuf),
    /// `build` cannot be run.
    #[error("cannot run {}", script().display())]
    NoBuild(#[source] io::Error),
    /// `build` has said on stderr why.
    #[error("{} failed", script().display())]
    Build,
}

/// Says whether this machine can run a full cluster, without building anything.
///
/// # Errors
///
/// What is missing, if something is.
///
/// # Panics
///
/// Panics if the build script itself can't be run.
pub fn available() -> Result<(), WhyNot> {
    let checked = match from_environment() {
        Some(folder) => Assets::at(folder).and_then(|assets| assets.require(&Component::ALL)),
        None => build(&["--check"]).map(drop),
    };
    match checked {
        Err(Error::WhyNot(why_not)) => Err(why_not),
        Err(error) => panic!("{error}"),
        Ok(()) => Ok(()),
    }
}

impl Assets {
    /// Finds the programs, and builds them if need be, which takes minutes.
    ///
    /// # Errors
    ///
    /// If there are none and they can't be built.
    pub fn find() -> Result<Self, Error> {
        match from_environment() {
            Some(folder) => Self::at(folder),
            None => Self::at(build(&[])?),
        }
    }

    /// The programs, if they are there without being built.
    pub fn built() -> Option<Self> {
        let folder = match from_environment() {
            Some(folder) => folder,
            None => build(&["--check"]).ok().filter(|folder| !folder.as_os_str().is_empty())?,
        };
        Self::at(folder).ok()
    }

    fn at(folder: PathBuf) -> Result<Self, Error> {
        if folder.join("kubectl").exists() { Ok(Self { folder }) } else { Err(Error::NotAssets(folder)) }
    }

    /// Whether the component can be run.
    pub fn has(&self, component: Component) -> bool {
        self.program(component).exists() && (component != Component::Kwok || !self.stages().is_empty())
    }

    /// Fails for the first of `components` that can't be run.
    pub(crate) fn require(&self, components: &[Component]) -> Result<(), Error> {
        match components.iter().find(|component| !self.has(**component)) {
            Some(component) => Err(WhyNot::ComponentMissing(*component).into()),
            None => Ok(()),
        }
    }

    /// The folder, fit for `PATH`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn program(&self, component: Component) -> PathBuf {
        self.folder.join(component.program())
    }

    /// The program `kubectl`.
    pub fn kubectl(&self) -> PathBuf {
        self.folder.join("kubectl")
    }

    /// KWOK's own descriptions of how nodes and pods move on; it refuses to run without any.
    pub(crate) fn stages(&self) -> Vec<PathBuf> {
        let Ok(entries) = self.folder.join("stages").read_dir() else {
            return Vec::new();
        };
        let mut stages: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        stages.sort();
        stages
    }
}

/// The folder in which assets and clusters are kept. `build` follows the same rule.
pub(crate) fn home() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().unwrap_or(root);
    // A relative one is relative to the workspace, wherever the test runs.
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target"));
    root.join(target).join("cluster")
}

fn from_environment() -> Option<PathBuf> {
    env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("build")
}

fn build(arguments: &[&str]) -> Result<PathBuf, Error> {
    let mut command = Command::new(script());
    let output =
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(Error::NoBuild)?;
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).trim_end().into()),
        Some(NO_GO) => Err(WhyNot::GoMissing.into()),
        _ => Err(Error::Build),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_of_envtest_has_an_api_server_and_no_scheduler() {
        let folder = env::temp_dir().join(format!("cluster-assets-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for program in ["etcd", "kube-apiserver", "kubectl"] {
            fs::write(folder.join(program), "").unwrap();
        }

        let assets = Assets::at(folder.clone()).unwrap();
        let full = assets.require(&Component::ALL);
        let api = assets.require(&[Component::Etcd, Component::ApiServer]);
        fs::remove_dir_all(folder).unwrap();

        assert!(api.is_ok());
        assert!(matches!(full, Err(Error::WhyNot(WhyNot::ComponentMissing(Component::ControllerManager)))));
    }

    #[test]
    fn a_folder_without_kubectl_is_refused() {
        assert!(matches!(Assets::at("/nonexistent".into()), Err(Error::NotAssets(_))));
    }
}
