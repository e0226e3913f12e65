//! The real `counterfoil` program: found beside the test that runs, started, killed, asked.
//!
//! Tests that end a process as a power cut would need a process of its own; everything else is
//! quicker with a ledger in the process of the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

/// The program of the same build as this test: `target/<profile>/counterfoil`. Cargo builds it for
/// tests of its own crate only, so here it is built when it is missing or older than the test.
pub fn counterfoil() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = profile();
        let program = profile.join("counterfoil");
        if modified(&program) < modified(&test) {
            build(
                &profile,
                &["--package", "counterfoil-api", "--bin", "counterfoil"],
            );
        }
        assert!(program.is_file(), "{} was not built", program.display());
        program
    })
}

/// An example of the crate of tests, of the same build. Cargo builds it beside the tests, except when
/// it is asked for one test binary only.
pub fn example(name: &str) -> PathBuf {
    let profile = profile();
    let program = profile.join("examples").join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
    if modified(&program) < modified(&source) {
        build(
            &profile,
            &["--package", "counterfoil-tests", "--example", name],
        );
    }
    assert!(program.is_file(), "{} was not built", program.display());
    program
}

/// `target/<profile>` of the test that runs.
fn profile() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent);
    profile
        .expect("tests stand in target/<profile>/deps")
        .to_owned()
}

fn modified(path: &Path) -> SystemTime {
    path.metadata()
        .and_then(|known| known.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn build(profile: &Path, what: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let name = match profile.file_name().and_then(|name| name.to_str()).unwrap() {
        // The folder of the profile `dev` has another name than the profile.
        "debug" => "dev",
        other => other,
    };
    let status = Command::new(cargo)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .args(["build", "--quiet"])
        .args(what)
        .args(["--profile", name, "--target-dir"])
        .arg(profile.parent().unwrap())
        .status();
    assert!(status.unwrap().success(), "the program cannot be built");
}

/// The program with one configuration file.
#[derive(Debug, Clone)]
pub struct Program {
    config: PathBuf,
}

impl Program {
    /// With this file.
    pub fn with(config: &Path) -> Self {
        Self {
            config: config.to_owned(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(counterfoil());
        command
            .arg("--config")
            .arg(&self.config)
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, whatever the end is.
    pub fn ask(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed; gives what it printed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self.ask(arguments);
        assert!(
            status.success(),
            "{arguments:?}: {status}: {}",
            String::from_utf8_lossy(&stderr)
        );
        String::from_utf8(stdout).unwrap()
    }

    /// Starts `counterfoil serve`. What it says goes to `log`, so that a test can show and search it.
    pub fn serve(&self, log: &Path) -> Serving {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = self
            .command(&["serve"])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Serving { child: Some(child) }
    }
}

/// A server that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Serving {
    child: Option<Child>,
}

impl Serving {
    /// SIGKILL: it gets no chance to finish anything.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// SIGTERM: it finishes what is under way. True when it says that all went well.
    pub fn terminate(mut self) -> bool {
        let mut child = self.child.take().expect("it runs until it is ended");
        let told = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        let ended = child.wait().unwrap();
        told.unwrap().success() && ended.success()
    }

    /// True while nothing ended it.
    pub fn runs(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    fn kill_now(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.kill_now();
    }
}
