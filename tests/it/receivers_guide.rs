//! The receivers of the page for those who receive events, as real programs: a ledger delivers to
//! each of them, and nothing but what it sent gets in.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use domain::delivery::signature::Signer;
use harness::binary::example;
use harness::shop::Shop;
use harness::{others, plain_http};
use serde_json::json;
use tempfile::TempDir;

const PAGE: &str = include_str!("../../docs/how-to/receive-events.md");
const EXAMPLE: &str = include_str!("../examples/receiver.rs");

/// The one program of the page in this language.
fn snippet(language: &str) -> &'static str {
    let fence = format!("```{language}\n");
    let mut blocks = PAGE.split(&fence[..]).skip(1);
    let block = blocks.next().unwrap().split("```\n").next().unwrap();
    assert!(blocks.next().is_none(), "one program of {language}");
    block
}

/// A program of the page at work, until it is dropped.
struct Running {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts it with these settings, once `command` has been told its file and its port.
    async fn start(
        file: &str,
        text: &str,
        command: impl FnOnce(&Path, u16) -> Command,
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(file);
        std::fs::write(&program, text).unwrap();
        std::fs::create_dir(folder.path().join("inbox")).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = command(&program, port)
            .env("INBOX", folder.path().join("inbox"))
            .env("PORT", port.to_string())
            .envs(settings.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let running = Self {
            child,
            folder,
            port,
        };
        for _ in 0..1_000 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
            {
                return running;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{file} does not listen");
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Names of what it kept.
    fn kept(&self) -> BTreeSet<String> {
        let inbox = std::fs::read_dir(self.folder.path().join("inbox")).unwrap();
        inbox
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    fn body(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join("inbox").join(name)).unwrap()
    }

    /// The status of its answer to a request of ours.
    async fn answers(&self, headers: &[(&str, String)], body: &[u8]) -> u16 {
        let client = plain_http::client()
            .timeout(Duration::from_secs(20))
            .build();
        let mut request = client.unwrap().post(self.url()).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.send().await.unwrap().status().as_u16()
    }
}

fn seconds_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}

type Headers = Vec<(&'static str, String)>;

fn signed(secret: &str, at: i64, body: &[u8]) -> Headers {
    let signature = Signer::parse(secret.as_bytes())
        .unwrap()
        .sign("dlv_a", at, body);
    vec![
        ("webhook-id", "dlv_a".to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", signature),
    ]
}

/// Of the shop's deliveries to this program exactly what the ledger sent is kept, once.
async fn receives(start: impl AsyncFn(&[(&str, &str)]) -> Running) {
    let shop = Shop::open_to_receivers().await;
    // The secret is known once the subscriber is there, and the port once the program runs.
    let body = json!({ "id": "crm", "url": "http://127.0.0.1:1024/hook" });
    let added = shop
        .node
        .post("admin", "/v1/subscribers", "k1", &body)
        .await;
    let secret = added.expect(201).text_of("signing_secret");
    let crm = start(&[("WEBHOOK_SECRET", &secret)]).await;
    moved(&shop, &crm, "k2").await;

    shop.pay("tea-1").await;
    shop.until_deliveries("state=delivered&subscriber=crm", 1)
        .await;
    let kept = crm.kept();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let name = kept.first().unwrap().clone();
    let event = crm.body(&name);
    let said: serde_json::Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(name, format!("{}.json", said["id"].as_str().unwrap()));
    assert_eq!(said["type"], "counterfoil.payment.verified.v1");
    nothing_else_gets_in(&crm, &secret, &event).await;

    // A new secret: the ledger signs with both, so the program goes on with the old one.
    let keys = "/v1/subscribers/crm/keys";
    let new = shop.node.post("admin", keys, "k3", &json!({})).await;
    let new = new.expect(201).text_of("signing_secret");
    shop.pay("tea-2").await;
    shop.until_deliveries("state=delivered&subscriber=crm", 2)
        .await;
    assert_eq!(crm.kept().len(), 2);
    let crm = start(&[("WEBHOOK_SECRET", &new)]).await;
    moved(&shop, &crm, "k4").await;
    shop.pay("tea-3").await;
    shop.until_deliveries("state=delivered&subscriber=crm", 3)
        .await;
    assert_eq!(crm.kept().len(), 1);
}

async fn moved(shop: &Shop, to: &Running, key: &str) {
    let token = format!("Bearer {}", shop.node.token("admin"));
    let (path, body) = ("/v1/subscribers/crm", json!({ "url": to.url() }));
    let moved = shop
        .node
        .call("PATCH", path, Some(&token), Some(key), Some(&body));
    moved.await.expect(200);
}

async fn nothing_else_gets_in(crm: &Running, secret: &str, event: &[u8]) {
    let kept = crm.kept();
    let now = seconds_now();
    for _ in 0..3 {
        let answer = crm.answers(&signed(secret, now, event), event).await;
        assert_eq!(answer / 100, 2, "a repeat has arrived");
    }
    let good = signed(secret, now, event);
    let with = |name: &str, value: &str| {
        let mut headers = good.clone();
        let (_, old) = headers
            .iter_mut()
            .find(|(known, _)| *known == name)
            .unwrap();
        *old = value.replace("{}", old);
        headers
    };
    let surrounded = with("webhook-signature", "v0,AAAA {} v9,AAAA v1,AAAA");
    assert_eq!(crm.answers(&surrounded, event).await / 100, 2, "one holds");

    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut tampered = event.to_vec();
    *tampered.last_mut().unwrap() ^= 1;
    let mut changed = String::from_utf8(event.to_vec()).unwrap();
    changed = changed.replace("\"paid\"", "\"free\"");
    let refused: [(&str, Headers, &[u8]); 20] = [
        ("last byte", good.clone(), &tampered),
        ("a word", good.clone(), changed.as_bytes()),
        ("another body", good.clone(), b"{}"),
        ("no body", good.clone(), b""),
        ("old", signed(secret, now - 310, event), event),
        ("ahead", signed(secret, now + 320, event), event),
        ("another secret", signed(other, now, event), event),
        ("another id", with("webhook-id", "dlv_b"), event),
        (
            "another time",
            with("webhook-timestamp", &(now - 1).to_string()),
            event,
        ),
        ("no time", with("webhook-timestamp", "hello"), event),
        ("an empty time", with("webhook-timestamp", ""), event),
        ("an empty signature", with("webhook-signature", ""), event),
        (
            "no signature in it",
            with("webhook-signature", "v1,"),
            event,
        ),
        ("no version", with("webhook-signature", "AAAA"), event),
        (
            "another version",
            with("webhook-signature", "v2,AAAA"),
            event,
        ),
        (
            "a version of its own",
            with("webhook-signature", "x{}"),
            event,
        ),
        ("nothing", vec![], event),
        ("without its id", good[1..].to_vec(), event),
        (
            "without its time",
            vec![good[0].clone(), good[2].clone()],
            event,
        ),
        ("unsigned", good[..2].to_vec(), event),
    ];
    for (what, headers, body) in refused {
        assert_eq!(crm.answers(&headers, body).await, 401, "{what}");
    }
    assert_eq!(crm.kept(), kept, "and nothing of it is kept");
    let forged = br#"{"id":"../../escape"}"#;
    let answer = crm.answers(&signed(secret, now, forged), forged).await;
    assert!(answer >= 400, "an id is no path: {answer}");
    assert_eq!(crm.kept(), kept);
}

/// With a public key in place of the secret: `v1a` is enough, and `v1` is nothing.
async fn receives_by_public_key(start: impl AsyncFn(&[(&str, &str)]) -> Running) {
    let shop = Shop::open_to_receivers().await;
    let body = json!({ "id": "crm", "url": "http://127.0.0.1:1024/hook" });
    let added = shop
        .node
        .post("admin", "/v1/subscribers", "k1", &body)
        .await;
    let secret = added.expect(201).text_of("signing_secret");
    let pair = json!({ "scheme": "v1a" });
    let pair = shop
        .node
        .post("admin", "/v1/subscribers/crm/keys", "k2", &pair)
        .await;
    let public = pair.expect(201).text_of("public_key");
    let crm = start(&[("WEBHOOK_PUBLIC_KEY", &public)]).await;
    moved(&shop, &crm, "k3").await;
    shop.pay("tea-1").await;
    shop.until_deliveries("state=delivered&subscriber=crm", 1)
        .await;
    let kept = crm.kept();
    assert_eq!(kept.len(), 1);
    let event = crm.body(kept.first().unwrap());
    let now = seconds_now();
    let own = domain::delivery::signature::private_key(&[9; 32]);
    for forger in [secret.as_str(), own.as_str()] {
        let answer = crm.answers(&signed(forger, now, &event), &event).await;
        assert_eq!(answer, 401, "{}", &forger[..5]);
    }
    let mut short = signed(&own, now, &event);
    short[2].1 = "v1a,AAAA".to_owned();
    assert_eq!(crm.answers(&short, &event).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_in_python_takes_what_the_ledger_sent_and_nothing_else() {
    let Some(python) = others::python() else {
        return;
    };
    receives(async |settings| {
        let command = |file: &Path, _| {
            let mut command = Command::new(&python);
            command.arg(file).stderr(Stdio::null());
            command
        };
        Running::start("receive.py", snippet("python"), command, settings).await
    })
    .await;
}

async fn in_node(node: &str, settings: &[(&str, &str)]) -> Running {
    let command = |file: &Path, _| {
        let mut command = Command::new(node);
        command.arg(file);
        command
    };
    Running::start("receive.mjs", snippet("js"), command, settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_in_node_takes_what_the_ledger_sent_and_nothing_else() {
    let Some(node) = others::node() else {
        return;
    };
    receives(async |settings| in_node(&node, settings).await).await;
    receives_by_public_key(async |settings| in_node(&node, settings).await).await;
}

async fn in_php(php: &str, settings: &[(&str, &str)]) -> Running {
    let command = |file: &Path, port: u16| {
        let mut command = Command::new(php);
        command.args(["-S", &format!("127.0.0.1:{port}")]).arg(file);
        command.stderr(Stdio::null());
        command
    };
    Running::start("receive.php", snippet("php"), command, settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_in_php_takes_what_the_ledger_sent_and_nothing_else() {
    let Some(php) = others::php() else {
        return;
    };
    receives(async |settings| in_php(&php, settings).await).await;
    receives_by_public_key(async |settings| in_php(&php, settings).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_in_rust_takes_what_the_ledger_sent_and_nothing_else() {
    let program = example("receiver");
    receives(async |settings| {
        let command = |_: &Path, _| Command::new(&program);
        Running::start("receiver.rs", snippet("rust"), command, settings).await
    })
    .await;
}

#[test]
fn the_receiver_in_rust_is_the_one_that_is_built() {
    assert_eq!(snippet("rust"), EXAMPLE);
}
