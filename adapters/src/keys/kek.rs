//! The key-encryption key: 32 bytes in a file of its own, apart from the data folder. It wraps
//! every other key.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use domain::digest::Digest32;
use domain::ports::Entropy;
use zeroize::Zeroizing;

use super::cipher::DataKey;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// The file cannot be read or made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("{}: others may read it; run chmod 600 on it", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
    },
    /// Not 64 hexadecimal digits.
    #[error("{}: not 64 hexadecimal digits in lower case", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// The key.
#[derive(Clone)]
pub struct Kek(DataKey);

impl Kek {
    /// Wraps under a given key; for simulations.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(DataKey::new(bytes))
    }

    /// Reads the file. It must be its owner's alone.
    ///
    /// # Errors
    /// [`KekError`].
    pub fn read(path: &Path) -> Result<Self, KekError> {
        let io = |source| KekError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new().read(true).open(path).map_err(io)?;
        if file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
            return Err(KekError::TooOpen {
                path: path.to_owned(),
            });
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(io)?;
        let bytes = Digest32::from_hex(text.trim());
        bytes
            .map(|bytes| Self::new(bytes.0))
            .ok_or_else(|| KekError::Malformed {
                path: path.to_owned(),
            })
    }

    /// Makes the file with a new key. Never overwrites one.
    ///
    /// # Errors
    /// [`KekError::Io`], also when the file exists.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KekError> {
        let io = |source| KekError::Io {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        let text = Zeroizing::new(format!("{}\n", Digest32(*bytes)));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        if let Err(source) = write_durably(file, path, text.as_bytes()) {
            // This call made it and nothing was wrapped under it yet: half a key helps nobody.
            let _ = std::fs::remove_file(path);
            return Err(io(source));
        }
        Ok(Self::new(*bytes))
    }

    /// The cipher under this key.
    pub fn cipher(&self) -> &DataKey {
        &self.0
    }
}

/// A key that is lost with the power takes everything along that was wrapped under it, so the file
/// and its name are on the disk before anything is.
fn write_durably(mut file: File, path: &Path, text: &[u8]) -> std::io::Result<()> {
    file.write_all(text)?;
    file.sync_all()?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::system::OsEntropy;

    #[test]
    fn the_file_is_its_owners_alone_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        let made = Kek::create(&path, &OsEntropy).unwrap();
        assert_eq!(
            Kek::read(&path).unwrap().cipher().bytes(),
            made.cipher().bytes()
        );
        assert!(matches!(
            Kek::create(&path, &OsEntropy),
            Err(KekError::Io { .. })
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Kek::read(&path), Err(KekError::TooOpen { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for malformed in [
            "",
            "short",
            &"A".repeat(64),
            &"0".repeat(65),
            &"0".repeat(63),
        ] {
            std::fs::write(&path, malformed).unwrap();
            assert!(
                matches!(Kek::read(&path), Err(KekError::Malformed { .. })),
                "{malformed}"
            );
        }
        // A mounted secret may be read-only.
        std::fs::write(&path, "0".repeat(64)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(Kek::read(&path).unwrap().cipher().bytes(), &[0; 32]);
        let missing = Kek::read(&folder.path().join("other"));
        assert!(matches!(missing, Err(KekError::Io { .. })));
    }

    #[test]
    fn a_new_file_holds_64_digits_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        let _ = Kek::create(&path, &OsEntropy).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.trim_end().len() == 64 && text.trim_end().bytes().all(|b| b.is_ascii_hexdigit())
        );
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
