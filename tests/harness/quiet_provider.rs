//! A provider on this machine that registers every order and never has news when it is asked:
//! what becomes of a payment is told by the notifications that the test signs itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use adapters::providers::signature::standard_webhooks;
use serde_json::{Value, json};

/// The secret that notifications of [`signed`] are signed with, as the ledger must be given it.
pub const SECRET: &str = "whsec_a2VlcCBpdCBzZWNyZXQsIGtlZXAgaXQgc2FmZSE=";
/// What the ledger shows the provider when it calls; this provider does not look.
pub const API_KEY: &str = "a-key-that-nobody-checks";

/// A provider that runs until it is dropped.
#[derive(Debug)]
pub struct QuietProvider {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl QuietProvider {
    /// Starts one.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stopped);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if until.load(Ordering::SeqCst) {
                    return;
                }
                // A caller that was killed in the middle is no matter of this provider.
                std::thread::spawn(move || stream.and_then(answer));
            }
        });
        Self {
            address,
            stopped,
            accepting: Some(accepting),
        }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for QuietProvider {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, so that it sees that it shall stop.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, answer) = if first.starts_with("POST /orders ") {
        let order: Value = serde_json::from_slice(&body)?;
        let reference = order["our_reference"].as_str().unwrap_or_default();
        let session_s =
            i64::from(u32::try_from(order["session_s"].as_u64().unwrap_or(600)).unwrap_or(600));
        let end =
            jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + session_s).unwrap();
        let answer = json!({
            "order": format!("qo_{reference}"),
            "pay_url": format!("http://pay.example/{reference}"),
            "session_expires_at": end.to_string(),
        });
        ("201 Created", answer)
    } else {
        ("200 OK", json!({ "statements": [] }))
    };
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    (&stream).write_all([head, answer].concat().as_bytes())
}

/// A notification, ready to be sent any number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`, in seconds.
    pub seconds: i64,
    /// `webhook-signature`.
    pub signature: String,
    /// The raw body.
    pub body: String,
}

/// Signs a message of this provider, as if at `seconds`.
pub fn signed(id: &str, seconds: i64, body: &Value) -> Notification {
    signed_with(SECRET, id, seconds, body)
}

/// Signs with another secret.
pub fn signed_with(secret: &str, id: &str, seconds: i64, body: &Value) -> Notification {
    let body = body.to_string();
    let key = standard_webhooks::key(secret.as_bytes()).expect("a secret of the scheme");
    let signature = standard_webhooks::sign(&key, id, seconds, body.as_bytes());
    Notification {
        id: id.to_owned(),
        seconds,
        signature,
        body,
    }
}

impl Notification {
    /// As a request to the ledger's callback.
    pub fn request(&self, http: &reqwest::Client, url: &str) -> reqwest::RequestBuilder {
        http.post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", self.seconds.to_string())
            .header("webhook-signature", &self.signature)
            .body(self.body.clone())
    }
}

/// The message that money was taken, or something else, for one attempt.
pub fn message(status: &str, our_reference: &str, payee: &str, minor: i64) -> Value {
    json!({
        "status": status,
        "order": format!("qo_{our_reference}"),
        "our_reference": our_reference,
        "transaction": format!("qt_{our_reference}"),
        "amount": minor.to_string(),
        "currency": "AMD",
        "payee": payee,
        "mode": "test",
        "occurred_at": jiff::Timestamp::now().to_string(),
    })
}

/// Now, as notifications write it.
pub fn seconds_now() -> i64 {
    jiff::Timestamp::now().as_second()
}
