//! A subscriber's endpoint on this machine, which answers as it is told and remembers every request.
//!
//! It speaks plain HTTP/1.1 over a socket of its own, so that it can also do what no server library
//! would: answer half a body, send one byte after another, or never answer.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a receiver does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// This status, with an empty JSON object.
    Status(u16),
    /// This status, with a body.
    Body(u16, String),
    /// This status, with one more header.
    Header(u16, &'static str, String),
    /// A 200 that promises a body of 1,000 bytes and sends one byte each so often.
    Drip(Duration),
    /// Reads the request and never answers.
    Silence,
    /// Reads the request and closes the connection.
    Close,
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The path.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Checks it as a subscriber would, with a library that is not ours.
    pub fn is_authentic(&self, secret: &str) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let library = Webhook::new(secret).unwrap();
        library.verify(&self.body, &headers).is_ok()
    }
}

#[derive(Debug)]
struct State {
    seen: Vec<Received>,
    plan: VecDeque<Reply>,
    afterwards: Reply,
}

/// Listens until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Receiver {
    /// Answers every request with 200.
    pub async fn start() -> Self {
        Self::answering([], Reply::Status(200)).await
    }

    /// Answers in order, and every later request with `afterwards`.
    pub async fn answering(plan: impl IntoIterator<Item = Reply>, afterwards: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            seen: vec![],
            plan: plan.into_iter().collect(),
            afterwards,
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            state,
            accepting,
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What came so far.
    pub fn seen(&self) -> Vec<Received> {
        self.state.lock().unwrap().seen.clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.state.lock().unwrap().seen.len()
    }

    /// From now on every request that nothing else is planned for is answered like this.
    pub fn answers(&self, afterwards: Reply) {
        self.state.lock().unwrap().afterwards = afterwards;
    }
}

async fn serve(mut connection: TcpStream, state: Arc<Mutex<State>>) {
    while let Some(received) = read(&mut connection).await {
        let reply = {
            let mut state = state.lock().unwrap();
            state.seen.push(received);
            let planned = state.plan.pop_front();
            planned.unwrap_or_else(|| state.afterwards.clone())
        };
        if answer(&mut connection, reply).await.is_none() {
            return;
        }
    }
}

async fn read(connection: &mut TcpStream) -> Option<Received> {
    let mut bytes = vec![];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        let mut chunk = [0; 4096];
        let read = connection
            .read(&mut chunk)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: BTreeMap<String, String> = lines.filter_map(header).collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length {
        let mut chunk = [0; 4096];
        let read = connection
            .read(&mut chunk)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        body.extend_from_slice(&chunk[..read]);
    }
    Some(Received {
        path,
        headers,
        body,
    })
}

/// `None` when the connection is over.
async fn answer(connection: &mut TcpStream, reply: Reply) -> Option<()> {
    let plain = |status: u16, header: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} x\r\n{header}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let text = match reply {
        Reply::Status(status) => plain(status, "content-type: application/json\r\n", "{}"),
        Reply::Body(status, body) => plain(status, "content-type: application/json\r\n", &body),
        Reply::Header(status, name, value) => plain(status, &format!("{name}: {value}\r\n"), ""),
        Reply::Drip(pause) => {
            let head = b"HTTP/1.1 200 x\r\ncontent-length: 1000\r\n\r\n";
            connection.write_all(head).await.ok()?;
            for _ in 0..1000 {
                tokio::time::sleep(pause).await;
                connection.write_all(b"x").await.ok()?;
            }
            return Some(());
        }
        Reply::Silence => {
            // Ends when the other side gives up.
            while connection.read(&mut [0; 64]).await.ok()? > 0 {}
            return None;
        }
        Reply::Close => return None,
    };
    connection.write_all(text.as_bytes()).await.ok()
}
