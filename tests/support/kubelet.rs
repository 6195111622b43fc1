//! A kubelet that has logs and nothing else, so that the API server has somebody to ask for them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::support::{World, wait_for};

/// What every container has written.
const LOG: &str = "one\ntwo\n";

/// The kubelet of a node that KWOK plays but for its logs.
pub(crate) struct Kubelet {
    asked: Arc<Mutex<Vec<String>>>,
}

impl Kubelet {
    /// Adds a node of this name, and answers for it until the process ends.
    pub(crate) fn start(world: &World, node: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let room = json!({"cpu": "100", "memory": "1Ti", "pods": "1000"});
        let object = json!({"metadata": {"name": node, "labels": {"kubernetes.io/hostname": node}},
            "status": {"allocatable": room, "capacity": room}});
        let (code, said) = world.api.ask("POST", "/api/v1/nodes", &object);
        assert_eq!(code, 201, "{said}");
        let path = format!("/api/v1/nodes/{node}");
        // Once KWOK has made it its own: what it writes of a node as a whole, it writes then.
        wait_for("KWOK to take the node", || {
            let node = world.api.get(&path)?;
            node["status"]["conditions"].as_array().filter(|conditions| !conditions.is_empty()).map(|_| ())
        });
        let here = json!({"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}});
        let (code, said) = world.api.ask("PATCH", &format!("{path}/status"), &here);
        assert_eq!(code, 200, "{said}");
        let (settings, asked) = (Arc::new(settings()), Arc::<Mutex<Vec<String>>>::default());
        let notes = asked.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (settings, notes) = (settings.clone(), notes.clone());
                thread::spawn(move || answer(socket, &settings, &notes));
            }
        });
        Self { asked }
    }

    /// Path and query of each request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The API server takes any certificate of a kubelet unless it is told whose to trust.
fn settings() -> ServerConfig {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("versions of TLS").with_no_client_auth();
    builder.with_single_cert(vec![signed.cert.der().clone()], key).expect("a certificate with its key")
}

fn answer(socket: TcpStream, settings: &Arc<ServerConfig>, notes: &Mutex<Vec<String>>) -> Option<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(settings.clone()).ok()?, socket);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    notes.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    let length = LOG.len();
    let told = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{LOG}");
    stream.write_all(told.as_bytes()).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}
