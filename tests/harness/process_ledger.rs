//! A ledger on this machine that runs as a process of its own: its folder is set up with the command
//! line, as an administrator would, and its provider is a quiet one.
//!
//! For tests that end the process, or that want the real program; [`crate::node`] is quicker.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::{Program, Serving};
use crate::plain_http;
use crate::quiet_provider::{API_KEY, QuietProvider, SECRET};

/// A start takes no longer than this unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of one ledger, set up by its own command line.
pub struct ProcessLedger {
    folder: tempfile::TempDir,
    /// The command line with its configuration.
    pub program: Program,
    /// Where it listens, as a URL.
    pub base: String,
    /// Token of the client `backend`.
    pub token: String,
}

impl ProcessLedger {
    /// Makes folder, keys, secrets and a client; starts nothing.
    pub fn set_up(provider: &QuietProvider) -> Self {
        Self::set_up_saying(provider, "warn")
    }

    /// As [`ProcessLedger::set_up`], with a log of this filter.
    pub fn set_up_saying(provider: &QuietProvider, filter: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Nobody else takes the port between now and the start, in all likelihood.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let config = folder.path().join("counterfoil.toml");
        std::fs::write(
            &config,
            settings(folder.path(), &address.to_string(), &provider.url(), filter),
        )
        .unwrap();
        let program = Program::with(&config);
        program.run(&["init"]);
        for (purpose, key_id, value) in [
            ("provider-inbound:sim-main", "in-1", SECRET),
            ("provider-api:sim-main", "api-1", API_KEY),
        ] {
            let file = folder.path().join("secret.txt");
            std::fs::write(&file, value).unwrap();
            let from_file = file.to_str().unwrap();
            program.run(&[
                "secrets",
                "set",
                purpose,
                "--merchant",
                "shop",
                "--key-id",
                key_id,
                "--from-file",
                from_file,
            ]);
        }
        let token = create_client(&program, "backend");
        Self {
            folder,
            program,
            base: format!("http://{address}"),
            token,
        }
    }

    /// The provider is elsewhere from the next start on.
    pub fn move_provider(&self, from: &str, to: &str) {
        let file = self.folder.path().join("counterfoil.toml");
        let known = std::fs::read_to_string(&file).unwrap();
        assert!(known.contains(from), "{known}");
        std::fs::write(&file, known.replace(from, to)).unwrap();
    }

    /// The token of one more client, named by its role.
    pub fn create_client(&self, role: &str) -> String {
        create_client(&self.program, role)
    }

    /// A person who signs in with this password.
    pub fn create_person(&self, id: &str, role: &str, password: &str) {
        let create = [
            "operators",
            "create",
            id,
            "--merchant",
            "shop",
            "--role",
            role,
        ];
        self.program.run(&create);
        let file = self.folder.path().join("password.txt");
        std::fs::write(&file, password).unwrap();
        let from = file.to_str().unwrap();
        let give = ["operators", "password", id, "--password-file", from];
        self.program.run(&give);
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What its server writes to standard output and standard error.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("serve.log")
    }

    /// Starts the server.
    pub fn start(&self) -> Serving {
        self.program.serve(&self.log_file())
    }

    /// Waits until it answers.
    pub async fn is_up(&self, serving: &mut Serving, http: &reqwest::Client) {
        let began = Instant::now();
        let url = format!("{}/health/live", self.base);
        while !http
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            assert!(
                serving.runs() && began.elapsed() < PATIENCE,
                "it does not start: {}",
                self.said()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The end of its log.
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

fn create_client(program: &Program, role: &str) -> String {
    let shown = program.run(&[
        "clients",
        "create",
        role,
        "--merchant",
        "shop",
        "--role",
        role,
        "--scenario",
        "web",
        "--json",
    ]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["token"].as_str().unwrap().to_owned()
}

fn settings(folder: &Path, listen: &str, provider: &str, filter: &str) -> String {
    let folder = folder.display();
    format!(
        r#"
[server]
listen = "{listen}"
shutdown_timeout_s = 5
[store]
data = "{folder}/data"
kek_file = "{folder}/kek"
[ledger]
origin = "ledger.example/test/1"
[limits]
client_requests_per_s = 100000
address_requests_per_s = 100000
[log]
filter = "{filter}"
[delivery]
allow_networks = ["127.0.0.0/8"]
danger_allow_http = true
[connections.sim-main]
url = "{provider}"
calls_per_min = 60000
allow_networks = ["127.0.0.0/8"]
danger_allow_http = true
[[merchants]]
merchant = "shop"
[[merchants.accounts]]
account = "sim-main"
provider = "sim"
minimum = "signed"
look_up = true
mode = "test"
payee = "acc-1"
[[merchants.scenarios]]
id = "web"
currencies = ["AMD"]
amount_minor_min = "10000"
amount_minor_max = "500000000"
life_s_max = 86400
accounts = ["sim-main"]
"#
    )
}

/// A client for plain HTTP.
pub fn plain_http() -> reqwest::Client {
    plain_http::client()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}
