//! Programs and libraries that others wrote, which judge what the ledger says.
//!
//! `.ci/run` sees to all of them. The slow tier fails without one; in the fast tier, which needs only
//! the toolchain, a test that misses one says so and passes.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// `None` when it is missing and nobody demands it.
#[allow(
    clippy::print_stdout,
    reason = "a test that asks nobody must not look like one that did"
)]
fn demanded(what: &str, found: Option<String>) -> Option<String> {
    if found.is_none() {
        let slow = std::env::var_os("SLOW").is_some();
        assert!(
            !slow,
            "the slow tier needs {what}; CONTRIBUTING.md says how"
        );
        println!("{what} is not here: nobody to ask");
    }
    found
}

fn on_path(program: &str) -> Option<String> {
    let asked = Command::new(program).arg("--version").output();
    demanded(program, asked.is_ok().then(|| program.to_owned()))
}

/// A Python with the libraries of `.ci/requirements.txt`.
pub fn python() -> Option<String> {
    let named = std::env::var("COUNTERFOIL_TEST_PYTHON").ok();
    demanded("COUNTERFOIL_TEST_PYTHON", named)
}

/// Node.
pub fn node() -> Option<String> {
    on_path("node")
}

/// PHP.
pub fn php() -> Option<String> {
    on_path("php")
}

/// Node and a folder with the packages of `.ci/npm`.
pub fn node_packages() -> Option<(String, PathBuf)> {
    let named = std::env::var("COUNTERFOIL_TEST_NODE_MODULES").ok();
    let folder = demanded("COUNTERFOIL_TEST_NODE_MODULES", named)?;
    Some((node()?, folder.into()))
}

/// What a Python program prints about `question`, which it finds in the file of its first argument.
pub fn ask_python(program: &str, question: &Value) -> Option<Vec<String>> {
    let mut command = Command::new(python()?);
    Some(asked(command.args(["-c", program]), question))
}

/// What a Node program prints about `question`, which it finds in the file of its first argument.
pub fn ask_node(program: &str, question: &Value) -> Option<Vec<String>> {
    let (node, packages) = node_packages()?;
    let mut command = Command::new(node);
    let command = command.env("NODE_PATH", packages).args(["-e", program]);
    Some(asked(command, question))
}

fn asked(command: &mut Command, question: &Value) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("question.json");
    std::fs::write(&file, serde_json::to_vec(question).unwrap()).unwrap();
    let answer = command.arg(&file).output().unwrap();
    let errors = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{errors}");
    let lines = String::from_utf8(answer.stdout).unwrap();
    lines.lines().map(str::to_owned).collect()
}
