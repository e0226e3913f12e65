//! The binary as a person or a script meets it: exit codes, what goes to standard output, and what
//! never goes anywhere. Each test has a folder of its own and no server.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// What a call left behind.
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A folder with the example configuration, in which the binary is called.
struct Place(TempDir);

impl Place {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn initialised() -> Self {
        let place = Self::empty();
        fs::copy(
            super::pages::root().join("counterfoil.example.toml"),
            place.path().join("counterfoil.toml"),
        )
        .unwrap();
        place.done("init");
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Calls the binary with words parted by spaces.
    fn call(&self, words: &str) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
        command
            .args(words.split_whitespace())
            .current_dir(self.path());
        // What the caller's shell says about another instance must not reach this one.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COUNTERFOIL_")) {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        Done {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Calls it, expects success, and gives its standard output.
    fn done(&self, words: &str) -> String {
        let done = self.call(words);
        assert_eq!(done.code, Some(0), "{words}: {}{}", done.out, done.err);
        done.out
    }

    fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.done(words)).unwrap()
    }
}

#[test]
fn every_command_helps_and_exits_0() {
    let place = Place::empty();
    let leaves = api::cli::reference::leaves();
    assert!(leaves.len() > 10, "{leaves:?}");
    for words in leaves {
        let words = words.join(" ");
        let help = place.done(&format!("{words} --help"));
        assert!(
            help.contains(&format!("Usage: counterfoil {words}")),
            "{words}: {help}"
        );
    }
    assert!(place.done("--version").starts_with("counterfoil "));
}

#[test]
fn what_is_no_command_exits_2_and_prints_no_data() {
    let place = Place::empty();
    for words in [
        "pay",
        "clients pay",
        "serve --fast",
        "clients create",
        "events replay --until-version 3",
        "",
    ] {
        let done = place.call(words);
        assert_eq!(done.code, Some(2), "{words:?}");
        assert_eq!(done.out, "", "{words:?}");
        assert!(
            done.err.contains("Usage: counterfoil"),
            "{words:?}: {}",
            done.err
        );
    }
}

#[test]
fn config_check_lists_every_mistake_of_a_broken_file() {
    let place = Place::empty();
    let broken =
        "[server]\nlisten = \"0.0.0.0:80\"\nworkers = 1000\n[ledger]\norigin = \"A\"\n[storage]\n";
    place.write("counterfoil.toml", broken);
    let done = place.call("config check");
    assert_eq!(done.code, Some(2));
    let places: Vec<_> = done
        .out
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "storage",
            "server.listen",
            "server.workers",
            "ledger.origin"
        ],
        "{}",
        done.out
    );
    assert!(done.err.contains("4 mistakes"), "{}", done.err);

    place.write("counterfoil.toml", "[server]\nworkers = 1\n");
    assert!(place.done("config check").contains("no mistakes"));
}

#[test]
fn no_mistake_of_a_section_hides_another() {
    let place = Place::empty();
    let broken = r#"
[server]
listen = "0.0.0.0:80"
workrs = 3
shutdown_timeout_s = "long"
[ledger]
mode = "prod"
origin = "A"
[log]
filter = "a=b=c"
[connections.bank]
urll = "x"
allow_networks = ["10.0.0.0/99"]
[connections.bank.profile]
methods = []
signature_header = "X-Sig"
algorithm = "sha256"
signature_encoding = "hex"
key_encoding = "utf8"
signed_content = "{body}"
amount_unit = "minor"
fields = { status = "/s", our_reference = "/r", transaction = "/t", amount = "/a", currency = "/c" }
statuses = { captured = ["paid"] }
[[merchants]]
merchant = "Shop One"
[[merchants.accounts]]
account = "bank"
provider = "generic"
minimum = "sure"
mode = "test"
payee = 7
[[merchants.scenarios]]
id = "web"
currencies = ["AMX"]
partial = "maybe"
[[merchants.scenarios]]
id = "web-two"
"#;
    place.write("counterfoil.toml", broken);
    let done = place.call("config check --json");
    assert_eq!(done.code, Some(2));
    let told: Value = serde_json::from_str(&done.out).unwrap();
    let places: std::collections::BTreeSet<_> = told["mistakes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mistake| mistake["place"].as_str().unwrap())
        .collect();
    let expected = [
        "connections.bank",
        "connections.bank.profile",
        "connections.bank.urll",
        "ledger.mode",
        "ledger.origin",
        "log.filter",
        "merchant Shop One, account bank.minimum",
        "merchant Shop One, account bank.payee",
        "merchant Shop One, scenario web.currencies",
        "merchant Shop One, scenario web.partial",
        "merchant Shop One, scenario web-two",
        "merchant Shop One.merchant",
        "server.listen",
        "server.shutdown_timeout_s",
        "server.workrs",
    ];
    assert_eq!(places, expected.into(), "{}", done.out);
    assert!(done.out.contains("methods names none") && done.out.contains("lower case"));
}

#[test]
fn a_file_that_is_no_toml_is_told_by_its_line() {
    let place = Place::empty();
    place.write("counterfoil.toml", "[server]\nworkers = 1\nlisten = \n");
    let done = place.call("serve");
    assert_eq!(done.code, Some(2));
    assert!(done.out.starts_with("line 3: "), "{}", done.out);
}

#[test]
fn a_mistake_in_the_environment_is_told_as_one() {
    let place = Place::empty();
    place.write("counterfoil.toml", "[server]\nworkers = 1\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    command.args(["config", "check"]).current_dir(place.path());
    command.env("COUNTERFOIL_SERVER__WORKERS", "many");
    let output = command.output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        out.starts_with("server.workers: ") && out.contains("(from the environment)"),
        "{out}"
    );
}

#[test]
fn a_secret_for_a_name_that_is_not_configured_is_refused_and_the_known_ones_are_named() {
    let place = Place::initialised();
    place.write("secret.txt", "0123456789abcdef0123456789abcdef");
    for (words, told) in [
        (
            "secrets set provider-inbound:sim-mian --merchant shop --key-id k --from-file secret.txt",
            "merchant shop has no account sim-mian in the configuration; known: sim-main",
        ),
        (
            "secrets set provider-inbound:sim-main --merchant shep --key-id k --from-file secret.txt",
            "there is no merchant shep in the configuration; known: shop",
        ),
        (
            "deliveries list --merchant shep",
            "there is no merchant shep in the configuration; known: shop",
        ),
        (
            "deliveries list --merchant shop --state lost",
            "[possible values: due, held, delivered, dead_lettered, quarantined, abandoned, acknowledged, subscriber_removed]",
        ),
        (
            "secrets list --merchant shep",
            "there is no merchant shep in the configuration; known: shop",
        ),
    ] {
        let done = place.call(words);
        assert_eq!(done.code, Some(2), "{words}");
        assert!(done.err.contains(told), "{words}: {}", done.err);
    }
    assert_eq!(
        place.json("secrets list --merchant shop --json"),
        serde_json::json!([])
    );
}

#[test]
fn a_replay_of_nothing_says_so_and_prints_no_data() {
    let place = Place::initialised();
    let done = place.call("events replay --type Misspelt");
    assert_eq!((done.code, done.out.as_str()), (Some(0), ""));
    assert!(done.err.contains("there is no such event"), "{}", done.err);
    assert_eq!(place.call("events replay --type Misspelt --quiet").err, "");
}

#[test]
fn a_reader_that_closes_the_pipe_ends_no_command_in_a_panic() {
    let place = Place::empty();
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    command
        .args(["completions", "bash"])
        .current_dir(place.path());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""));
}

#[test]
fn init_tells_machines_what_it_made() {
    let place = Place::initialised();
    let made = place.json("init --json");
    assert_eq!(made["data"], "counterfoil-data");
    assert_eq!(made["kek_file"], "counterfoil.kek");
    assert_eq!(made["log"], "localhost/counterfoil/1");
}

#[test]
fn a_named_file_that_is_not_there_exits_2() {
    let done = Place::empty().call("config check --config nowhere.toml");
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("nowhere.toml"), "{}", done.err);
}

#[test]
fn nothing_works_before_init_and_init_is_named() {
    let place = Place::empty();
    let done = place.call("clients list");
    assert_eq!(done.code, Some(2), "{}", done.err);
    assert!(done.err.contains("init"), "{}", done.err);
}

#[test]
fn init_twice_keeps_the_keys_and_the_log() {
    let place = Place::initialised();
    let log = place.done("events replay");
    let key = fs::read(place.path().join("counterfoil.kek")).unwrap();
    place.done("init");
    assert_eq!(place.done("events replay"), log);
    assert_eq!(fs::read(place.path().join("counterfoil.kek")).unwrap(), key);
    assert!(log.contains("InstanceCreated") && log.contains("ConfigurationApplied"));
}

#[cfg(unix)]
#[test]
fn what_init_makes_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::initialised();
    for name in [
        "counterfoil.kek",
        "counterfoil-data",
        "counterfoil-data/events.db",
        "counterfoil-data/keyring.db",
    ] {
        let mode = fs::metadata(place.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}

#[test]
fn a_created_client_is_listed_without_its_token() {
    let place = Place::initialised();
    let made =
        place.json("clients create shop-bot --merchant shop --role bot --scenario telegram --json");
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("cf_test_"), "{made}");
    let list = place.json("clients list --json");
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        (&list[0]["id"], &list[0]["role"]),
        (&"shop-bot".into(), &"bot".into())
    );
    assert_eq!(list[0]["scenarios"], serde_json::json!(["telegram"]));
    // A bot can neither price nor prove.
    let scopes = list[0]["scopes"].to_string();
    assert!(
        !scopes.contains("amount:set") && !scopes.contains("exceptions:resolve"),
        "{scopes}"
    );

    let secret = token.split('_').nth(3).unwrap();
    assert!(!list.to_string().contains(secret));
    assert!(!place.done("events replay").contains(secret));
    assert_eq!(
        place
            .call("clients create shop-bot --merchant other --role bot")
            .code,
        Some(1)
    );
}

#[test]
fn replay_prints_canonical_records_in_order() {
    let place = Place::initialised();
    place.done("clients create backend --merchant shop --role backend --scenario telegram");
    let text = place.done("events replay");
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), line);
    }
    let types = |words: &str| -> Vec<String> {
        let text = place.done(words);
        let kind = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["type"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        text.lines().map(kind).collect()
    };
    let made = ["ClientCreated", "ClientGranted", "ClientTokenIssued"];
    assert_eq!(
        types("events replay")[..2],
        ["InstanceCreated", "ConfigurationApplied"]
    );
    assert_eq!(types("events replay")[2..], made);
    assert_eq!(types("events replay --stream client-backend"), made);
    assert_eq!(
        types("events replay --stream client-backend --until-version 1"),
        made[..2]
    );
    assert_eq!(
        types("events replay --type ClientGranted"),
        ["ClientGranted"]
    );
    assert_eq!(
        types("events replay --until 2000-01-01T00:00:00Z"),
        Vec::<String>::new()
    );
    assert_eq!(place.call("events replay --stream nonsense").code, Some(2));
}

#[test]
fn what_is_pulled_at_the_terminal_is_there_again_until_it_is_acknowledged() {
    let place = Place::initialised();
    let refused = place.call("subscribers add box --merchant shop");
    assert_eq!(refused.code, Some(2), "neither an address nor --pull");
    let made = place.json("subscribers add box --merchant shop --pull --json");
    assert_eq!(
        (&made["delivery"], &made["url"]),
        (&json!("pull"), &Value::Null)
    );
    for _ in 0..3 {
        place.done("subscribers test box --merchant shop");
    }
    // Without a server nobody follows the log.
    place.done("projections rebuild delivery_queue");
    let pull = "subscribers pull box --merchant shop --limit 2";
    let lines =
        |words: &str| -> Vec<String> { place.done(words).lines().map(str::to_owned).collect() };
    let first = lines(pull);
    assert_eq!(first.len(), 3);
    for line in &first {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["type"], "counterfoil.delivery.test.v1");
        assert_eq!(serde_json_canonicalizer::to_string(&event).unwrap(), *line);
    }
    assert_eq!(lines(&format!("{pull} --ack")), first);
    place.done("projections rebuild delivery_queue");
    assert_eq!(lines(pull), [""; 0]);
    assert_eq!(
        lines(&format!("{pull} --since 2020-01-01T00:00:00Z")),
        first
    );
    let ended = lines("events replay --type DeliveryAcknowledgedByPull");
    assert_eq!(ended.len(), 3);
    let ended: Value = serde_json::from_str(&ended[0]).unwrap();
    assert_eq!(
        ended["data"]["consumer"],
        json!({ "kind": "operator", "id": "local" })
    );
    for wrong in [
        "subscribers pull box --merchant shop --after first",
        "subscribers pull box --merchant shop --since yesterday",
        "clients create a-box --merchant shop --role receiver",
    ] {
        assert_eq!(place.call(wrong).code, Some(2), "{wrong}");
    }
    let nobody = "clients create a-box --merchant shop --role receiver --subscriber bix";
    assert_eq!(place.call(nobody).code, Some(1));
    place.done("clients create a-box --merchant shop --role receiver --subscriber box");
}

#[test]
fn a_secret_comes_from_a_file_and_is_never_shown() {
    const SECRET: &str = "whsec_b3BlbiBzZXNhbWUsIHNhaWQgbm9ib2R5IGV2ZXI=";
    let place = Place::initialised();
    place.write("secret.txt", SECRET);
    let words = "secrets set provider-inbound:sim-main --merchant shop --key-id sim-1 --from-file secret.txt";
    let mut seen = place.done(words);
    let list = place.json("secrets list --merchant shop --json");
    assert_eq!(list[0]["purpose"], "provider-inbound:sim-main");
    assert_eq!(list[0]["key_id"], "sim-1");
    seen += &list.to_string();
    for words in [
        "secrets list --merchant shop",
        "config show",
        "events replay",
    ] {
        seen += &place.done(words);
    }
    assert!(
        !seen.contains(SECRET) && !seen.contains("b3BlbiBz"),
        "{seen}"
    );

    // On disk it is sealed.
    for entry in fs::read_dir(place.path().join("counterfoil-data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            assert!(
                !bytes
                    .windows(SECRET.len())
                    .any(|window| window == SECRET.as_bytes()),
                "{}",
                path.display()
            );
        }
    }
    let done = place.call(
        "secrets set provider-inbound:sim-main --merchant shop --key-id x --from-file none.txt",
    );
    assert_eq!(done.code, Some(2));
}

#[test]
fn a_persons_password_comes_from_a_file_and_stands_nowhere() {
    let place = Place::initialised();
    let password = "correct horse battery";
    place.write("password", &format!("{password}\n"));
    place.write("short", "elevenchars\n");
    let made = place.json("operators create op-7 --merchant shop --role approver --json");
    assert_eq!(made["password"], false);
    let set = place.done("operators password op-7 --password-file password --json");
    assert!(!set.contains(password), "{set}");
    let short = place.call("operators password op-7 --password-file short");
    assert_eq!(short.code, Some(1));
    assert!(
        short.err.contains("at least 12 characters"),
        "{}",
        short.err
    );
    let listed = place.json("operators list --json");
    assert_eq!(listed[0]["role"], "approver");
    assert_eq!(listed[0]["password"], true);
    let secret = place.json("operators totp op-7 --json");
    let uri = secret["uri"].as_str().unwrap();
    assert!(
        uri.starts_with("otpauth://totp/Counterfoil:op-7?secret="),
        "{uri}"
    );
    assert_eq!(
        place.json("operators totp op-7 --remove --json")["totp"],
        false
    );
    assert_eq!(place.done("operators sessions op-7 --json"), "[]\n");
    let disabled = place.json("operators disable op-7 --json");
    assert_eq!(disabled["disabled"], true);
    let log = place.done("events replay");
    assert!(log.contains("OperatorPasswordSet"));
    for hidden in [password, "argon2", secret["secret"].as_str().unwrap()] {
        assert!(!log.contains(hidden), "{hidden}");
    }
}

#[test]
fn a_person_is_no_bot_and_a_client_no_approver() {
    let place = Place::initialised();
    for words in [
        "operators create op-7 --merchant shop --role bot",
        "clients create desk --merchant shop --role approver",
        // Never an argument: others on the machine see it.
        "operators password op-7 --password secret-secret",
    ] {
        let done = place.call(words);
        assert_eq!(done.code, Some(2), "{words}: {}", done.err);
        assert_eq!(done.out, "", "{words}");
    }
    place.write("secret.txt", "a secret of sixteen characters");
    let words =
        "secrets set operator-password:op-7 --merchant shop --key-id x --from-file secret.txt";
    let done = place.call(words);
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(done.err.contains("counterfoil operators"), "{}", done.err);
}
