use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::Cidr;
use super::*;

fn client(networks: &[&str]) -> ReqwestOut {
    let guard = AddressGuard::allowing(
        networks
            .iter()
            .map(|text| Cidr::parse(text).unwrap())
            .collect(),
    );
    ReqwestOut::new(HttpOutOptions {
        guard,
        allow_http: true,
        extra_roots_pem: vec![],
    })
    .unwrap()
}

fn get(url: impl Into<String>) -> OutRequest {
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
    let https_only = ReqwestOut::new(HttpOutOptions {
        guard: AddressGuard::allowing(vec![Cidr::parse("127.0.0.0/8").unwrap()]),
        ..HttpOutOptions::default()
    })
    .unwrap();
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
            .collect::<Vec<SocketAddr>>()
    };
    let guard = AddressGuard::public_only();
    let mixed = addresses(&["10.0.0.1:0", "8.8.8.8:0", "[::1]:0", "[2606:4700::1]:0"]);
    assert_eq!(
        allowed(&guard, &mixed).unwrap(),
        addresses(&["8.8.8.8:0", "[2606:4700::1]:0"])
    );
    assert!(
        allowed(&guard, &addresses(&["10.0.0.1:0", "[fd00::1]:0"]))
            .unwrap_err()
            .is::<AllBlocked>()
    );
    assert!(allowed(&guard, &[]).unwrap().is_empty());
}
