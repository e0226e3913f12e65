//! The commands of the tutorial, and of the page on refunds that goes on where it ends, are run as
//! they stand, from the first to the last, on other ports.
//! Needs `sh`, `timeout`, `grep` and `curl`, so it runs with `SLOW=1` only.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use super::pages::root;

/// The blocks of one language on a page.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    let texts = page.split(&fence).skip(1);
    texts
        .map(|text| text.split("\n```").next().unwrap())
        .collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn the_tutorial_ends_with_a_paid_order_and_its_sequel_with_money_given_back() {
    if std::env::var_os("SLOW").is_none() {
        return;
    }
    let page = fs::read_to_string(root().join("docs/tutorial/first-payment.md")).unwrap();
    let refunds = fs::read_to_string(root().join("docs/how-to/refunds.md")).unwrap();
    let example = fs::read_to_string(root().join("counterfoil.example.toml")).unwrap();
    let (ledger, bank) = (free_port(), free_port());
    let moved = |text: &str| {
        text.replace("127.0.0.1:8080", &format!("127.0.0.1:{ledger}"))
            .replace("127.0.0.1:9090", &format!("127.0.0.1:{bank}"))
    };
    let started = format!(
        "sim-provider --listen 127.0.0.1:{bank} \
         --notify-url http://127.0.0.1:{ledger}/v1/callbacks/sim/sim-main"
    );
    let mut steps = blocks(&page, "sh");
    let last = steps.pop().unwrap();
    steps.extend(blocks(&refunds, "sh"));
    steps.push(last);
    let script = moved(&steps.join("\n")).replace("sim-provider", &started);

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("counterfoil.toml"), moved(&example)).unwrap();
    fs::write(folder.path().join("tutorial.sh"), script).unwrap();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_counterfoil"));
    let path = format!(
        "{}:{}",
        binary.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    // `timeout` ends the whole group, the two servers with it.
    let mut command = Command::new("timeout");
    command
        .args(["60", "sh", "-e", "tutorial.sh"])
        .current_dir(folder.path())
        .env("PATH", path);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COUNTERFOIL_")) {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let log = fs::read_to_string(folder.path().join("serve.log")).unwrap_or_default();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{out}\n{err}\n{log}",
        output.status
    );

    let types = blocks(&page, "text")
        .into_iter()
        .find(|block| block.starts_with("\"type\""))
        .unwrap();
    assert!(
        out.contains(types),
        "the replay of the page is not what was replayed:\n{out}"
    );
    for told in [
        "\"status\":\"pending\"",
        "\"code\":\"forbidden\"",
        "\"status\":\"paid\"",
    ] {
        assert!(out.contains(told) && page.contains(told), "{told}:\n{out}");
    }
    for told in [
        "\"state\":\"requested\"",
        "\"status\":\"partially_refunded\"",
        "\"state\":\"settled\"",
        "\"refundable_minor\":\"100000\"",
    ] {
        assert!(
            out.contains(told) && refunds.contains(told),
            "{told}:\n{out}"
        );
    }
    assert!(out.contains("\"who\":\"provider:sim/sim-main\""), "{out}");
}
