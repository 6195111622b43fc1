//! A kubeconfig's command that tells a credential, checked.

use std::path::Path;

use super::document::{Cluster, Exec as Written, User};
use super::{Entry, invalid};
use crate::config::environment::Environment;
use crate::config::{Error, Exec, ExecInteractive, ExecVersion};

impl Entry<User> {
    pub(super) fn exec(
        &self,
        exec: &Written,
        cluster: &Entry<Cluster>,
        environment: &Environment,
    ) -> Result<Exec, Error> {
        let wrong = |problem: String| Err(invalid(&self.title, problem));
        let version = match exec.api_version.as_deref() {
            Some(text) if text == ExecVersion::V1.as_str() => ExecVersion::V1,
            Some(text) if text == ExecVersion::V1Beta1.as_str() => ExecVersion::V1Beta1,
            Some(text) => {
                let (known, older) = (ExecVersion::V1.as_str(), ExecVersion::V1Beta1.as_str());
                return wrong(format!("its exec has the apiVersion {text:?}; {known} and {older} are supported"));
            }
            None => return wrong("its exec has no apiVersion".to_owned()),
        };
        let Some(command) = exec.command.as_deref() else {
            return wrong("its exec has no command".to_owned());
        };
        let interactive = match exec.interactive_mode.as_deref() {
            Some("Never") => ExecInteractive::Never,
            Some("IfAvailable") => ExecInteractive::IfAvailable,
            Some("Always") => ExecInteractive::Always,
            Some(mode) => {
                return wrong(format!(
                    "its exec has the interactiveMode {mode:?}; there are Never, IfAvailable, Always"
                ));
            }
            None if version == ExecVersion::V1Beta1 => ExecInteractive::IfAvailable,
            None => return wrong("its exec has no interactiveMode, which v1 requires".to_owned()),
        };
        let mut env = Vec::new();
        for variable in exec.env.iter().flatten() {
            if variable.name.is_empty() || variable.name.contains(['=', '\0']) {
                return wrong("its exec has an env whose name is none".to_owned());
            }
            env.push((variable.name.clone(), variable.value.clone().unwrap_or_else(|| Vec::new().into())));
        }
        // A name alone is looked for in $PATH; a path starts at the file.
        let command = Path::new(command);
        let is_name = command.components().count() == 1 && command.parent() == Some(Path::new(""));
        Ok(Exec {
            version,
            command: if is_name { command.to_owned() } else { self.folder.join(command) },
            args: exec.args.clone().unwrap_or_default(),
            env,
            install_hint: exec.install_hint.clone(),
            interactive,
            cluster: exec.provide_cluster_info.then(|| cluster.info(environment)).transpose()?,
        })
    }
}
