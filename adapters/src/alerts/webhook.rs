//! Alerts as JSON to an address: chat systems, alert managers, a script behind a web server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ports::{Alert, AlertChannel, AlertError, BoxError, HttpOut, OutRequest};

/// The whole exchange.
const DEADLINE: Duration = Duration::from_secs(10);
/// Nothing of the answer matters but its status.
const ANSWER_BYTES_MAX: usize = 1024;

/// Posts each alert to one address; a 2xx means that it was told.
pub struct WebhookAlerts {
    http: Arc<dyn HttpOut>,
    url: String,
}

impl WebhookAlerts {
    /// To this address.
    pub fn new(http: Arc<dyn HttpOut>, url: String) -> Self {
        Self { http, url }
    }
}

#[async_trait]
impl AlertChannel for WebhookAlerts {
    async fn tell(&self, alert: &Alert) -> Result<(), AlertError> {
        let failed = |cause: BoxError| AlertError {
            channel: "alerts.url",
            cause,
        };
        let request = OutRequest {
            method: "POST",
            url: self.url.clone(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: serde_json::to_vec(alert).map_err(|error| failed(error.into()))?,
            deadline: DEADLINE,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let answer = self.http.send(request).await;
        let answer = answer.map_err(|error| failed(error.into()))?;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        Err(failed(format!("it answered {}", answer.status).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::command::tests::alert;
    use crate::http_out::ScriptedHttp;

    #[tokio::test]
    async fn an_alert_is_told_when_the_address_says_so_and_only_then() {
        let answers = [200, 503, 302].map(|status| Ok(ScriptedHttp::json(status, "{}")));
        let http = Arc::new(ScriptedHttp::in_order(answers));
        let url = "https://alerts.example/hook".to_owned();
        let channel = WebhookAlerts::new(Arc::clone(&http) as Arc<dyn HttpOut>, url);
        channel.tell(&alert()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&http.seen()[0].body).unwrap();
        assert_eq!(
            (&body["alert"], &body["state"]),
            (&"subscriber_away".into(), &"raised".into())
        );
        for said in ["it answered 503", "it answered 302", "no connection"] {
            let error = channel.tell(&alert()).await.unwrap_err();
            assert_eq!(error.to_string(), format!("alerts.url: {said}"));
        }
    }
}
