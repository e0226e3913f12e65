//! What the listener takes and what it does not: sizes, times, shapes. Every refusal is one of the
//! documented problems, repeats nothing of the input and carries the security headers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, web};
use api::http::guard;
use api::http::problem::CODES;
use harness::node::{Answer, TestNode};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REQUESTS: &str = "/v1/payment-requests";
/// Stands in bad input and never in an answer.
const CANARY: &str = "Zebra_4111111111111112";
/// On every answer, whatever it says.
const HEADERS: [(&str, &str); 7] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
];

#[track_caller]
fn assert_headers(headers: &HeaderMap) {
    for (name, value) in HEADERS {
        assert_eq!(
            headers.get(name).map(|v| v.to_str().unwrap()),
            Some(value),
            "{name}"
        );
    }
    let id = headers["x-request-id"].to_str().unwrap();
    assert!(id.starts_with("req_") && id.len() > 10, "{id}");
    assert!(!headers.contains_key("server"));
    assert!(!headers.contains_key("access-control-allow-origin"));
}

/// The answer is the problem of this code, as the table has it, and tells nothing of the input.
#[track_caller]
fn assert_problem(answer: &Answer, code: &str) {
    assert_eq!(answer.code(), code, "{} {}", answer.status, answer.text);
    let row = CODES.iter().find(|row| row.code == code).unwrap();
    let body = answer.json();
    assert_eq!(answer.status, row.status);
    assert_eq!(body["status"], row.status);
    assert_eq!(body["title"], row.title);
    assert_eq!(body["type"], format!("/docs#{code}"));
    assert!(
        !answer.text.contains(CANARY),
        "the input is repeated: {}",
        answer.text
    );
    assert!(
        !answer.text.contains("src/"),
        "a place in the program: {}",
        answer.text
    );
    if matches!(row.status, 429 | 503) {
        assert!(!answer.header("retry-after").is_empty());
    }
    assert_headers(&answer.headers);
}

/// Sends bytes as they are, waits, and reads until the ledger closes the connection.
async fn raw(node: &TestNode, bytes: &[u8]) -> (u16, Answer, Duration) {
    let mut connection = TcpStream::connect(node.address()).await.unwrap();
    let started = Instant::now();
    // The ledger may answer and close before the last byte is out.
    let _ = connection.write_all(bytes).await;
    let mut answer = vec![];
    let read = connection.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("the connection is closed");
    let took = started.elapsed();
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status: u16 = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let name: reqwest::header::HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    (
        status,
        Answer {
            status,
            headers,
            text: body.to_owned(),
        },
        took,
    )
}

fn head(node: &TestNode, more: &str) -> String {
    format!(
        "POST {REQUESTS} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nidempotency-key: limits\r\n\
         authorization: Bearer {}\r\ncontent-type: application/json\r\n{more}\r\n",
        node.token("backend")
    )
}

/// A command whose body is these bytes.
async fn send(
    node: &TestNode,
    path: &str,
    media: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> Answer {
    let mut request = node
        .http()
        .post(node.url(path))
        .bearer_auth(node.token("backend"));
    request = request.header("idempotency-key", "limits").body(body);
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    Answer::of(request.send().await.unwrap()).await
}

/// A request that commands can be sent to.
async fn some_request(node: &TestNode) -> String {
    let amount = json!({ "minor": "150000", "currency": "AMD" });
    let order = json!({ "order_id": "some", "scenario": "telegram", "amount": amount });
    let created = node
        .post("backend", REQUESTS, "some", &order)
        .await
        .expect(201);
    format!("{REQUESTS}/{}", created.text_of("id"))
}

/// How many requests there are.
async fn requests(node: &TestNode) -> usize {
    let page = node
        .get("auditor", "/v1/events?limit=500&type=PaymentRequestCreated")
        .await
        .json();
    page["events"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_64_kib_is_refused_with_and_without_its_length() {
    let node = TestNode::start().await;
    let large = format!("{{\"x\":\"{}\"}}", "a".repeat(70 * 1024));
    let told = format!(
        "{}{large}",
        head(&node, &format!("content-length: {}\r\n", large.len()))
    );
    let chunked = format!(
        "{}{:x}\r\n{large}\r\n0\r\n\r\n",
        head(&node, "transfer-encoding: chunked\r\n"),
        large.len()
    );
    for bytes in [told, chunked] {
        let (_, answer, _) = raw(&node, bytes.as_bytes()).await;
        assert_problem(&answer, "body_too_large");
    }
    // Notifications have the same limit, before any signature is looked at.
    let callback = format!(
        "POST /v1/callbacks/sim/sim-main HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{large}",
        large.len()
    );
    assert_problem(&raw(&node, callback.as_bytes()).await.1, "body_too_large");
    let fits = format!(
        "{{\"{CANARY}\":\"{}\"}}",
        "a".repeat(64 * 1024 - CANARY.len() - 7)
    );
    assert_eq!(fits.len(), 64 * 1024);
    assert_eq!(
        send(&node, REQUESTS, Some("application/json"), fits)
            .await
            .code(),
        "invalid"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_in_the_middle_loses_its_connection() {
    let node = TestNode::start().await;
    let bytes = format!("{}{{\"order", head(&node, "content-length: 100\r\n"));
    let (_, answer, took) = raw(&node, bytes.as_bytes()).await;
    assert_problem(&answer, "body_timeout");
    assert!(
        took >= Duration::from_secs(3) && took < Duration::from_secs(10),
        "{took:?}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_out_of_bounds_or_with_two_meanings_is_refused() {
    let node = TestNode::start().await;
    let get = |more: &str| {
        format!("GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n")
    };
    let many = |count: usize| {
        (0..count)
            .map(|i| format!("x-{i}: {CANARY}\r\n"))
            .collect::<String>()
    };
    // 96 headers are the most; `host` and `connection` are two of them.
    assert_eq!(raw(&node, get(&many(94)).as_bytes()).await.0, 200);
    let long = format!("x-long: {CANARY}{}\r\n", "a".repeat(200 * 1024));
    let path = format!(
        "GET /{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "a".repeat(70 * 1024)
    );
    let two_lengths = head(&node, "content-length: 2\r\ncontent-length: 40\r\n") + "{}";
    let length_and_chunks =
        head(&node, "content-length: 2\r\ntransfer-encoding: chunked\r\n") + "0\r\n\r\n";
    for (what, bytes, statuses) in [
        ("97 headers", get(&many(97)), &[431][..]),
        ("a long header", get(&long), &[431, 400]),
        ("a long path", path, &[400, 414]),
        ("two lengths", two_lengths, &[400]),
        ("length and chunks", length_and_chunks, &[400]),
        ("no HTTP", format!("{CANARY}\r\n\r\n"), &[400]),
    ] {
        // The head never reached a route: the answer is a bare status without a body.
        let (status, answer, _) = raw(&node, bytes.as_bytes()).await;
        assert!(statuses.contains(&status), "{what}: {status}");
        assert_eq!(answer.text, "", "{what}");
    }
    assert_eq!(requests(&node).await, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_not_plain_is_malformed_and_changes_nothing() {
    let node = TestNode::start().await;
    let (deep, endless) = (
        format!("{}1{}", "[".repeat(13), "]".repeat(13)),
        "[".repeat(60_000),
    );
    let order = format!("\"order_id\":\"{CANARY}\",\"scenario\":\"telegram\"");
    let bodies = [
        String::new(),
        CANARY.to_owned(),
        "{".to_owned(),
        format!("{{{order}"),
        format!("{{{order}}} {{}}"),
        format!("{{{order},\"order_id\":\"{CANARY}\"}}"),
        format!("{{{order},\"amount\":{{\"minor\":150000.0,\"currency\":\"AMD\"}}}}"),
        format!("{{{order},\"amount\":{{\"minor\":15e4,\"currency\":\"AMD\"}}}}"),
        format!("{{{order},\"amount\":{{\"minor\":18446744073709551616,\"currency\":\"AMD\"}}}}"),
        format!("{{{order},\"amount\":NaN}}"),
        format!("{{'{CANARY}':1}}"),
        format!("{{{order},}}"),
        format!("{{{order}}}// {CANARY}"),
        format!("{{{order},\"x\":\"\\ud800\"}}"),
        format!("\u{feff}{{{order}}}"),
        format!("{{\"x\":{deep}}}"),
        endless,
        format!("[\"{CANARY}\"]"),
        format!("\"{CANARY}\""),
        "null".to_owned(),
    ];
    let notes = some_request(&node).await + "/notices";
    for body in bodies {
        for path in [REQUESTS, "/v1/quotes", &notes] {
            let answer = send(&node, path, Some("application/json"), body.clone()).await;
            assert_problem(&answer, "malformed");
        }
    }
    let answer = send(
        &node,
        REQUESTS,
        Some("application/json"),
        b"{\"a\":\"\xff\"}".to_vec(),
    )
    .await;
    assert_problem(&answer, "malformed");
    assert_eq!(requests(&node).await, 1);
    // None of the refusals used the key up.
    let good = json!({ "order_id": "1", "scenario": "telegram", "amount": { "minor": 150_000, "currency": "AMD" } });
    let answer = send(
        &node,
        REQUESTS,
        Some("application/json; charset=utf-8"),
        good.to_string(),
    )
    .await;
    assert_eq!(
        (answer.status, answer.header("idempotent-replayed")),
        (201, "")
    );
    assert_eq!(requests(&node).await, 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_are_told_by_field_and_never_repeated() {
    let node = TestNode::start().await;
    let amount = json!({ "minor": "150000", "currency": "AMD" });
    let good = json!({ "order_id": "1", "scenario": "telegram", "amount": amount });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let number = json!(12_345_678_987_i64);
    for (pointer, value) in [
        ("order_id", json!(["x"])),
        ("order_id", json!("")),
        ("order_id", json!("x".repeat(1000))),
        ("order_id", json!(format!("a\n{CANARY}"))),
        ("scenario", json!(format!("{CANARY} "))),
        ("customer_ref", json!(format!("{CANARY}@example.com"))),
        ("correlation_id", json!(format!("{CANARY} \u{0}"))),
        ("expires_in_s", json!(0)),
        ("expires_in_s", json!(CANARY)),
        ("expires_in_s", number.clone()),
        ("supersede", json!(CANARY)),
        ("amount", json!(CANARY)),
        ("amount", number),
        ("amount", json!({ "minor": CANARY, "currency": "AMD" })),
        ("amount", json!({ "minor": "150000", "currency": CANARY })),
        ("amount", json!({ "minor": "150000", "currency": "amd" })),
        ("amount", json!({ "minor": "0", "currency": "AMD" })),
        ("amount", json!({ "minor": "-1", "currency": "AMD" })),
        ("amount", json!({ "minor": "+1", "currency": "AMD" })),
        ("amount", json!({ "minor": " 1", "currency": "AMD" })),
        ("amount", json!({ "minor": "1.5", "currency": "AMD" })),
        (
            "amount",
            json!({ "minor": "9223372036854775808", "currency": "AMD" }),
        ),
        (
            "amount",
            json!({ "minor": "150000", "currency": "AMD", "exponent": 3 }),
        ),
        (
            "amount",
            json!({ "minor": "150000", "currency": "AMD", CANARY: 1 }),
        ),
        ("amuont", json!(CANARY)),
        ("quote_id", json!(CANARY)),
        ("items", json!([])),
    ] {
        let answer = send(
            &node,
            REQUESTS,
            Some("application/json"),
            with(pointer, value.clone()).to_string(),
        )
        .await;
        assert_problem(&answer, "invalid");
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        // Two prices at once are the fault of whichever; both are among what the sentence names.
        let named = |pointer: &str| errors.iter().any(|e| e["pointer"] == format!("/{pointer}"));
        let told = if pointer == "items" {
            "quote_id"
        } else {
            pointer
        };
        assert!(named(told), "{pointer} {value}: {errors:?}");
    }
    let hint = send(
        &node,
        REQUESTS,
        Some("application/json"),
        with("expires_in", json!(5)).to_string(),
    )
    .await;
    assert!(
        hint.text.contains("did you mean expires_in_s?"),
        "{}",
        hint.text
    );
    for query in [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=x",
        "status=Zebra_4111111111111112",
        "since=Zebra_4111111111111112",
        "cursor=Zebra_4111111111111112",
    ] {
        assert_problem(
            &node.get("backend", &format!("{REQUESTS}?{query}")).await,
            "invalid",
        );
    }
    assert_problem(
        &node
            .get("backend", &format!("{REQUESTS}?wait_for={CANARY}"))
            .await,
        "malformed",
    );
    for query in ["after", "until", "limit"] {
        let answer = node
            .get("auditor", &format!("/v1/events?{query}={CANARY}"))
            .await;
        assert_problem(&answer, "invalid");
    }
    assert_eq!(requests(&node).await, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_needs_a_key_and_json() {
    let node = TestNode::start().await;
    let body = json!({ "order_id": "1", "scenario": "telegram", "amount": { "minor": "150000", "currency": "AMD" } });
    let backend = format!("Bearer {}", node.token("backend"));
    let some = some_request(&node).await;
    let cancel = format!("{some}/cancel");
    for path in [REQUESTS, "/v1/quotes", &cancel] {
        let answer = node
            .call("POST", path, Some(&backend), None, Some(&body))
            .await;
        assert_problem(&answer, "idempotency_key_missing");
        let answer = node
            .call("POST", path, Some(&backend), Some(""), Some(&body))
            .await;
        assert_problem(&answer, "idempotency_key_missing");
        let answer = node
            .call(
                "POST",
                path,
                Some(&backend),
                Some(&"k".repeat(256)),
                Some(&body),
            )
            .await;
        assert_problem(&answer, "idempotency_key_missing");
        for media in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("application/jsonx"),
            Some(""),
        ] {
            assert_problem(
                &send(&node, path, media, body.to_string()).await,
                "unsupported_media_type",
            );
        }
    }
    assert_eq!(
        node.get("backend", &some).await.text_of("status"),
        "pending"
    );
    assert_eq!(requests(&node).await, 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_route_is_not_found_and_tells_nothing() {
    let node = TestNode::start().await;
    let backend = format!("Bearer {}", node.token("backend"));
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/payment-requests",
        "/V1/payment-requests",
        "/v1/payment-requests/",
        "//v1/payment-requests",
        "/v1//payment-requests",
        "/v1/payment-requests/%00",
        "/v1/payment-requests/%ff",
        "/v1/payment-requests/%zz",
        "/v1/payment-requests/%2e%2e%2fquotes",
        "/v1/payment-requests/pr_/stream",
        "/v1/payment-requests/..%2F..%2Fetc%2Fpasswd",
        "/v1/payment-requests/Zebra_4111111111111112",
        "/v1/payment-requests/pr_00000000000000000000000000",
        "/v1/payment-requests/'%20OR%201=1",
        "/v1/quotes/qt_00000000000000000000000000",
        "/v1/quotes/Zebra_4111111111111112",
        "/health",
        "/health/live/",
        "/.env",
        "/admin",
    ] {
        let answer = node.call("GET", path, Some(&backend), None, None).await;
        assert_problem(&answer, "not_found");
    }
    for stream in [
        "x",
        "payment_request-x",
        "payment_request-",
        "client-nobody",
        "-",
        "%00",
    ] {
        let answer = node.get("auditor", &format!("/v1/streams/{stream}")).await;
        assert_problem(&answer, "not_found");
    }
    for (provider, account) in [
        ("sim", "nobody"),
        ("stripe", "sim-main"),
        ("SIM", "sim-main"),
        ("sim", "%00"),
    ] {
        let path = format!("/v1/callbacks/{provider}/{account}");
        assert_problem(
            &node.call("POST", &path, None, None, Some(&json!({}))).await,
            "not_found",
        );
    }
    for (method, path) in [
        ("DELETE", REQUESTS),
        ("PUT", REQUESTS),
        ("PATCH", REQUESTS),
        ("OPTIONS", REQUESTS),
        ("TRACE", REQUESTS),
        ("ZEBRA", REQUESTS),
        ("POST", "/health/live"),
        ("GET", "/v1/quotes"),
    ] {
        let answer = node.call(method, path, Some(&backend), None, None).await;
        assert_problem(&answer, "method_not_allowed");
        let allow = match path {
            REQUESTS => "POST, GET",
            "/health/live" => "GET",
            _ => "POST",
        };
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_any_other_form_are_none() {
    let node = TestNode::start().await;
    let token = node.token("backend");
    for authorization in [
        "".to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.to_owned(),
        format!("Basic {token}"),
        format!("Bearer {token}x"),
        format!("Bearer {}", token.to_ascii_lowercase()),
        format!("Bearer {}", token.replace("cf_test_", "cf_live_")),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {}", "a".repeat(10_000)),
    ] {
        let answer = node
            .call("GET", REQUESTS, Some(&authorization), None, None)
            .await;
        assert_problem(&answer, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(!answer.text.contains(token));
    }
    for scheme in ["bearer", "BEARER"] {
        let authorization = format!("{scheme} {token}");
        node.call("GET", REQUESTS, Some(&authorization), None, None)
            .await
            .expect(200);
    }
    // A token in the address would stand in logs: it is no credential.
    let answer = node
        .call(
            "GET",
            &format!("{REQUESTS}?access_token={token}"),
            None,
            None,
            None,
        )
        .await;
    assert_problem(&answer, "unauthenticated");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_waits_and_nobody_else_does() {
    let node = TestNode::start_with(|settings| {
        settings.limits.client_requests_per_s = 3;
        settings.limits.address_requests_per_s = 3;
    })
    .await;
    let mut refused = 0;
    for _ in 0..12 {
        let answer = node.get("backend", REQUESTS).await;
        if answer.status != 200 {
            assert_problem(&answer, "rate_limited");
            refused += 1;
        }
    }
    assert!(refused >= 6, "{refused} of 12");
    node.get("bot", REQUESTS).await.expect(200);
    let mut codes = vec![];
    for _ in 0..12 {
        codes.push(
            node.call("GET", REQUESTS, Some("Bearer x"), None, None)
                .await
                .status,
        );
    }
    assert!(codes.contains(&429) && codes.contains(&401), "{codes:?}");
    // A guesser at one address does not lock out those who have a token.
    node.get("operator", REQUESTS).await.expect(200);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_answers_carry_the_security_headers_too() {
    let node = TestNode::start().await;
    for path in ["/health/live", "/health/ready", "/metrics", "/openapi.json"] {
        let answer = node.call("GET", path, None, None, None).await.expect(200);
        assert_headers(&answer.headers);
    }
    let list = node.get("backend", REQUESTS).await.expect(200);
    assert_headers(&list.headers);
    let again = node.get("backend", REQUESTS).await;
    assert_ne!(list.header("x-request-id"), again.header("x-request-id"));
    // The page may have its own policy, but it has one.
    let docs = node
        .call("GET", "/docs", None, None, None)
        .await
        .expect(200);
    assert!(
        docs.header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert_eq!(docs.header("x-content-type-options"), "nosniff");
    node.stop().await;
}

#[actix_web::test]
async fn a_panic_is_an_answer_that_tells_nothing_and_the_next_call_works() {
    async fn panics() -> HttpResponse {
        panic!("{CANARY}")
    }
    let app = App::new()
        .wrap(from_fn(guard::round))
        .route("/panics", web::get().to(panics))
        .route("/works", web::get().to(HttpResponse::Ok));
    let service = actix_web::test::init_service(app).await;
    let call = |path: &str| actix_web::test::TestRequest::get().uri(path).to_request();
    let (status, body) = match actix_web::test::try_call_service(&service, call("/panics")).await {
        Ok(response) => (
            response.status().as_u16(),
            actix_web::test::read_body(response).await,
        ),
        Err(error) => {
            let response = error.error_response();
            let status = response.status().as_u16();
            (
                status,
                actix_web::body::to_bytes(response.into_body())
                    .await
                    .unwrap(),
            )
        }
    };
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(status, 500);
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["code"], "internal");
    assert!(!text.contains(CANARY));
    let response = actix_web::test::call_service(&service, call("/works")).await;
    assert_eq!(response.status(), 200);
}

/// Threads of the server may end a moment later than the server itself. [`TestNode::restart`] takes
/// the lock of the store as soon as the ledger says that it has stopped.
#[tokio::test]
async fn a_ledger_that_has_stopped_has_let_go_of_its_store() {
    let mut node = TestNode::start().await;
    let held = Arc::clone(&node.node().app);
    let last_thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(800));
        drop(held);
    });
    node.restart().await;
    last_thread.join().unwrap();
    node.stop().await;
}
