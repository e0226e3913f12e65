//! The view store of the embedded default: `views.db`.
//!
//! The file is disposable: everything in it can be made again from the log. Rows, checkpoint and
//! parked streams are written in one transaction; a power cut may take the last of them back, whole
//! ones only, and the engine reads those events again. One process writes; others may read.

mod connections;
mod rows;
mod schema;
mod statements;

use std::path::Path;

use async_trait::async_trait;
use projections::ports::{
    At, Checkpoint, Cursor, Generation, GenerationState, Parked, Row, RowPage, Standing,
    ViewDigest, ViewDigester, ViewQuery, ViewSpec, ViewStore, ViewStoreError, Work,
};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use self::connections::{Readers, Writer, unavailable};
use self::rows::Transaction;
use self::statements::Tables;
use crate::sqlite::open::{OpenError, WriterLock, make_private_folder};

/// Reads that may run at once.
const READERS: usize = 4;

/// Views in one SQLite file.
pub struct SqliteViewStore {
    // Fields are dropped in this order, so that the writer's connection is the last one and empties
    // the write-ahead log; then the lock.
    readers: Readers,
    writer: Option<Writer>,
    _lock: Option<WriterLock>,
}

impl SqliteViewStore {
    /// Opens the file for writing and makes it and its folder where they are missing. Blocks: it is
    /// called before the server starts.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::Locked`] when another process writes.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            make_private_folder(folder)?;
        }
        let lock = WriterLock::take(path)?;
        let writer = Writer::open(path)?;
        Ok(Self {
            readers: Readers::new(path, READERS),
            writer: Some(writer),
            _lock: Some(lock),
        })
    }

    /// Opens a file that exists for reading, beside a server that may be writing it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        drop(crate::sqlite::open::open_reader(path, &schema::SCHEMA)?);
        Ok(Self {
            readers: Readers::new(path, 1),
            writer: None,
            _lock: None,
        })
    }

    fn writer(&self) -> Result<&Writer, ViewStoreError> {
        self.writer.as_ref().ok_or_else(|| unavailable(ReadOnly))
    }
}

/// Changes need the one process that holds the lock.
#[derive(Debug, thiserror::Error)]
#[error("the view store is open for reading only")]
struct ReadOnly;

/// A row of `generation`.
struct Known {
    number: u32,
    version: u32,
    state: GenerationState,
    checkpoint: Option<Checkpoint>,
}

impl Known {
    /// From number, version, state and checkpoint, starting at column `first`.
    fn read(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let state: String = row.get(first + 2)?;
        let checkpoint: Option<String> = row.get(first + 3)?;
        let checkpoint = checkpoint
            .map(|text| serde_json::from_str(&text))
            .transpose();
        Ok(Self {
            number: row.get(first)?,
            version: row.get(first + 1)?,
            state: GenerationState::parse(&state)
                .ok_or_else(|| rows::damaged(first + 2, "not a state"))?,
            checkpoint: checkpoint.map_err(|error| rows::damaged(first + 3, error))?,
        })
    }

    fn find(connection: &Connection, view: &str, at: At) -> Result<Option<Self>, ViewStoreError> {
        let read = |row: &rusqlite::Row<'_>| Self::read(row, 0);
        let found = match at {
            At::Live => connection
                .prepare_cached(include_str!("sql/select_live.sql"))
                .and_then(|mut statement| statement.query_row((view,), read).optional()),
            At::Generation(number) => connection
                .prepare_cached(include_str!("sql/select_generation.sql"))
                .and_then(|mut statement| statement.query_row((view, number), read).optional()),
        };
        found.map_err(unavailable)
    }

    /// The generation that a caller with this code may use.
    fn of(connection: &Connection, spec: &ViewSpec, at: At) -> Result<Self, ViewStoreError> {
        let view = spec.name.to_owned();
        let Some(known) = Self::find(connection, spec.name, at)? else {
            return Err(ViewStoreError::NoGeneration { view });
        };
        if known.version != spec.version {
            return Err(ViewStoreError::OtherVersion {
                view,
                stored: known.version,
                code: spec.version,
            });
        }
        Ok(known)
    }

    fn tables<'a>(&self, spec: &ViewSpec) -> Tables<'a> {
        Tables {
            view: spec.name,
            generation: self.number,
        }
    }
}

fn execute(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> Result<usize, ViewStoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .map_err(unavailable)
}

#[async_trait]
impl ViewStore for SqliteViewStore {
    async fn generations(&self) -> Result<Vec<Generation>, ViewStoreError> {
        self.readers
            .run(|connection| {
                let select = || -> rusqlite::Result<Vec<Generation>> {
                    let mut statement =
                        connection.prepare_cached(include_str!("sql/select_generations.sql"))?;
                    let rows = statement.query(())?;
                    rows.mapped(|row| {
                        let known = Known::read(row, 1)?;
                        let parked: i64 = row.get(5)?;
                        Ok(Generation {
                            view: row.get(0)?,
                            number: known.number,
                            version: known.version,
                            state: known.state,
                            checkpoint: known.checkpoint,
                            parked: u64::try_from(parked)
                                .map_err(|error| rows::damaged(5, error))?,
                        })
                    })
                    .collect()
                };
                select().map_err(unavailable)
            })
            .await
    }

    async fn create(&self, spec: &ViewSpec, state: GenerationState) -> Result<u32, ViewStoreError> {
        spec.check()?;
        let spec = *spec;
        self.writer()?
            .run(move |connection| {
                if state == GenerationState::Live
                    && Known::find(connection, spec.name, At::Live)?.is_some()
                {
                    return Err(not_now(spec.name, "one generation is live already"));
                }
                let number = connection
                    .query_row(include_str!("sql/next_number.sql"), (spec.name,), |row| {
                        row.get::<_, u32>(0)
                    })
                    .map_err(unavailable)?;
                let values = (spec.name, number, spec.version, state.as_str());
                execute(
                    connection,
                    include_str!("sql/insert_generation.sql"),
                    values,
                )?;
                let tables = Tables {
                    view: spec.name,
                    generation: number,
                };
                for statement in spec.tables.iter().flat_map(|table| tables.create(table)) {
                    connection.execute_batch(&statement).map_err(unavailable)?;
                }
                Ok(number)
            })
            .await
    }

    async fn transact(
        &self,
        spec: &ViewSpec,
        generation: u32,
        expected: Option<Checkpoint>,
        work: Work,
    ) -> Result<Option<Checkpoint>, ViewStoreError> {
        let spec = *spec;
        self.writer()?
            .run(move |connection| {
                let known = Known::of(connection, &spec, At::Generation(generation))?;
                if known.checkpoint != expected {
                    return Err(ViewStoreError::Fenced {
                        view: spec.name.to_owned(),
                    });
                }
                let Some(checkpoint) = work(&mut Transaction {
                    connection,
                    spec,
                    generation,
                })?
                else {
                    return Ok(expected);
                };
                let text = serde_json::to_string(&checkpoint).map_err(unavailable)?;
                execute(
                    connection,
                    include_str!("sql/update_checkpoint.sql"),
                    (spec.name, generation, text),
                )?;
                Ok(Some(checkpoint))
            })
            .await
    }

    async fn switch(&self, view: &str, from: Option<u32>, to: u32) -> Result<(), ViewStoreError> {
        let view = view.to_owned();
        self.writer()?
            .run(move |connection| {
                let live = Known::find(connection, &view, At::Live)?;
                if live.as_ref().map(|live| live.number) != from {
                    return Err(not_now(&view, "another generation is live by now"));
                }
                let Some(new) = Known::find(connection, &view, At::Generation(to))? else {
                    return Err(ViewStoreError::NoGeneration { view });
                };
                if new.state != GenerationState::Building {
                    return Err(not_now(&view, "the new generation is not being built"));
                }
                let before = live.as_ref().and_then(|live| live.checkpoint.as_ref());
                if !Checkpoint::may_follow(new.checkpoint.as_ref(), before) {
                    return Err(ViewStoreError::Behind { view });
                }
                let set = |number: u32, state: GenerationState| {
                    execute(
                        connection,
                        include_str!("sql/update_state.sql"),
                        (&view, number, state.as_str()),
                    )
                };
                if let Some(from) = from {
                    set(from, GenerationState::Previous)?;
                }
                set(to, GenerationState::Live)?;
                Ok(())
            })
            .await
    }

    async fn retire(&self, view: &str, generation: u32) -> Result<(), ViewStoreError> {
        let view = view.to_owned();
        self.writer()?
            .run(move |connection| {
                let known = Known::find(connection, &view, At::Generation(generation))?;
                match known.map(|known| known.state) {
                    None => return Ok(()),
                    Some(GenerationState::Live) => {
                        return Err(not_now(&view, "the generation is live"));
                    }
                    Some(
                        GenerationState::Building
                        | GenerationState::Shadow
                        | GenerationState::Previous,
                    ) => {}
                }
                let prefix = Tables {
                    view: &view,
                    generation,
                }
                .prefix();
                let names = || -> rusqlite::Result<Vec<String>> {
                    let mut statement =
                        connection.prepare(include_str!("sql/select_row_tables.sql"))?;
                    statement
                        .query((&prefix,))?
                        .mapped(|row| row.get(0))
                        .collect()
                };
                for name in names().map_err(unavailable)? {
                    connection
                        .execute_batch(&statements::drop_table(&name))
                        .map_err(unavailable)?;
                }
                execute(
                    connection,
                    include_str!("sql/delete_generation.sql"),
                    (&view, generation),
                )?;
                Ok(())
            })
            .await
    }

    async fn standing(&self, spec: &ViewSpec, at: At) -> Result<Standing, ViewStoreError> {
        let spec = *spec;
        self.readers
            .run(move |connection| {
                let known = Known::of(connection, &spec, at)?;
                Ok(Standing {
                    generation: known.number,
                    checkpoint: known.checkpoint,
                })
            })
            .await
    }

    async fn get(
        &self,
        spec: &ViewSpec,
        at: At,
        table: &str,
        key: &str,
    ) -> Result<Option<Row>, ViewStoreError> {
        let (spec, table, key) = (*spec, spec.table(table)?, key.to_owned());
        self.readers
            .run(move |connection| {
                let tables = Known::of(connection, &spec, at)?.tables(&spec);
                rows::find(connection, tables, table, &key).map_err(unavailable)
            })
            .await
    }

    async fn query(
        &self,
        spec: &ViewSpec,
        at: At,
        table: &str,
        query: &ViewQuery,
    ) -> Result<RowPage, ViewStoreError> {
        let (spec, table, query) = (*spec, spec.table(table)?, query.clone());
        let order = query
            .order_by
            .map(|column| spec.column(table, column))
            .transpose()?;
        self.readers
            .run(move |connection| {
                let tables = Known::of(connection, &spec, at)?.tables(&spec);
                let (sql, values) = tables.select(&spec, table, &query)?;
                let select = || -> rusqlite::Result<Vec<Row>> {
                    let mut statement = connection.prepare_cached(&sql)?;
                    let rows = statement.query(params_from_iter(values))?;
                    rows.mapped(|row| rows::read(table, row)).collect()
                };
                let mut rows = select().map_err(unavailable)?;
                let limit = query.limit.max(1);
                let more = rows.len() > limit;
                rows.truncate(limit);
                let place = |row: &Row| Cursor {
                    order: order.map(|column| row.cells[column].clone()),
                    key: row.key.clone(),
                };
                let next = rows.last().filter(|_| more).map(place);
                Ok(RowPage { rows, next })
            })
            .await
    }

    async fn parked(&self, spec: &ViewSpec, at: At) -> Result<Vec<Parked>, ViewStoreError> {
        let spec = *spec;
        self.readers
            .run(move |connection| {
                let tables = Known::of(connection, &spec, at)?.tables(&spec);
                rows::parked(connection, tables).map_err(unavailable)
            })
            .await
    }

    async fn digest(&self, spec: &ViewSpec, at: At) -> Result<ViewDigest, ViewStoreError> {
        let spec = *spec;
        self.readers
            .run(move |connection| {
                let known = Known::of(connection, &spec, at)?;
                let tables = known.tables(&spec);
                let mut digester = ViewDigester::new(&spec);
                for table in spec.tables {
                    let mut digest = || -> rusqlite::Result<()> {
                        let mut statement = connection.prepare(&tables.all(table))?;
                        let mut rows = statement.query(())?;
                        while let Some(row) = rows.next()? {
                            digester.row(
                                table.name,
                                row.get_ref(0)?.as_str()?,
                                row.get_ref(1)?.as_blob()?,
                            );
                        }
                        Ok(())
                    };
                    digest().map_err(unavailable)?;
                }
                for parked in rows::parked(connection, tables).map_err(unavailable)? {
                    digester.parked(&parked.stream, parked.position);
                }
                Ok(digester.finish(known.checkpoint))
            })
            .await
    }
}

fn not_now(view: &str, why: &'static str) -> ViewStoreError {
    ViewStoreError::NotNow {
        view: view.to_owned(),
        why,
    }
}
