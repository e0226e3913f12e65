//! The load: connections that send one request after the other and read just enough of each
//! answer. It is no HTTP client; it knows the answers of the two servers that are measured, and
//! costs little, because it shares their cores.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::ports::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::BenchError;
use super::timing::Measured;

/// Longer answers are none of the servers measured here.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Makes the bytes of a request from the number of its connection and its number there; nothing when
/// that connection has asked all that it should.
pub(super) type Requests = Arc<dyn Fn(usize, u64) -> Option<Vec<u8>> + Send + Sync>;

/// Sends requests over `connections` connections until the time is over. Any answer but a 2xx ends
/// the benchmark: a figure of refusals would be a lie.
pub(super) async fn pour(
    clock: &Arc<dyn Clock>,
    address: SocketAddr,
    connections: usize,
    time: Duration,
    requests: &Requests,
) -> Result<Measured, BenchError> {
    let mut open = vec![];
    for _ in 0..connections {
        open.push(
            Connection::open(address)
                .await
                .map_err(BenchError::at("connect"))?,
        );
    }
    let started = clock.monotonic();
    let mut tasks = tokio::task::JoinSet::new();
    for (number, connection) in open.into_iter().enumerate() {
        let (clock, requests) = (Arc::clone(clock), Arc::clone(requests));
        tasks.spawn(one_after_the_other(
            clock,
            connection,
            number,
            started + time,
            requests,
        ));
    }
    let mut all = Measured::default();
    while let Some(ended) = tasks.join_next().await {
        let times = ended
            .map_err(BenchError::at("load"))?
            .map_err(BenchError::at("load"))?;
        all.done += times.len() as u64;
        all.each.extend(times);
    }
    all.took = clock.monotonic().saturating_sub(started);
    Ok(all)
}

async fn one_after_the_other(
    clock: Arc<dyn Clock>,
    mut connection: Connection,
    number: usize,
    until: Duration,
    requests: Requests,
) -> std::io::Result<Vec<Duration>> {
    let mut times = vec![];
    for turn in 0.. {
        let Some(request) = requests(number, turn) else {
            break;
        };
        let began = clock.monotonic();
        if began >= until {
            break;
        }
        let status = connection.exchange(&request).await?;
        if !(200..300).contains(&status) {
            return Err(Error::other(format!("the server answered {status}")));
        }
        times.push(clock.monotonic().saturating_sub(began));
    }
    Ok(times)
}

/// The head and body of a `POST` over a connection that stays open.
pub(super) fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    post_as("application/json", path, headers, body)
}

/// The same with a form as its body.
pub(super) fn post_form(path: &str, form: &str) -> Vec<u8> {
    post_as("application/x-www-form-urlencoded", path, "", form)
}

fn post_as(media: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: {media}\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// One connection.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(8 * 1024),
        })
    }

    /// Sends a request and reads its whole answer; gives the status.
    async fn exchange(&mut self, request: &[u8]) -> std::io::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if let Some((status, length)) = answer(&self.buffer)? {
                if self.buffer.len() == length {
                    return Ok(status);
                }
                if self.buffer.len() > length {
                    return Err(Error::other("more came than one answer"));
                }
            }
            if self.buffer.len() > ANSWER_BYTES_MAX {
                return Err(Error::other("the answer is too long"));
            }
        }
    }
}

/// Status and whole length of an answer, once its head is there.
pub(super) fn answer(bytes: &[u8]) -> std::io::Result<Option<(u16, usize)>> {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let unreadable = || {
        Error::new(
            ErrorKind::InvalidData,
            "the head of an answer cannot be read",
        )
    };
    let text = std::str::from_utf8(&bytes[..head]).map_err(|_| unreadable())?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            value.trim().parse::<usize>().ok()
        } else {
            None
        }
    });
    let (status, length) = status.zip(length).ok_or_else(unreadable)?;
    Ok(Some((status, head + 4 + length)))
}
