//! Through proxies of each kind, to a server that has TLS.

use std::sync::Mutex;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, server};
use super::server::{scripted, secure};
use super::*;
use crate::config::{Login, Proxy, ProxyProtocol};

/// What proxies were told.
type Told = Arc<Mutex<Vec<String>>>;

/// A server behind a proxy, as a configuration, without the proxy.
async fn behind(authority: &Authority) -> (Config, SocketAddr) {
    let address = secure(server(&authority.certify("127.0.0.1"), &["h2"])).await;
    let mut config = config(&format!("https://{address}"));
    config.tls.authority = Some(Source::Inline(authority.pem().into_bytes().into()));
    (config, address)
}

fn proxy(protocol: ProxyProtocol, address: SocketAddr, login: bool) -> Proxy {
    let login = login.then(|| Login { username: "me".to_owned(), password: "hunter2".to_owned().into() });
    Proxy { protocol, host: address.ip().to_string(), port: address.port(), login }
}

async fn ask(config: &Config) -> Result<String, Error> {
    body(get(&mut connect(config).unwrap(), "/version").await?).await
}

/// Speaks CONNECT, and notes what it was told.
async fn tunnel(mut client: impl AsyncRead + AsyncWrite + Unpin, told: Told) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let to = head.split(' ').nth(1).unwrap().to_owned();
    told.lock().unwrap().push(head);
    let mut server = TcpStream::connect(&to).await.unwrap();
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test]
async fn a_server_is_reached_through_a_http_proxy() {
    let (mut config, address) = behind(&Authority::new("us")).await;
    let told = Told::default();
    let notes = told.clone();
    let hop = scripted(move |_, client| tunnel(client, notes.clone())).await;
    for login in [false, true] {
        config.proxy = Some(proxy(ProxyProtocol::Http, hop, login));
        assert_eq!(ask(&config).await.unwrap(), "HTTP/2.0");
        let told = told.lock().unwrap().pop().unwrap();
        assert!(told.starts_with(&format!("CONNECT {address} HTTP/1.1")), "{told}");
        // "me:hunter2"
        assert_eq!(told.contains("Proxy-Authorization: Basic bWU6aHVudGVyMg=="), login, "{told}");
    }
}

#[tokio::test]
async fn a_server_is_reached_through_a_proxy_that_has_tls_itself() {
    let authority = Authority::new("us");
    let (mut config, address) = behind(&authority).await;
    let acceptor = TlsAcceptor::from(Arc::new(server(&authority.certify("127.0.0.1"), &["h2", "http/1.1"])));
    let told = Told::default();
    let notes = told.clone();
    let hop = scripted(move |_, client| {
        let (acceptor, notes) = (acceptor.clone(), notes.clone());
        async move { tunnel(acceptor.accept(client).await.unwrap(), notes).await }
    })
    .await;
    config.proxy = Some(proxy(ProxyProtocol::Https, hop, true));
    assert_eq!(ask(&config).await.unwrap(), "HTTP/2.0");
    assert!(told.lock().unwrap()[0].starts_with(&format!("CONNECT {address} HTTP/1.1")));
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_taken_where_the_kubeconfig_names_none_and_the_server_is_not_exempt() {
    // What is on loopback is exempt, so this server has a name that only the proxies know.
    let authority = Authority::new("us");
    let server = secure(server(&authority.certify("api.cluster.test"), &["h2"])).await;
    let told = Told::default();
    let hop = async |whose: &'static str| {
        let told = told.clone();
        scripted(move |_, mut client| {
            let told = told.clone();
            async move {
                let first = read_request(&mut client).await;
                told.lock().unwrap().push(format!("{whose}: {first}"));
                let mut server = TcpStream::connect(server).await.unwrap();
                write(&mut client, "HTTP/1.1 200 Connection established\r\n\r\n").await;
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        })
        .await
    };
    let (of_variable, of_file) = (hop("variable").await, hop("file").await);
    let config = |cluster: &str, exempt: &'static str| {
        let text = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: c}}}}]\n\
             clusters: [{{name: c, cluster: {{server: 'https://api.cluster.test:6443'{cluster}}}}}]\n"
        );
        let variable = move |name: &str| match name {
            "HTTPS_PROXY" => Some(format!("http://{of_variable}").into()),
            "NO_PROXY" => Some(exempt.into()),
            _ => None,
        };
        let mut config = crate::config::from_text_in(text.as_bytes(), variable).unwrap();
        config.tls.authority = Some(Source::Inline(authority.pem().into_bytes().into()));
        config
    };
    assert_eq!(ask(&config("", "10.0.0.0/8")).await.unwrap(), "HTTP/2.0");
    // What a kubeconfig names wins, and nothing exempts a server from it.
    for exempt in ["", "*"] {
        assert_eq!(ask(&config(&format!(", proxy-url: 'http://{of_file}'"), exempt)).await.unwrap(), "HTTP/2.0");
    }
    let expected = ["variable", "file", "file"].map(|whose| format!("{whose}: CONNECT api.cluster.test:6443 HTTP/1.1"));
    assert_eq!(*told.lock().unwrap(), expected);
    assert!(config("", ".cluster.test").proxy.is_none());
}

/// Speaks SOCKS 5 (RFC 1928), with a login where it is offered one (RFC 1929), and notes what it was told.
async fn socks(mut client: TcpStream, told: Told) {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).await.unwrap();
    let mut methods = vec![0; greeting[1].into()];
    client.read_exact(&mut methods).await.unwrap();
    let method = if methods.contains(&2) { 2 } else { 0 };
    client.write_all(&[5, method]).await.unwrap();
    if method == 2 {
        assert_eq!(client.read_u8().await.unwrap(), 1);
        for _ in 0..2 {
            let mut text = vec![0; client.read_u8().await.unwrap().into()];
            client.read_exact(&mut text).await.unwrap();
            told.lock().unwrap().push(String::from_utf8(text).unwrap());
        }
        client.write_all(&[1, 0]).await.unwrap();
    }
    let mut request = [0; 10];
    client.read_exact(&mut request).await.unwrap();
    assert_eq!(request[..4], [5, 1, 0, 1], "connect to an IPv4 address");
    let port = u16::from_be_bytes([request[8], request[9]]);
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    told.lock().unwrap().push(port.to_string());
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test]
async fn a_server_is_reached_through_socks() {
    let (mut config, address) = behind(&Authority::new("us")).await;
    let told = Told::default();
    let notes = told.clone();
    let hop = scripted(move |_, client| socks(client, notes.clone())).await;
    for (login, expected) in [(false, vec![]), (true, vec!["me", "hunter2"])] {
        config.proxy = Some(proxy(ProxyProtocol::Socks5, hop, login));
        assert_eq!(ask(&config).await.unwrap(), "HTTP/2.0");
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(told, [expected, vec![&*address.port().to_string()]].concat());
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_not_there_is_a_connection_that_cannot_be_made() {
    let (mut config, _) = behind(&Authority::new("us")).await;
    let hop = scripted(|_, mut client| async move {
        read_request(&mut client).await;
        write(&mut client, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    })
    .await;
    config.proxy = Some(proxy(ProxyProtocol::Http, hop, true));
    let error = ask(&config).await.unwrap_err();
    assert!(error.is_connect() && !format!("{error:?}").contains("hunter2"), "{error:?}");

    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    config.proxy = Some(proxy(ProxyProtocol::Socks5, gone, false));
    assert!(ask(&config).await.unwrap_err().is_connect());
}
