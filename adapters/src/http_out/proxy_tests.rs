use std::net::SocketAddr;
use std::sync::Mutex;

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::tests::{Answers, get, options};
use super::*;

const AUTHORITY: &[u8] = include_bytes!("tls_for_tests/authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls_for_tests/server.pem");
const KEY: &[u8] = include_bytes!("tls_for_tests/server.key");

/// A receiver over TLS whose certificate is for `erp.example`; what it was asked for in the
/// handshake and in the head of each request.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

async fn head(connection: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut bytes = vec![];
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).await.ok()?;
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).ok()
}

async fn tls_receiver() -> (SocketAddr, Seen) {
    let certificates = CertificateDer::pem_slice_iter(CERTIFICATE);
    let certificates = certificates.map(|one| one.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let noted = seen.clone();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(connection).await else {
                continue;
            };
            let asked_for = tls.get_ref().1.server_name().map(str::to_owned);
            noted.note(format!("sni {}", asked_for.unwrap_or_default()));
            if let Some(head) = head(&mut tls).await {
                let host = head.lines().find(|line| line.starts_with("host:"));
                noted.note(host.unwrap_or_default());
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            let _ = tls.write_all(answer).await;
            let _ = tls.shutdown().await;
        }
    });
    (address, seen)
}

/// A proxy that knows `CONNECT` and nothing else, and leads every tunnel to `receiver`, as if the
/// address that it is told were there.
async fn proxy(receiver: SocketAddr, status: &'static str) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let noted = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let noted = noted.clone();
            tokio::spawn(async move {
                let asked = head(&mut connection).await.unwrap_or_default();
                let words: Vec<&str> = asked.split_whitespace().take(2).collect();
                noted.note(words.join(" "));
                let answer = format!("HTTP/1.1 {status}\r\n\r\n");
                connection.write_all(answer.as_bytes()).await.unwrap();
                if status.starts_with("200") {
                    let mut there = TcpStream::connect(receiver).await.unwrap();
                    let _ = copy_bidirectional(&mut connection, &mut there).await;
                }
            });
        }
    });
    (format!("http://{address}"), seen)
}

fn through(url: &str, resolves: bool, networks: &[&str], answers: &[&[&str]]) -> CheckedHttp {
    let options = HttpOutOptions {
        extra_roots_pem: vec![AUTHORITY.to_vec()],
        proxy: Some(Proxy {
            url: url.to_owned(),
            resolves,
        }),
        ..options(networks)
    };
    CheckedHttp::knowing(options, Answers::in_order(answers)).unwrap()
}

#[tokio::test]
async fn the_proxy_is_told_the_checked_address_and_the_receiver_its_name() {
    let (receiver, received) = tls_receiver().await;
    let (url, asked) = proxy(receiver, "200 Connected").await;
    let client = through(&url, false, &[], &[&["10.0.0.5", "93.184.216.34"]]);
    let answer = client.send(get("https://erp.example/hook")).await.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, b"ok".as_slice())
    );
    assert_eq!(asked.all(), ["CONNECT 93.184.216.34:443"]);
    assert_eq!(received.all(), ["sni erp.example", "host: erp.example"]);
}

#[tokio::test]
async fn a_name_that_leads_inside_never_reaches_the_proxy() {
    let (receiver, received) = tls_receiver().await;
    let (url, asked) = proxy(receiver, "200 Connected").await;
    let inside: [&[&str]; 3] = [&["10.0.0.5"], &["169.254.169.254"], &["::1", "127.0.0.1"]];
    for answer in inside {
        let client = through(&url, false, &[], &[answer]);
        let sent = client.send(get("https://erp.example/hook")).await;
        assert_eq!(sent, Err(OutError::Blocked), "{answer:?}");
    }
    assert_eq!((asked.all(), received.all()), (vec![], vec![]));
}

#[tokio::test]
async fn a_proxy_that_resolves_is_told_the_name_but_no_forbidden_address() {
    let (receiver, received) = tls_receiver().await;
    let (url, asked) = proxy(receiver, "200 Connected").await;
    let client = through(&url, true, &[], &[&[]]);
    let answer = client.send(get("https://erp.example:8443/hook")).await;
    assert_eq!(answer.unwrap().status, 200);
    for url in [
        "https://169.254.169.254/",
        "https://127.1/",
        "https://[::1]/",
        "https://metadata.google.internal/",
        "https://localhost/",
    ] {
        assert_eq!(client.send(get(url)).await, Err(OutError::Blocked), "{url}");
    }
    assert_eq!(asked.all(), ["CONNECT erp.example:8443"]);
    assert_eq!(
        received.all(),
        ["sni erp.example", "host: erp.example:8443"]
    );
}

#[tokio::test]
async fn a_proxy_cannot_pretend_to_be_the_receiver() {
    let (receiver, received) = tls_receiver().await;
    let (url, _) = proxy(receiver, "200 Connected").await;
    let client = through(&url, false, &[], &[&["93.184.216.34"]]);
    let sent = client.send(get("https://bank.example/hook")).await;
    assert_eq!(sent, Err(OutError::Tls), "the certificate is for another");
    assert_eq!(received.all(), [""; 0]);
}

#[tokio::test]
async fn an_allowed_network_is_called_through_the_proxy_as_well() {
    let (receiver, _) = tls_receiver().await;
    let (url, asked) = proxy(receiver, "200 Connected").await;
    let client = through(
        &url,
        false,
        &["10.20.0.0/16"],
        &[&["10.21.0.1", "10.20.0.9"]],
    );
    let sent = client.send(get("https://erp.example/hook")).await;
    assert_eq!(sent.unwrap().status, 200);
    assert_eq!(asked.all(), ["CONNECT 10.20.0.9:443"]);
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_away_is_no_connection_and_nothing_was_sent() {
    let (receiver, received) = tls_receiver().await;
    for status in ["403 Forbidden", "407 Who are you", "502 Bad Gateway"] {
        let (url, asked) = proxy(receiver, status).await;
        let client = through(&url, false, &[], &[&["93.184.216.34", "93.184.216.35"]]);
        let failure = client
            .send(get("https://erp.example/hook"))
            .await
            .unwrap_err();
        assert_eq!(failure, OutError::Connect, "{status}");
        assert!(failure.not_sent());
        assert_eq!(asked.all().len(), 2, "each address once");
    }
    assert_eq!(received.all(), [""; 0]);
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr();
    let url = format!("http://{}", away.unwrap());
    let client = through(&url, false, &[], &[&["93.184.216.34"]]);
    let failure = client.send(get("https://erp.example/hook")).await;
    assert_eq!(failure, Err(OutError::Connect));
}

#[tokio::test]
async fn a_proxy_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = through(&url, false, &[], &[&["93.184.216.34"]]);
    let mut request = get("https://erp.example/hook");
    request.deadline = Duration::from_secs(10);
    assert_eq!(client.send(request).await, Err(OutError::Connect));
}

#[test]
fn what_is_no_proxy_is_refused_at_once() {
    for url in [
        "",
        "proxy.example:3128",
        "https://proxy.example",
        "socks5://proxy.example:1",
    ] {
        let proxy = Proxy {
            url: url.to_owned(),
            resolves: false,
        };
        let options = HttpOutOptions {
            proxy: Some(proxy),
            ..HttpOutOptions::default()
        };
        assert!(
            matches!(CheckedHttp::new(options), Err(CannotStart::Proxy)),
            "{url}"
        );
    }
}
