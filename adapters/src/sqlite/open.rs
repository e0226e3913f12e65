//! How a SQLite file of the ledger is opened: who may open it, how safe its writes are, and which
//! schema it has.
//!
//! Every setting that safety depends on is read back after it was set, and a file that does not
//! take it refuses the start. The event store, the views and the keyring open their files here and
//! nowhere else. This module never reads or writes a row.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// First release that does not lose committed pages when the write-ahead log is reset under a
/// reader (sqlite.org, release notes of 3.51.3).
pub const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Why a file was not opened. Each one refuses the start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process writes this file.
    #[error("{}: another process has it open for writing, and a data folder has one server at a time; stop that one first", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Not a SQLite file, or a SQLite file of something else.
    #[error("{}: not a {expected} file of counterfoil", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// Written by a newer release.
    #[error("{}: its schema has number {found}; this release knows up to {known}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Number of its schema.
        found: u32,
        /// Highest number that is known here.
        known: u32,
    },
    /// A read-only opener met a file whose migrations have not run.
    #[error("{}: its schema has number {found} and {known} is needed; start the server once", path.display())]
    NotMigrated {
        /// The file.
        path: PathBuf,
        /// Number of its schema.
        found: u32,
        /// The number that is needed.
        known: u32,
    },
    /// The linked SQLite has a known corruption defect.
    #[error("SQLite {found} is too old; {SQLITE_VERSION_MIN} or later is needed")]
    OldSqlite {
        /// Its version number.
        found: i32,
    },
    /// A setting that safety depends on did not hold (a file system without shared memory keeps no
    /// write-ahead log, for example).
    #[error("{}: {name} is {found}, but must be {wanted}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// Name of the setting.
        name: &'static str,
        /// What it must be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// Rows that the schema forbids.
    #[error("{}: damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// SQLite said no.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Each commit is on the disk before it returns. For what cannot be made again.
    Full,
    /// A power cut may take the last commits back, whole ones only. For what can be made again.
    Normal,
}

/// One step of a schema. Steps only add; a released one never changes.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// 1, 2, 3 ... without gaps. Stored as the file's `user_version`.
    pub number: u32,
    /// The statements, out of a `.sql` file.
    pub sql: &'static str,
}

/// Which kind of file it is and how its tables come to be.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// For error messages: `events`, `views`, `keyring`.
    pub name: &'static str,
    /// Stored in the file's header, so that one kind is never taken for another.
    pub application_id: i32,
    /// All steps in order.
    pub migrations: &'static [Migration],
}

impl Schema {
    fn latest(&self) -> u32 {
        self.migrations
            .last()
            .map_or(0, |migration| migration.number)
    }
}

/// Makes the folder of a file where it is missing, for the owner only (0700).
///
/// # Errors
/// [`OpenError::Io`].
pub fn make_private_folder(folder: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| io_error(folder, source))
}

/// Held while this process writes a file; a second holder is refused at once. The operating system
/// lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock file `<path>.lock`.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another one has it.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock_path = PathBuf::from(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|source| io_error(&lock_path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(io_error(&lock_path, source)),
        }
    }
}

/// Opens a file for writing, makes it (0600) where it is missing, and runs the migrations that it
/// lacks. The caller holds the [`WriterLock`] of the file, if the file has one.
///
/// # Errors
/// [`OpenError`].
pub fn open_writer(
    path: &Path,
    schema: &Schema,
    durability: Durability,
) -> Result<Connection, OpenError> {
    check_sqlite_version()?;
    make_private_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|e| sqlite_error(path, schema, e))?;
    let settings = Settings {
        connection: &connection,
        path,
        schema,
    };
    settings.identify(true)?;
    settings.harden(64)?;
    settings.set("journal_mode", "wal")?;
    settings.set(
        "synchronous",
        match durability {
            Durability::Full => "2",
            Durability::Normal => "1",
        },
    )?;
    migrate(&mut connection, path, schema)?;
    Ok(connection)
}

/// Opens a file that exists and is migrated, for reading only.
///
/// # Errors
/// [`OpenError`]; [`OpenError::NotMigrated`] when a writer must open it first.
pub fn open_reader(path: &Path, schema: &Schema) -> Result<Connection, OpenError> {
    check_sqlite_version()?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|e| sqlite_error(path, schema, e))?;
    let settings = Settings {
        connection: &connection,
        path,
        schema,
    };
    settings.identify(false)?;
    settings.harden(8)?;
    settings.set("query_only", "1")?;
    let (found, known) = (settings.schema_number()?, schema.latest());
    if found > known {
        return Err(OpenError::TooNew {
            path: path.to_owned(),
            found,
            known,
        });
    }
    if found < known {
        return Err(OpenError::NotMigrated {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(connection)
}

/// Runs the steps that the file lacks, each in a transaction of its own together with its number.
fn migrate(connection: &mut Connection, path: &Path, schema: &Schema) -> Result<(), OpenError> {
    let found = Settings {
        connection,
        path,
        schema,
    }
    .schema_number()?;
    let known = schema.latest();
    if found > known {
        return Err(OpenError::TooNew {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for migration in schema
        .migrations
        .iter()
        .filter(|migration| migration.number > found)
    {
        run(connection, migration).map_err(|e| sqlite_error(path, schema, e))?;
    }
    Ok(())
}

fn run(connection: &mut Connection, migration: &Migration) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(migration.sql)?;
    transaction.pragma_update(None, "user_version", migration.number)?;
    transaction.commit()
}

/// Sets what must hold of a connection and reads it back.
struct Settings<'a> {
    connection: &'a Connection,
    path: &'a Path,
    schema: &'a Schema,
}

impl Settings<'_> {
    /// A new file gets the application id; an old one must have it.
    fn identify(&self, may_be_new: bool) -> Result<(), OpenError> {
        let found: i32 = self.number("application_id")?;
        let pages: i32 = self.number("page_count")?;
        if pages == 0 && may_be_new {
            return self.set("application_id", &self.schema.application_id.to_string());
        }
        if found == self.schema.application_id {
            return Ok(());
        }
        Err(OpenError::NotOurs {
            path: self.path.to_owned(),
            expected: self.schema.name,
        })
    }

    fn harden(&self, cache_mebibytes: u32) -> Result<(), OpenError> {
        // Otherwise a statement with a bound limit is prepared again at every use, in the hope of a
        // better plan for that number.
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|e| self.error(e))?;
        self.set("foreign_keys", "1")?;
        self.set("trusted_schema", "0")?;
        self.set("cell_size_check", "1")?;
        // Memory-mapped reads turn an input error into SIGBUS and see stray writes.
        self.set("mmap_size", "0")?;
        // Negative: kibibytes instead of pages.
        self.set("cache_size", &format!("-{}", cache_mebibytes * 1024))
    }

    fn schema_number(&self) -> Result<u32, OpenError> {
        self.number("user_version")
    }

    fn number<T: rusqlite::types::FromSql>(&self, name: &'static str) -> Result<T, OpenError> {
        self.connection
            .pragma_query_one(None, name)
            .map_err(|e| self.error(e))
    }

    fn set(&self, name: &'static str, wanted: &str) -> Result<(), OpenError> {
        self.connection
            .pragma_update(None, name, wanted)
            .map_err(|e| self.error(e))?;
        let found: rusqlite::types::Value = self.number(name)?;
        let found = match found {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        };
        if found == wanted {
            return Ok(());
        }
        Err(OpenError::Setting {
            path: self.path.to_owned(),
            name,
            wanted: wanted.to_owned(),
            found,
        })
    }

    fn error(&self, source: rusqlite::Error) -> OpenError {
        sqlite_error(self.path, self.schema, source)
    }
}

fn check_sqlite_version() -> Result<(), OpenError> {
    let found = rusqlite::version_number();
    if found < SQLITE_VERSION_MIN {
        Err(OpenError::OldSqlite { found })
    } else {
        Ok(())
    }
}

/// SQLite gives the files beside it (`-wal`, `-shm`) the mode of the file itself. An existing file
/// is never opened here: closing it again would drop the locks that SQLite holds on it in this
/// process (sqlite.org, "How To Corrupt An SQLite Database File", 2.2).
fn make_private_file(path: &Path) -> Result<(), OpenError> {
    match OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::set_permissions(path, Permissions::from_mode(0o600))
                .map_err(|source| io_error(path, source))
        }
        Err(source) => Err(io_error(path, source)),
    }
}

fn io_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        source,
    }
}

fn sqlite_error(path: &Path, schema: &Schema, source: rusqlite::Error) -> OpenError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotOurs {
            path: path.to_owned(),
            expected: schema.name,
        },
        _ => OpenError::Sqlite {
            path: path.to_owned(),
            source,
        },
    }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
