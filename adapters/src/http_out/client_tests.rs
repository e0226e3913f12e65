use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::connect::allowed;
use super::super::{AddressGuard, Cidr};
use super::*;

pub(super) fn options(networks: &[&str]) -> HttpOutOptions {
    let networks = networks.iter().map(|text| Cidr::parse(text).unwrap());
    let urls = CallableUrls {
        guard: AddressGuard::allowing(networks.collect()),
        allow_http: true,
    };
    HttpOutOptions {
        urls,
        ..HttpOutOptions::default()
    }
}

fn client(networks: &[&str]) -> CheckedHttp {
    CheckedHttp::new(options(networks)).unwrap()
}

/// Answers in order; the last answer stays.
pub(super) struct Answers(Mutex<VecDeque<Vec<IpAddr>>>);

impl Answers {
    pub(super) fn in_order(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
    }
}

impl Names for Answers {
    fn look_up(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut answers = self.0.lock().unwrap();
        let answer = answers.front().unwrap().clone();
        if answers.len() > 1 {
            answers.pop_front();
        }
        Box::pin(async move { Ok(answer) })
    }
}

pub(super) fn get(url: impl Into<String>) -> OutRequest {
    OutRequest {
        method: "GET",
        url: url.into(),
        headers: vec![("x-key".into(), "1".into())],
        body: vec![],
        deadline: Duration::from_secs(2),
        answer_bytes_max: 64,
    }
}

/// A server that reads the head of each request, writes these pieces 50 ms apart, and then keeps
/// the connection open (`hold`) or closes it. Gives its address.
async fn server(pieces: &'static [&'static str], hold: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection, pieces, hold));
        }
    });
    address
}

async fn serve(mut connection: TcpStream, pieces: &[&str], hold: bool) {
    let mut head = vec![];
    let handshake = |head: &[u8]| head.first() == Some(&0x16);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && !handshake(&head) {
        if connection.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    for piece in pieces {
        if connection.write_all(piece.as_bytes()).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if hold {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test]
async fn an_answer_comes_back_whole_with_the_headers_that_matter() {
    let address = server(
        &[
            "HTTP/1.1 503 Busy\r\nretry-after: 7\r\nset-cookie: a=b\r\ncontent-length: 4\r\n\r\n",
            "wait",
        ],
        false,
    )
    .await;
    let answer = client(&["127.0.0.0/8"])
        .send(get(format!("http://{address}/")))
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.body.as_slice(), answer.cut),
        (503, b"wait".as_slice(), false)
    );
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_never_followed() {
    let target = server(&["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], false).await;
    let location =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n");
    let address = server(Box::leak(Box::new([&*location.leak()])), false).await;
    let answer = client(&["127.0.0.0/8"])
        .send(get(format!("http://{address}/")))
        .await
        .unwrap();
    assert_eq!(answer.status, 302);
}

#[tokio::test]
async fn no_more_than_the_cap_is_read_and_an_endless_body_does_not_hold_us() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
    let body = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123";
    let address = server(Box::leak(Box::new([head, body])), true).await;
    let answer = client(&["127.0.0.0/8"])
        .send(get(format!("http://{address}/")))
        .await
        .unwrap();
    assert_eq!((answer.body.len(), answer.cut), (64, true));
}

#[tokio::test]
async fn the_deadline_holds_for_the_head_and_for_the_body() {
    for pieces in [
        &[] as &[&str],
        &["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", "slow"],
    ] {
        let address = server(pieces, true).await;
        let mut request = get(format!("http://{address}/"));
        request.deadline = Duration::from_millis(300);
        let failure = client(&["127.0.0.0/8"]).send(request).await.unwrap_err();
        assert_eq!(failure, OutError::Timeout);
        assert!(!failure.not_sent());
    }
}

#[tokio::test]
async fn a_broken_connection_is_not_mistaken_for_one_that_never_was() {
    for pieces in [
        &[] as &[&str],
        &["nonsense\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", "cut"],
    ] {
        let address = server(pieces, false).await;
        let failure = client(&["127.0.0.0/8"])
            .send(get(format!("http://{address}/")))
            .await
            .unwrap_err();
        assert_eq!(failure, OutError::Broken, "{pieces:?}");
    }
}

#[tokio::test]
async fn nobody_there_no_name_and_no_tls_have_their_own_words() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let plain = server(&["this is no handshake\r\n"], false).await;
    for (url, class) in [
        (format!("http://{closed}/"), OutError::Connect),
        (format!("https://{plain}/"), OutError::Tls),
        ("http://no-such-name.invalid/".to_owned(), OutError::Dns),
    ] {
        let failure = client(&["127.0.0.0/8"])
            .send(get(url.clone()))
            .await
            .unwrap_err();
        assert_eq!(failure, class, "{url}");
        assert!(failure.not_sent());
    }
}

#[tokio::test]
async fn a_blocked_address_is_never_connected_to_by_number_or_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "localhost",
    ] {
        let failure = client(&[])
            .send(get(format!("http://{host}:{port}/")))
            .await
            .unwrap_err();
        assert_eq!(failure, OutError::Blocked, "{host}");
    }
    let nobody_came = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(nobody_came.is_err());
}

#[tokio::test]
async fn what_may_not_be_called_is_not_called() {
    let mut https_only = options(&["127.0.0.0/8"]);
    https_only.urls.allow_http = false;
    let https_only = CheckedHttp::new(https_only).unwrap();
    for url in [
        "http://127.0.0.1:9/",
        "ftp://example.am/",
        "file:///etc/passwd",
        "nonsense",
        "",
    ] {
        assert_eq!(
            https_only.send(get(url)).await,
            Err(OutError::Blocked),
            "{url}"
        );
    }
    let any = client(&["127.0.0.0/8"]);
    for url in ["http://user@127.0.0.1:9/", "http://user:pass@127.0.0.1:9/"] {
        assert_eq!(any.send(get(url)).await, Err(OutError::Blocked), "{url}");
    }
    let mut split = get("http://127.0.0.1:9/");
    split.headers = vec![("x-a".into(), "1\r\nx-b: 2".into())];
    assert_eq!(any.send(split).await, Err(OutError::Blocked));
}

#[test]
fn of_a_name_with_many_addresses_only_the_allowed_are_used() {
    let addresses = |list: &[&str]| {
        list.iter()
            .map(|text| text.parse().unwrap())
            .collect::<Vec<IpAddr>>()
    };
    let guard = AddressGuard::public_only();
    let mixed = addresses(&["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1"]);
    assert_eq!(
        allowed(&guard, &mixed).unwrap(),
        addresses(&["8.8.8.8", "2606:4700::1"])
    );
    let inner = allowed(&guard, &addresses(&["10.0.0.1", "fd00::1"]));
    assert!(matches!(inner, Err(NoAddress::AllBlocked)));
    let nothing = allowed(&guard, &[]);
    assert!(matches!(nothing, Err(NoAddress::Unknown(None))));
}

#[tokio::test]
async fn a_name_that_turns_inward_is_not_followed_there() {
    // The address of the first answer is public as far as this deployment is concerned, the second
    // is the same machine under an address that is not.
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            // The connection ends with its answer, so that the next request needs another.
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            serve(connection, &[answer], false).await;
        }
    });
    let names = Answers::in_order(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.2", "127.0.0.1"]]);
    let client = CheckedHttp::knowing(options(&["127.0.0.1"]), names).unwrap();
    let url = format!("http://crm.example:{port}/");
    let sent = client.send(get(url.clone())).await;
    assert_eq!(sent.unwrap().status, 200);
    assert_eq!(client.send(get(url.clone())).await, Err(OutError::Blocked));
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    let sent = client.send(get(url)).await;
    assert_eq!(sent.unwrap().status, 200, "one of two may be called");
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_redirect_to_the_metadata_of_the_cloud_is_an_answer_like_any_other() {
    let text = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data/\r\n\
                content-length: 0\r\n\r\n";
    let address = server(Box::leak(Box::new([text])), false).await;
    let anywhere = client(&["0.0.0.0/0"]);
    let sent = anywhere.send(get(format!("http://{address}/"))).await;
    let answer = sent.unwrap();
    let location = answer.header("location").unwrap();
    assert_eq!(answer.status, 302);
    let followed = anywhere.send(get(location)).await;
    assert_eq!(followed, Err(OutError::Blocked), "not even on purpose");
}

#[tokio::test]
async fn a_hundred_megabytes_are_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sending = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        assert!(connection.read(&mut asked).await.unwrap() > 0);
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
        connection.write_all(head).await.unwrap();
        let chunk = vec![b'x'; 64 * 1024];
        let mut taken = 0;
        while taken < 100_000_000 {
            match connection.write(&chunk).await {
                Ok(more) => taken += more,
                Err(_) => break,
            }
        }
        taken
    });
    let mut request = get(format!("http://{address}/"));
    request.answer_bytes_max = 16 * 1024;
    let answer = client(&["127.0.0.0/8"]).send(request).await.unwrap();
    assert_eq!((answer.body.len(), answer.cut), (16 * 1024, true));
    // What the kernels of both sides hold is all that it got rid of.
    let taken = sending.await.unwrap();
    assert!(taken < 20_000_000, "{taken}");
}

#[tokio::test]
async fn one_byte_after_another_is_cut_at_the_deadline_and_not_a_byte_later() {
    let drip: &[&str] = &["x"; 40];
    let head: &[&str] = &["HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n"];
    let address = server(Box::leak([head, drip].concat().into_boxed_slice()), true).await;
    let mut request = get(format!("http://{address}/"));
    request.deadline = Duration::from_millis(600);
    let started = tokio::time::Instant::now();
    let failure = client(&["127.0.0.0/8"]).send(request).await.unwrap_err();
    assert_eq!(failure, OutError::Timeout);
    let took = started.elapsed();
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}
