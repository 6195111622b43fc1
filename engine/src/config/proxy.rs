//! The proxy between here and the API server: the text of a `proxy-url` enters, its parts leave.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Secret;

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
    /// Reads a URL such as `http://user:password@proxy.example.com:3128`, or says what is wrong with it, without quoting it.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: http::Uri = url.parse().map_err(|_| "its proxy-url is no URL")?;
        let (protocol, port) = match uri.scheme_str() {
            Some("http") => (ProxyProtocol::Http, 80),
            Some("https") => (ProxyProtocol::Https, 443),
            Some("socks5" | "socks5h") => (ProxyProtocol::Socks5, 1080),
            _ => return Err("its proxy-url must begin with http://, https:// or socks5://"),
        };
        let authority = uri.authority().ok_or("its proxy-url names no host")?;
        if authority.host().is_empty() {
            return Err("its proxy-url names no host");
        }
        let login = match authority.as_str().rsplit_once('@') {
            None => None,
            Some((login, _)) => {
                let (username, password) = login.split_once(':').unwrap_or((login, ""));
                let problem = "the login in its proxy-url is not percent-encoded UTF-8";
                let username = decoded(username).ok_or(problem)?;
                Some(Login { username, password: decoded(password).ok_or(problem)?.into() })
            }
        };
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self { protocol, host: authority.host().to_owned(), port, login })
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
            let proxy = Proxy::parse(url).unwrap();
            assert_eq!((proxy.protocol, &*proxy.host, proxy.port), (protocol, host, port), "{url}");
            assert!(proxy.login.is_none());
        }
    }

    #[test]
    fn a_login_is_decoded_and_never_shown() {
        let proxy = Proxy::parse("http://me:hunter%322%20@proxy").unwrap();
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
            let problem = Proxy::parse(url).unwrap_err();
            assert!(problem.contains("proxy-url") && !problem.contains("hunter2"), "{url}: {problem}");
        }
    }
}
