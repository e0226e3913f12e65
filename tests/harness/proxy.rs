//! An HTTP proxy on this machine that opens tunnels (`CONNECT`) and remembers where to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Listens until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// Opens every tunnel that it is asked for.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(vec![]));
        let noted = Arc::clone(&asked);
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(tunnel(connection, Arc::clone(&noted)));
            }
        });
        Self {
            address,
            asked,
            accepting,
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where tunnels went so far, as it was told: `10.0.0.1:443`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// `None` when either side is gone.
async fn tunnel(mut connection: TcpStream, noted: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let to = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    noted.lock().unwrap().push(to.clone());
    let mut there = TcpStream::connect(to).await.ok()?;
    connection
        .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
        .await
        .ok()?;
    let _ = copy_bidirectional(&mut connection, &mut there).await;
    Some(())
}
