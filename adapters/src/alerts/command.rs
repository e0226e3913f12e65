//! Alerts to a command of this machine: mail, a pager, anything with a program.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use domain::ports::{Alert, AlertChannel, AlertError, BoxError};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A command that takes longer is ended.
const DEADLINE: Duration = Duration::from_secs(30);
/// So much of what a failing command says is passed on.
const SAID_CHARS_MAX: usize = 300;

/// Starts a program for each alert and gives it the alert as one line of JSON on its standard input.
/// Status 0 means that it was told. There is no shell in between.
pub struct CommandAlerts {
    program: String,
    arguments: Vec<String>,
    deadline: Duration,
}

impl CommandAlerts {
    /// This program with these arguments.
    pub fn new(program: String, arguments: Vec<String>) -> Self {
        Self {
            program,
            arguments,
            deadline: DEADLINE,
        }
    }

    async fn run(&self, line: &[u8]) -> Result<(), BoxError> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", self.program))?;
        if let Some(mut input) = child.stdin.take() {
            // A command that does not read its input may have ended already; its status tells.
            let _ = input.write_all(line).await;
        }
        let output = child.wait_with_output().await?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(SAID_CHARS_MAX).collect();
        Err(format!("it ended with {}: {said}", output.status).into())
    }
}

#[async_trait]
impl AlertChannel for CommandAlerts {
    async fn tell(&self, alert: &Alert) -> Result<(), AlertError> {
        let failed = |cause: BoxError| AlertError {
            channel: "alerts.command",
            cause,
        };
        let mut line = serde_json::to_vec(alert).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        match tokio::time::timeout(self.deadline, self.run(&line)).await {
            Ok(told) => told.map_err(failed),
            Err(_) => Err(failed(
                format!("it took longer than {:?} and was ended", self.deadline).into(),
            )),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use domain::ports::{AlertKind, AlertState};
    use domain::time::Timestamp;

    use super::*;

    pub(in crate::alerts) fn alert() -> Alert {
        Alert {
            alert: AlertKind::SubscriberAway,
            state: AlertState::Raised,
            subject: "crm".to_owned(),
            merchant: None,
            text: "crm does not answer".to_owned(),
            to_do: "counterfoil subscribers show crm".to_owned(),
            since: Timestamp::from_seconds(1),
            at: Timestamp::from_seconds(2),
            ledger: "localhost/test/1".to_owned(),
            node: "node-1".to_owned(),
        }
    }

    fn shell(script: &str) -> CommandAlerts {
        CommandAlerts::new("sh".to_owned(), vec!["-c".to_owned(), script.to_owned()])
    }

    #[tokio::test]
    async fn a_command_gets_the_alert_on_its_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let script = format!("cat > {}", file.display());
        shell(&script).tell(&alert()).await.unwrap();
        let told: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(told, serde_json::to_value(alert()).unwrap());
    }

    #[tokio::test]
    async fn a_command_that_fails_has_told_nobody_and_its_words_are_passed_on() {
        let off = shell("echo the pager is off >&2; exit 3");
        let text = off.tell(&alert()).await.unwrap_err().to_string();
        assert!(text.contains("exit status: 3: the pager is off"), "{text}");
        let missing = CommandAlerts::new("/nonexistent/pager".to_owned(), vec![]);
        let text = missing.tell(&alert()).await.unwrap_err().to_string();
        assert!(text.contains("/nonexistent/pager does not start"), "{text}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended() {
        let slow = CommandAlerts {
            deadline: Duration::from_millis(50),
            ..shell("sleep 600")
        };
        let text = slow.tell(&alert()).await.unwrap_err().to_string();
        assert!(text.contains("longer than 50ms"), "{text}");
    }

    #[tokio::test]
    async fn a_command_that_reads_nothing_is_no_failure() {
        shell("exit 0").tell(&alert()).await.unwrap();
    }
}
