//! `demo`: tells the story line by line, or as one JSON object per line.

use serde_json::json;

use super::out::{Failure, Out};
use crate::demo::{Promise, Teller, play};

struct Voice<'a>(&'a Out);

impl Teller for Voice<'_> {
    fn chapter(&self, title: &str) {
        if self.0.json {
            self.0.line(&json!({ "chapter": title }).to_string());
        } else {
            self.0.line(&format!("\n{title}"));
        }
    }

    fn line(&self, who: &str, what: &str) {
        if self.0.json {
            self.0
                .line(&json!({ "who": who, "what": what }).to_string());
        } else {
            self.0.line(&format!("  {who:12} {what}"));
        }
    }

    fn promise(&self, promise: &Promise) {
        if self.0.json {
            self.0
                .line(&json!({ "promise": promise.promise, "held": promise.held }).to_string());
        } else {
            let mark = if promise.held { "held  " } else { "BROKEN" };
            self.0.line(&format!("  {mark}       {}", promise.promise));
        }
    }
}

pub(super) async fn run(out: &Out) -> Result<(), Failure> {
    let log = crate::config::settings::Log {
        filter: "off".to_owned(),
        ..Default::default()
    };
    crate::telemetry::start_logging(&log);
    let report = play(&Voice(out))
        .await
        .map_err(|error| Failure::failed(error.what))?;
    let held = report
        .promises
        .iter()
        .filter(|promise| promise.held)
        .count();
    if out.json {
        out.line(
            &json!({ "promises": report.promises.len(), "held": held, "took_ms": report.took_ms })
                .to_string(),
        );
    } else {
        out.line(&format!(
            "\n{held} of {} promises held, in {} ms",
            report.promises.len(),
            report.took_ms
        ));
    }
    if report.all_held() {
        Ok(())
    } else {
        Err(Failure::failed("a promise did not hold"))
    }
}
