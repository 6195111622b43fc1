//! Settings of what Applications may reach, for those who bring them about and those who foretell that.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser};

use super::value;
use crate::application::Allowed;

/// What Applications may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Parser)]
pub struct Allowances {
    /// Let Applications name a service account, and have its token
    #[arg(
        long,
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "APPLICATION_OPERATOR_ALLOW_SERVICE_ACCOUNTS"
    )]
    pub allow_service_accounts: bool,

    /// Kinds of volumes that Applications may have, as Volume names them (emptyDir, configMap, secret, …); all for every
    /// kind; may be repeated, or list several with commas; where absent, none
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        value_parser = value::volume_kind,
        env = "APPLICATION_OPERATOR_ALLOW_VOLUMES"
    )]
    pub allow_volumes: Vec<String>,

    /// Let Applications have more than the Pod Security Standard baseline grants
    #[arg(
        long,
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "APPLICATION_OPERATOR_ALLOW_PRIVILEGED"
    )]
    pub allow_privileged: bool,
}

impl Allowances {
    /// The same, as those take it who judge a spec by it.
    pub fn allowed(&self) -> Allowed {
        Allowed {
            service_accounts: self.allow_service_accounts,
            volumes: self.allow_volumes.iter().filter(|kind| !kind.is_empty()).cloned().collect(),
            privileged: self.allow_privileged,
        }
    }
}
