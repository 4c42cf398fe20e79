//! Metadata in SQLite: who may come in, what was found, what was done about it.
//!
//! [`Meta::read`] and [`Meta::write`] run typed questions and changes in one transaction; no other
//! module writes SQL for metadata. A change and the ledger leaf that attests it share a commit, so
//! neither exists without the other, whenever the machine stops. Every question about a tenant's
//! records takes the tenant first: there is no way to ask without one.
//!
//! Calls block for as long as SQLite does (microseconds to read, one fsync to write); async code
//! goes through a blocking task.

mod access;
mod factors;
mod gateways;
mod outbox;
mod people;
mod policies;
mod records;
mod sigma;
mod trust;

pub use access::{Attempts, Session, Token};
pub use factors::{OneTimeCodes, Passkey};
pub use gateways::{GatewayState, Loss};
pub use outbox::PendingLeaf;
pub use people::{Mode, RetentionDays, Role, Tenant, User};
pub use policies::Policy;
pub use records::{ActionFilter, Change, Cursor, FindingFilter, IncidentFilter, Recorded};
pub use sigma::{
    SIGMA_EXCEPTIONS_MAX, SIGMA_HITS_DAYS, SIGMA_RULES_MAX, SigmaCounts, SigmaException, SigmaHits,
    SigmaRule,
};
pub use trust::{TrustDecision, TrustDecisionFilter, TrustEntry, TrustText, TrustVersion};

use rusqlite::{Connection, TransactionBehavior};
use schema::TenantId;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Each entry takes the database from version n to n+1 (`PRAGMA user_version`). Entries are added, never edited.
const MIGRATIONS: [&str; 5] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// Readers kept open; more are opened when more ask at once, and closed again.
const IDLE_READERS_MAX: usize = 4;

/// How long a writer waits for another process (a backup, `doctor`) before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept per connection; above the number of different statements here.
const STATEMENTS_MAX: usize = 128;

#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    #[error("cannot open metadata `{path}`: {cause}: check that the folder exists and is writable")]
    Open { path: PathBuf, cause: String },
    #[error(
        "metadata `{path}` has version {found} and this program knows up to {known}: start the newer program, or restore the backup of the older one"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("metadata query failed: {0}: run `plura doctor`")]
    Sqlite(#[from] rusqlite::Error),
    #[error("metadata holds a {record} that cannot be read: {cause}: run `plura doctor`")]
    Unreadable { record: &'static str, cause: String },
    #[error("`{0}` does not exist: check the id")]
    Missing(String),
    #[error("`{0}` exists already: choose another name")]
    Exists(String),
    #[error("{0}")]
    Refused(&'static str),
}

impl MetaError {
    /// The disk has no room: the same may work later.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, MetaError::Sqlite(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

pub type Result<T> = std::result::Result<T, MetaError>;

/// The metadata database; clones share it.
#[derive(Clone)]
pub struct Meta {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

/// Questions; see also [`Tx`], which can ask too.
pub struct Read<'a> {
    connection: &'a Connection,
}

/// Changes that are committed together or not at all.
pub struct Tx<'a> {
    read: Read<'a>,
}

impl<'a> Deref for Tx<'a> {
    type Target = Read<'a>;

    fn deref(&self) -> &Read<'a> {
        &self.read
    }
}

impl Meta {
    /// Opens or creates the database and brings it to the newest version.
    pub fn open(path: &Path) -> Result<Meta> {
        let cannot = |cause: rusqlite::Error| MetaError::Open {
            path: path.to_owned(),
            cause: cause.to_string(),
        };
        let mut writer = Connection::open(path).map_err(cannot)?;
        configure(&writer).map_err(cannot)?;
        writer.pragma_update(None, "journal_mode", "WAL").map_err(cannot)?;
        migrate(&mut writer, path)?;
        let inner =
            Inner { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() };
        Ok(Meta { inner: Arc::new(inner) })
    }

    /// Asks, on a snapshot: what is written meanwhile is not seen.
    pub fn read<T>(&self, ask: impl FnOnce(&Read<'_>) -> Result<T>) -> Result<T> {
        let idle = locked(&self.inner.readers).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = Connection::open(&self.inner.path)?;
                configure(&connection)?;
                connection.pragma_update(None, "query_only", true)?;
                connection
            }
        };
        let answer = {
            let snapshot = connection.transaction()?;
            ask(&Read { connection: &snapshot })
        };
        let mut readers = locked(&self.inner.readers);
        if readers.len() < IDLE_READERS_MAX {
            readers.push(connection);
        }
        answer
    }

    /// Changes; durable when it returns `Ok`, without trace when it returns `Err`.
    pub fn write<T>(&self, change: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        let mut writer = locked(&self.inner.writer);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let answer = change(&Tx { read: Read { connection: &transaction } })?;
        transaction.commit()?;
        Ok(answer)
    }
}

impl Read<'_> {
    /// A small named value of a tenant: settings and positions, not records.
    pub fn setting(&self, tenant: &TenantId, key: &str) -> Result<Option<String>> {
        self.maybe(
            "SELECT value FROM settings WHERE tenant = ?1 AND key = ?2",
            (tenant.as_str(), key),
            |row| row.get(0),
        )
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut of: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params, |row| of(row))?;
        Ok(rows.collect::<rusqlite::Result<Vec<T>>>()?)
    }

    fn maybe<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        of: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        Ok(match rows.next()? {
            Some(row) => Some(of(row)?),
            None => None,
        })
    }

    fn one<T: rusqlite::types::FromSql>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<T> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params, |row| row.get(0))?)
    }

    /// Runs one changing statement; the number of rows it touched.
    fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }
}

impl Tx<'_> {
    pub fn set_setting(&self, tenant: &TenantId, key: &str, value: &str) -> Result<()> {
        self.run(
            "INSERT INTO settings (tenant, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET value = excluded.value",
            (tenant.as_str(), key, value),
        )?;
        Ok(())
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // FULL syncs the WAL at every commit: what we answered for survives a power cut
    // (https://www.sqlite.org/pragma.html#pragma_synchronous).
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(MetaError::Newer { path: path.to_owned(), found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

/// A panic while holding the lock leaves a transaction that SQLite rolls back: the connection stays sound.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value of ours that cannot be read back, as rusqlite reports conversions.
fn unreadable(
    column: usize,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(cause))
}

/// Column `column` as anything that parses from text.
fn parsed<T>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|cause| unreadable(column, cause))
}

/// Column `column` as JSON.
fn document<T: serde::de::DeserializeOwned>(
    row: &rusqlite::Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|cause| unreadable(column, cause))
}

/// Column `column` as a count; SQLite's integers are signed, and ours are never negative.
fn count(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// A count as SQLite keeps it.
fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn to_json(record: &'static str, value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|cause| MetaError::Unreadable { record, cause: cause.to_string() })
}

#[cfg(test)]
mod tests;
