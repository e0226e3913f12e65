//! A provider on this machine that registers every order, gives back what it is asked for, once per
//! refund id, and has no news when it is asked, unless a test told it what to say: what becomes of a payment is told by the notifications that the test
//! signs itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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
    books: Arc<Mutex<Books>>,
    accepting: Option<JoinHandle<()>>,
}

/// What it says when it is asked, by the order's name: `qo_` and our reference, or our reference.
#[derive(Debug, Default)]
struct Books {
    away: bool,
    unknown: BTreeSet<String>,
    statements: BTreeMap<String, Vec<Value>>,
    asked: BTreeMap<String, usize>,
    ended: BTreeMap<String, usize>,
    once_ended: BTreeMap<String, Value>,
    /// Transaction and minor units by refund id.
    refunds: BTreeMap<String, (String, i64)>,
}

impl QuietProvider {
    /// Starts one.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stopped, books) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (until, of_all) = (Arc::clone(&stopped), Arc::clone(&books));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if until.load(Ordering::SeqCst) {
                    return;
                }
                let books = Arc::clone(&of_all);
                // A caller that was killed in the middle is no matter of this provider.
                std::thread::spawn(move || stream.and_then(|stream| answer(&stream, &books)));
            }
        });
        Self {
            address,
            stopped,
            books,
            accepting: Some(accepting),
        }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it says of an order whenever it is asked, from here on.
    pub fn says(&self, our_reference: &str, statement: &Value) {
        self.says_all(our_reference, std::slice::from_ref(statement));
    }

    /// The same, of several payments for one order.
    pub fn says_all(&self, our_reference: &str, statements: &[Value]) {
        let mut books = self.books.lock().unwrap();
        books
            .statements
            .insert(our_reference.to_owned(), statements.to_vec());
    }

    /// It has never heard of an order of this name: its own, or ours.
    pub fn does_not_know(&self, order: &str) {
        let mut books = self.books.lock().unwrap();
        books.unknown.insert(order.to_owned());
    }

    /// It answers 503 to every question and every refund, or no longer.
    pub fn is_away(&self, away: bool) {
        self.books.lock().unwrap().away = away;
    }

    /// What it says of an order as soon as it was asked to end its session.
    pub fn says_once_ended(&self, our_reference: &str, statement: &Value) {
        let mut books = self.books.lock().unwrap();
        let statement = statement.clone();
        books.once_ended.insert(our_reference.to_owned(), statement);
    }

    /// How often it was asked to end the session of an order.
    pub fn ended(&self, our_reference: &str) -> usize {
        let books = self.books.lock().unwrap();
        books.ended.get(our_reference).copied().unwrap_or(0)
    }

    /// Minor units that went back, by transaction.
    pub fn given_back(&self) -> BTreeMap<String, Vec<i64>> {
        let mut given: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (transaction, minor) in self.books.lock().unwrap().refunds.values() {
            given.entry(transaction.clone()).or_default().push(*minor);
        }
        given
    }

    /// How often it was asked about an order.
    pub fn asked(&self, our_reference: &str) -> usize {
        let books = self.books.lock().unwrap();
        books.asked.get(our_reference).copied().unwrap_or(0)
    }
}

impl Books {
    fn end(&mut self, our_reference: &str) {
        let name = our_reference.to_owned();
        *self.ended.entry(name.clone()).or_default() += 1;
        if let Some(statement) = self.once_ended.remove(our_reference) {
            self.statements.insert(name, vec![statement]);
        }
    }

    fn look_up(&mut self, order: &str) -> (&'static str, Value) {
        let our_reference = order.strip_prefix("qo_").unwrap_or(order);
        *self.asked.entry(our_reference.to_owned()).or_default() += 1;
        if self.away {
            return ("503 Service Unavailable", json!({}));
        }
        if self.unknown.contains(order) {
            return ("404 Not Found", json!({}));
        }
        let statements = self.statements.get(our_reference);
        let statements = statements.cloned().unwrap_or_default();
        ("200 OK", json!({ "statements": statements }))
    }
}

/// Gives money back: once, however often the same id is sent.
fn refund(books: &Mutex<Books>, order: &Value) -> (&'static str, Value) {
    let text = |name: &str| order[name].as_str().unwrap_or_default().to_owned();
    let id = text("refund");
    let wanted = (text("transaction"), text("amount").parse().unwrap_or(0));
    let mut books = books.lock().unwrap();
    if books.away {
        return ("503 Service Unavailable", json!({}));
    }
    books.refunds.entry(id.clone()).or_insert(wanted);
    ("201 Created", refund_told(&books, &id))
}

fn refund_told(books: &Books, id: &str) -> Value {
    let (transaction, minor) = &books.refunds[id];
    let statement = json!({
        "status": "refunded", "transaction": transaction, "refunded": minor.to_string(), "currency": "AMD",
        "reversal": id, "mode": "test", "occurred_at": jiff::Timestamp::now().to_string(),
    });
    json!({ "refund": id, "statements": [statement] })
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

fn answer(mut stream: &TcpStream, books: &Mutex<Books>) -> std::io::Result<()> {
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
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, answer) = if first.starts_with("POST /orders ") {
        let order: Value = serde_json::from_slice(&body)?;
        let reference = order["our_reference"].as_str().unwrap_or_default();
        let answer = json!({
            "order": format!("qo_{reference}"),
            "pay_url": format!("http://pay.example/{reference}"),
        });
        ("201 Created", answer)
    } else if let (true, Some(order)) = (first.starts_with("GET "), path.strip_prefix("/orders/")) {
        books.lock().unwrap().look_up(order)
    } else if first.starts_with("POST /refunds ") {
        refund(books, &serde_json::from_slice(&body)?)
    } else if let (true, Some(id)) = (first.starts_with("GET "), path.strip_prefix("/refunds/")) {
        let books = books.lock().unwrap();
        match (books.away, books.refunds.contains_key(id)) {
            (true, _) => ("503 Service Unavailable", json!({})),
            (false, true) => ("200 OK", refund_told(&books, id)),
            (false, false) => ("404 Not Found", json!({})),
        }
    } else {
        let order = path.strip_prefix("/orders/");
        if let Some(order) = order.and_then(|order| order.strip_suffix("/cancel")) {
            books.lock().unwrap().end(order);
        }
        ("200 OK", json!({}))
    };
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all([head, answer].concat().as_bytes())
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
