//! The folders of a benchmark: made for it, and gone when it ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::context::Context;
use crate::bench::BenchError;
use crate::compose::{self, Opened};
use crate::config::{Settings, load};

/// The account whose provider asks before money moves.
pub(super) const ASKING_ACCOUNT: &str = "bench-asking";
/// What that provider calls the merchant.
pub(super) const ASKING_PAYEE: &str = "100000114";

/// One merchant with accounts that cannot be called, so that no provider is measured. Limits
/// are out of the way: what is measured is the work behind them.
const SETTINGS: &str = r#"
[ledger]
origin = "localhost/counterfoil-bench/1"
[limits]
client_requests_per_s = 1000000
address_requests_per_s = 1000000
connections = 10000
[[merchants]]
merchant = "bench"
[[merchants.accounts]]
account = "bench-main"
provider = "stripe"
minimum = "signed"
look_up = false
mode = "test"
[[merchants.accounts]]
account = "bench-asking"
provider = "idram"
minimum = "weakly_signed"
look_up = false
mode = "test"
payee = "100000114"
[[merchants.scenarios]]
id = "bench"
currencies = ["AMD"]
amount_minor_min = 1
amount_minor_max = "100000000"
life_s_max = 86400
accounts = ["bench-main", "bench-asking"]
"#;

/// A folder that is removed when it is dropped.
pub(super) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes a new folder inside `inside`, or inside the current one.
    pub(super) fn make(inside: Option<&Path>) -> Result<Self, BenchError> {
        let inside = inside.map_or_else(|| PathBuf::from("."), Path::to_owned);
        let folder = inside.join(format!("counterfoil-bench-{}", std::process::id()));
        // A folder that is there already is somebody's, and is not ours to remove.
        std::fs::create_dir_all(&inside).map_err(BenchError::at("folder"))?;
        std::fs::create_dir(&folder).map_err(BenchError::at("folder"))?;
        Ok(Self { folder })
    }

    /// A path inside.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Settings of a ledger in the folder `name`.
    pub(super) fn settings(&self, name: &str) -> Result<Settings, BenchError> {
        let parsed = load::parse(SETTINGS, []);
        let (mut settings, _) = parsed.map_err(|mistakes| BenchError {
            part: "settings",
            cause: format!("{mistakes:?}").into(),
        })?;
        settings.store.data = self.path(name);
        settings.store.kek_file = self.path(&format!("{name}.kek"));
        Ok(settings)
    }

    /// A new ledger in the folder `name`, without loops and without a listener.
    pub(super) async fn ledger(&self, name: &str) -> Result<Opened, BenchError> {
        let settings = self.settings(name)?;
        compose::init(&settings, &Context::job("bench"))
            .await
            .map_err(BenchError::at("ledger"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Files of a store that is still closing may come back once; what is left after that is
        // only disk space.
        if std::fs::remove_dir_all(&self.folder).is_err() {
            std::thread::sleep(Duration::from_millis(200));
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
