//! A receiver of events. Crates: actix-web, base64, hmac, serde_json, sha2.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::web::{Bytes, Data, PayloadConfig, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Seconds that a request may be old, or ahead of this clock.
const TOLERANCE: u64 = 300;

struct Receiver {
    key: Vec<u8>,
    inbox: PathBuf,
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    let setting = |name: &str| std::env::var(name).map_err(io::Error::other);
    let secret = setting("WEBHOOK_SECRET")?;
    let key = STANDARD.decode(secret.trim_start_matches("whsec_"));
    let receiver = Data::new(Receiver {
        key: key.map_err(io::Error::other)?,
        inbox: setting("INBOX")?.into(),
    });
    let port = setting("PORT")?.parse().map_err(io::Error::other)?;
    let app = move || {
        App::new()
            .app_data(receiver.clone())
            .app_data(PayloadConfig::new(64 * 1024))
            .route("/hook", post().to(receive))
    };
    HttpServer::new(app).bind(("127.0.0.1", port))?.run().await
}

async fn receive(request: HttpRequest, body: Bytes, receiver: Data<Receiver>) -> HttpResponse {
    if genuine(&request, &body, &receiver.key).is_none() {
        return HttpResponse::Unauthorized().finish();
    }
    let Some(id) = event_id(&body) else {
        return HttpResponse::BadRequest().finish();
    };
    match keep(&receiver.inbox, &id, &body) {
        Ok(()) => HttpResponse::NoContent().finish(),
        // It comes again.
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// Looks at the raw body before anything is read from it. One signature that holds is enough: while
/// a secret is exchanged there are two.
fn genuine(request: &HttpRequest, body: &[u8], key: &[u8]) -> Option<()> {
    let header = |name| request.headers().get(name)?.to_str().ok();
    let (id, time) = (header("webhook-id")?, header("webhook-timestamp")?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    if now.abs_diff(time.parse().ok()?) > TOLERANCE {
        return None;
    }
    let holds = |one: &str| {
        let signature = STANDARD.decode(one.strip_prefix("v1,")?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(format!("{id}.{time}.").as_bytes());
        mac.update(body);
        // Takes the same time wherever they differ.
        mac.verify_slice(&signature).ok()
    };
    header("webhook-signature")?.split(' ').find_map(holds)
}

fn event_id(body: &[u8]) -> Option<String> {
    let event: serde_json::Value = serde_json::from_slice(body).ok()?;
    let id = event["id"].as_str()?;
    // It becomes the name of a file.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!id.is_empty() && id.chars().all(plain)).then(|| id.to_owned())
}

/// Keeps an event whole and on the disk, once. A repeat is no error.
fn keep(inbox: &Path, id: &str, body: &[u8]) -> io::Result<()> {
    let part = inbox.join(format!(".{id}-{:?}", std::thread::current().id()));
    let mut file = File::create(&part)?;
    file.write_all(body)?;
    file.sync_all()?;
    let linked = fs::hard_link(&part, inbox.join(format!("{id}.json")));
    fs::remove_file(&part)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(inbox)?.sync_all(),
    }
}
