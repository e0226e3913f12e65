//! `config check|show|apply`.

use serde_json::json;

use super::args::{Config, Global};
use super::out::{Failure, Out};
use super::serve::{of_start, settings};
use crate::admin::socket;
use crate::compose;

pub(super) async fn run(global: &Global, out: &Out, command: Config) -> Result<(), Failure> {
    let loaded = settings(global, out)?;
    match command {
        Config::Check => {
            let file = loaded.file.map_or_else(
                || "no file: defaults".to_owned(),
                |path| path.display().to_string(),
            );
            if out.json {
                out.line(&json!({ "file": file, "mistakes": [] }).to_string());
            } else {
                out.line(&format!("{file}: no mistakes"));
            }
        }
        Config::Show => {
            if out.json {
                let settings = serde_json::to_value(&loaded.settings)
                    .map_err(|e| Failure::failed(e.to_string()))?;
                let shown =
                    json!({ "settings": settings, "from_environment": loaded.from_environment });
                out.line(&shown.to_string());
            } else {
                let text = toml::to_string_pretty(&loaded.settings)
                    .map_err(|e| Failure::failed(e.to_string()))?;
                out.line(text.trim_end());
                for field in loaded.from_environment {
                    out.talk(&format!("# {field} comes from the environment"));
                }
            }
        }
        Config::Apply => {
            let context = socket::context(&global.operator, "cli config apply");
            if socket::path(&loaded.settings.store.data).exists()
                && tokio::net::UnixStream::connect(socket::path(&loaded.settings.store.data))
                    .await
                    .is_ok()
            {
                return Err(Failure::failed(
                    "a server runs with this data folder; it applies the file when it restarts",
                ));
            }
            compose::open(&loaded.settings, &context)
                .await
                .map_err(|error| of_start(&error))?;
            out.talk("applied");
        }
    }
    Ok(())
}
