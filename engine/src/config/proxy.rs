//! The proxy between here and the API server: a URL of a kubeconfig or of the environment enters, its parts leave.

mod exempt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;

use super::environment::Environment;
use super::{Error, Secret, url};

/// A proxy that every connection goes through.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// How it is spoken to.
    pub protocol: ProxyProtocol,
    /// Host name or address, IPv6 in brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What the proxy asks for, if it does.
    pub login: Option<Login>,
}

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// HTTP's CONNECT (RFC 9110, section 9.3.6).
    Http,
    /// HTTP's CONNECT inside of TLS. The proxy's certificate must descend from what the server's must.
    Https,
    /// SOCKS 5 (RFC 1928). The proxy resolves the server's name.
    Socks5,
}

/// A user's name and password.
#[derive(Debug, Clone)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

impl Login {
    /// The value of a header that says it (RFC 7617).
    pub fn basic(&self) -> Secret {
        let mut pair = format!("{}:", self.username).into_bytes();
        pair.extend_from_slice(self.password.expose());
        format!("Basic {}", STANDARD.encode(pair)).into()
    }
}

impl Proxy {
    /// Reads a URL such as `http://user:password@proxy.example.com:3128`, or says what is wrong with `what` without quoting it.
    pub(super) fn parse(what: &str, url: &str) -> Result<Self, String> {
        let uri = url::parse(what, url)?;
        let (protocol, port) = match uri.scheme_str() {
            Some("http") => (ProxyProtocol::Http, 80),
            Some("https") => (ProxyProtocol::Https, 443),
            Some("socks5" | "socks5h") => (ProxyProtocol::Socks5, 1080),
            _ => return Err(format!("{what} must begin with http://, https:// or socks5://")),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| format!("{what} names no host"))?;
        let login = match authority.as_str().rsplit_once('@') {
            None => None,
            Some((login, _)) => {
                let (username, password) = login.split_once(':').unwrap_or((login, ""));
                let problem = || format!("the login in {what} is not percent-encoded UTF-8");
                let username = decoded(username).ok_or_else(problem)?;
                Some(Login { username, password: decoded(password).ok_or_else(problem)?.into() })
            }
        };
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self { protocol, host: authority.host().to_owned(), port, login })
    }

    /// The proxy that the environment has for `server`, as Go's `httpproxy` reads it, and so client-go and kubectl:
    /// `HTTPS_PROXY` or `HTTP_PROXY` by the server's scheme, unless `NO_PROXY` exempts the server; each also in small
    /// letters, and a `host:port` is one of HTTP. This machine is never reached through a proxy.
    ///
    /// What Go passes over is an error here: a variable that is no URL, which would otherwise show as a timeout.
    pub(super) fn of_environment(environment: &Environment, server: &Uri) -> Result<Option<Self>, Error> {
        let either = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| environment.variable(name).map(|value| (name, value)))
        };
        let is_secure = server.scheme_str() == Some("https");
        let found = either(if is_secure { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] });
        let Some((name, value)) = found else { return Ok(None) };
        let exempt = either(["NO_PROXY", "no_proxy"]).map(|(_, list)| list.to_string_lossy().into_owned());
        let port = server.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        if exempt::is_exempt(exempt.as_deref().unwrap_or_default(), server.host().unwrap_or_default(), port) {
            return Ok(None);
        }
        let value = value.to_string_lossy();
        let url = if value.contains("://") { value.into_owned() } else { format!("http://{value}") };
        let invalid = |problem| Error::Invalid { entry: format!("the variable {name}"), problem };
        Self::parse("its value", &url).map(Some).map_err(invalid)
    }
}

/// Undoes percent-encoding (RFC 3986).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (url, protocol, host, port) in [
            ("http://proxy", ProxyProtocol::Http, "proxy", 80),
            ("http://10.0.0.1:3128/", ProxyProtocol::Http, "10.0.0.1", 3128),
            ("https://proxy", ProxyProtocol::Https, "proxy", 443),
            ("socks5://[::1]", ProxyProtocol::Socks5, "[::1]", 1080),
            ("socks5h://proxy:1", ProxyProtocol::Socks5, "proxy", 1),
        ] {
            let proxy = Proxy::parse("its proxy-url", url).unwrap();
            assert_eq!((proxy.protocol, &*proxy.host, proxy.port), (protocol, host, port), "{url}");
            assert!(proxy.login.is_none());
        }
    }

    #[test]
    fn a_login_is_decoded_and_never_shown() {
        let proxy = Proxy::parse("it", "http://me:hunter%322%20@proxy").unwrap();
        assert!(!format!("{proxy:?}").contains("hunter"));
        let login = proxy.login.unwrap();
        assert_eq!((&*login.username, login.password.expose()), ("me", &b"hunter22 "[..]));
        // The example of RFC 7617.
        let login = Login { username: "Aladdin".to_owned(), password: "open sesame".to_owned().into() };
        assert_eq!(login.basic().expose(), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn what_is_no_proxy_is_told_and_not_quoted() {
        for url in [
            "ftp://hunter2",
            "hunter2:8080",
            "http://",
            "socks4://hunter2",
            "http://hunter%G2@p",
            "http://%ff@p",
            "http://%2@p",
        ] {
            let problem = Proxy::parse("its proxy-url", url).unwrap_err();
            assert!(problem.contains("proxy-url") && !problem.contains("hunter2"), "{url}: {problem}");
        }
    }

    fn of(variables: &[(&str, &str)], server: &str) -> Result<Option<String>, Error> {
        let environment = crate::config::environment::tests::of(variables, &[]);
        let proxy = Proxy::of_environment(&environment, &server.parse().unwrap())?;
        Ok(proxy.map(|proxy| format!("{:?} {}:{}", proxy.protocol, proxy.host, proxy.port)))
    }

    #[test]
    fn the_environment_names_a_proxy_by_the_servers_scheme() {
        let both = [("HTTPS_PROXY", "http://secure:3128"), ("HTTP_PROXY", "http://plain:3128")];
        for (variables, server, expected) in [
            (&both[..], "https://a.test", Some("Http secure:3128")),
            (&both[..], "http://a.test", Some("Http plain:3128")),
            (&both[1..], "https://a.test", None),
            (&[("https_proxy", "socks5://small")], "https://a.test", Some("Socks5 small:1080")),
            (&[("HTTPS_PROXY", "large"), ("https_proxy", "small")], "https://a.test", Some("Http large:80")),
            (&[("HTTPS_PROXY", "proxy:3128")], "https://a.test", Some("Http proxy:3128")),
            (&[("HTTPS_PROXY", "p"), ("NO_PROXY", ".test")], "https://a.test", None),
            (&[("HTTPS_PROXY", "p"), ("no_proxy", "a.test:6443")], "https://a.test:6443", None),
            (&[("HTTPS_PROXY", "p"), ("NO_PROXY", "a.test:6443")], "https://a.test", Some("Http p:80")),
            (&[("ALL_PROXY", "p")], "https://a.test", None),
        ] {
            assert_eq!(of(variables, server).unwrap().as_deref(), expected, "{variables:?} {server}");
        }
    }

    #[test]
    fn a_variable_that_is_no_proxy_is_told_and_not_quoted_unless_it_does_not_matter() {
        let broken = [("HTTPS_PROXY", "ftp://me:hunter2@p")];
        let error = of(&broken, "https://a.test").unwrap_err().to_string();
        assert_eq!(error, "the variable HTTPS_PROXY: its value must begin with http://, https:// or socks5://");
        assert_eq!(of(&broken, "https://127.0.0.1:6443").unwrap(), None);
    }
}
