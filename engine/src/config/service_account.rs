//! A pod's own configuration: two variables and three mounted files.

use std::io;

use super::environment::Environment;
use super::{Config, Credential, Error, Proxy, Source, Tls};

/// See [`Config::in_cluster`].
///
/// Token and authority are not read but checked to be there: their content changes, and is read by those who use it.
pub(super) fn config(environment: &Environment) -> Result<Config, Error> {
    let variable = |variable| {
        let value = environment.variable(variable).ok_or(Error::NotInCluster { variable })?;
        Ok::<_, Error>(value.to_string_lossy().into_owned())
    };
    let host = variable("KUBERNETES_SERVICE_HOST")?;
    let port = variable("KUBERNETES_SERVICE_PORT")?;
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let server: http::Uri = format!("https://{authority}/").parse().map_err(|_| Error::Invalid {
        entry: "the pod's environment".to_owned(),
        problem: format!("{authority:?} is no address"),
    })?;

    let file = |name| environment.service_account.join(name);
    environment.read(&file("token"))?;
    environment.read(&file("ca.crt"))?;
    let namespace = match environment.read(&file("namespace")) {
        Ok(text) => String::from_utf8_lossy(&text).trim().to_owned(),
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let proxy = Proxy::of_environment(environment, &server)?;
    Ok(Config {
        server,
        default_namespace: if namespace.is_empty() { "default".to_owned() } else { namespace },
        tls: Tls { authority: Some(Source::File(file("ca.crt"))), ..Tls::default() },
        credential: Credential::Token(Source::File(file("token"))),
        impersonation: None,
        proxy,
        disable_compression: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::tests::of;

    fn pod(host: &str, files: &[(&str, &str)]) -> Result<Config, Error> {
        let mut environment = of(&[("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", "6443")], files);
        environment.service_account = "/sa".into();
        config(&environment)
    }

    #[test]
    fn a_pod_talks_to_its_cluster_as_its_service_account() {
        let files = [("/sa/token", "secret"), ("/sa/ca.crt", "pem"), ("/sa/namespace", "shop\n")];
        let config = pod("10.96.0.1", &files).unwrap();
        assert_eq!(config.server, "https://10.96.0.1:6443/");
        assert_eq!(config.default_namespace, "shop");
        assert!(matches!(config.tls.authority, Some(Source::File(path)) if path.ends_with("sa/ca.crt")));
        assert!(matches!(config.credential, Credential::Token(Source::File(path)) if path.ends_with("sa/token")));
    }

    #[test]
    fn a_pod_reaches_its_cluster_through_the_proxy_of_its_environment_unless_that_exempts_it() {
        for (exempt, proxied) in [("", true), ("10.96.0.0/12", false)] {
            let variables = [
                ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
                ("KUBERNETES_SERVICE_PORT", "443"),
                ("HTTPS_PROXY", "http://proxy:3128"),
                ("NO_PROXY", exempt),
            ];
            let mut environment = of(&variables, &[("/sa/token", "secret"), ("/sa/ca.crt", "pem")]);
            environment.service_account = "/sa".into();
            assert_eq!(config(&environment).unwrap().proxy.is_some(), proxied, "{exempt:?}");
        }
    }

    #[test]
    fn an_ipv6_address_is_put_in_brackets() {
        let config = pod("fd00::1", &[("/sa/token", "secret"), ("/sa/ca.crt", "pem")]).unwrap();
        assert_eq!(config.server, "https://[fd00::1]:6443/");
        assert_eq!(config.default_namespace, "default");
    }

    #[test]
    fn a_pod_without_token_or_authority_is_told_so() {
        let error = pod("10.96.0.1", &[("/sa/ca.crt", "pem")]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /sa/token");
        let error = pod("10.96.0.1", &[("/sa/token", "secret")]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /sa/ca.crt");
        let error = config(&of(&[], &[])).unwrap_err();
        assert!(error.is_absent() && error.to_string().contains("KUBERNETES_SERVICE_HOST"));
    }
}
