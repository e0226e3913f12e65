//! The socket `admin.sock` in the data folder: one line of JSON in, one line out. Who may open the
//! file may administer; it is its owner's alone.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::actor::Actor;
use domain::ids::OperatorId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::{AdminCommand, AdminError, execute};
use crate::app::App;
use crate::app::context::Context;
use crate::work::supervise::Stop;

const LINE_BYTES_MAX: u64 = 256 * 1024;
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
struct Request {
    operator: OperatorId,
    #[serde(flatten)]
    command: AdminCommand,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Value),
    Refused(String),
}

/// Where the socket stands.
pub fn path(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// The circumstances of a command at the terminal.
pub fn context(operator: &OperatorId, entry: &str) -> Context {
    Context::of(
        Actor::Operator {
            id: operator.clone(),
            auth: "cli".to_owned(),
        },
        entry,
    )
}

/// Serves commands until it is asked to stop.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(app: Arc<App>, data: PathBuf, mut stop: Stop) -> std::io::Result<()> {
    let path = path(&data);
    // The event store's lock says that nobody else serves this folder: what is here is left over.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    loop {
        tokio::select! {
            biased;
            () = stop.wait() => {
                let _ = std::fs::remove_file(&path);
                return Ok(());
            }
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let app = Arc::clone(&app);
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(DEADLINE, answer(&app, stream)).await;
                });
            }
        }
    }
}

async fn answer(app: &App, mut stream: UnixStream) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    BufReader::new(read)
        .take(LINE_BYTES_MAX)
        .read_line(&mut line)
        .await?;
    let answer = match serde_json::from_str::<Request>(&line) {
        Ok(request) => {
            let context = context(&request.operator, "cli");
            match execute(app, &context, request.command).await {
                Ok(done) => Answer::Done(done),
                Err(error) => Answer::Refused(error.0),
            }
        }
        Err(_) => Answer::Refused(
            "the command cannot be read; client and server differ in version".to_owned(),
        ),
    };
    let mut text = serde_json::to_string(&answer).unwrap_or_default();
    text.push('\n');
    write.write_all(text.as_bytes()).await
}

/// Sends a command to a running server; `None` when there is none.
///
/// # Errors
/// [`AdminError`].
pub async fn call(
    data: &Path,
    operator: &OperatorId,
    command: AdminCommand,
) -> Option<Result<Value, AdminError>> {
    let mut stream = UnixStream::connect(path(data)).await.ok()?;
    let exchange = async {
        let request = Request {
            operator: operator.clone(),
            command,
        };
        let mut text = serde_json::to_string(&request).map_err(std::io::Error::other)?;
        text.push('\n');
        stream.write_all(text.as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(&mut stream).read_line(&mut line).await?;
        serde_json::from_str::<Answer>(&line).map_err(std::io::Error::other)
    };
    Some(match tokio::time::timeout(DEADLINE, exchange).await {
        Ok(Ok(Answer::Done(value))) => Ok(value),
        Ok(Ok(Answer::Refused(why))) => Err(AdminError(why)),
        Ok(Err(error)) => Err(AdminError(format!("the server broke off: {error}"))),
        Err(_) => Err(AdminError("the server did not answer in time".to_owned())),
    })
}
