//! What is in the lake: one SQLite database, one transaction per change.
//!
//! A file that is not listed here does not exist for any query. A flush commits its files, the log
//! position they came from and what was seen, together, so that a crash at any moment leaves either
//! the log or the lake responsible for an event, never both and never none.

use crate::dedupe::{IDS_MAX, SOURCES_MAX, Seen, SeenChange};
use crate::intake::Restored;
use crate::{Result, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use schema::{Digest, TenantId, Timestamp};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Raised with every change of the tables below; an older catalog is brought up to it at open.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE tenants (
    tenant TEXT PRIMARY KEY,
    flushed_segment INTEGER NOT NULL,
    dropped_duplicates INTEGER NOT NULL,
    corrupt_records INTEGER NOT NULL
) STRICT;
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    class INTEGER NOT NULL,
    day INTEGER NOT NULL,
    path TEXT NOT NULL UNIQUE,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    time_min INTEGER NOT NULL,
    time_max INTEGER NOT NULL,
    received_min INTEGER NOT NULL,
    received_max INTEGER NOT NULL
) STRICT;
CREATE INDEX files_by_tenant ON files (tenant, class, day);
CREATE TABLE bodies (
    file INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (file, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX bodies_by_digest ON bodies (tenant, digest);
CREATE TABLE body_garbage (
    tenant TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (tenant, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE seen_sequences (
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    ranges BLOB NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (tenant, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE seen_ids (
    tenant TEXT NOT NULL,
    number INTEGER NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (tenant, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE holds (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    time_from INTEGER NOT NULL,
    time_until INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
";

/// One Parquet file as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileEntry {
    pub id: i64,
    pub class: i64,
    /// Days since the epoch (UTC) of its events' time.
    pub day: i64,
    /// Below the tenant's folder in the lake.
    pub path: String,
    pub events: u64,
    pub bytes: u64,
    pub time_min: Timestamp,
    pub time_max: Timestamp,
    pub received_min: Timestamp,
    pub received_max: Timestamp,
}

/// A file about to be committed, with the bodies it refers to.
#[derive(Debug)]
pub(crate) struct NewFile {
    /// Its id is not known yet: 0.
    pub entry: FileEntry,
    pub bodies: Vec<Digest>,
}

/// A span of time nothing of which may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HoldRow {
    pub name: String,
    pub from: Timestamp,
    pub until: Timestamp,
}

pub(crate) struct Catalog {
    connection: Mutex<Connection>,
}

impl Catalog {
    pub fn open(path: &Path) -> Result<Catalog> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // FULL: a commit that was answered survives power loss.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "cache_size", -2048)?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 => {
                let transaction = connection.transaction()?;
                transaction.execute_batch(TABLES)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
                transaction.commit()?;
            }
            VERSION => {}
            newer => {
                return Err(StoreError::new(
                    "catalog-too-new",
                    format!("`catalog.sqlite` has version {newer}, this Plura knows {VERSION}"),
                    "start the version of Plura that wrote it",
                ));
            }
        }
        Ok(Catalog { connection: Mutex::new(connection) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tenants(&self) -> Result<Vec<String>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT tenant FROM tenants ORDER BY tenant")?;
        let tenants =
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(tenants)
    }

    pub fn restore(&self, tenant: &TenantId) -> Result<Restored> {
        let connection = self.lock();
        let known = connection
            .prepare_cached(
                "SELECT flushed_segment, dropped_duplicates, corrupt_records FROM tenants WHERE tenant = ?",
            )?
            .query_row([tenant.as_str()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            })
            .optional()?
            .unwrap_or_default();
        let sources = connection
            .prepare_cached("SELECT source, ranges, used FROM seen_sequences WHERE tenant = ?")?
            .query_map([tenant.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned()))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let ids = connection
            .prepare_cached("SELECT number, id FROM seen_ids WHERE tenant = ? ORDER BY number")?
            .query_map([tenant.as_str()], |row| {
                Ok((row.get::<_, i64>(0)?.cast_unsigned(), Uuid::from_bytes(row.get(1)?)))
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Restored {
            flushed_segment: known.0.cast_unsigned(),
            seen: Seen::restore(sources, ids),
            dropped_duplicates: known.1.cast_unsigned(),
            corrupt_records: known.2.cast_unsigned(),
        })
    }
}

#[cfg(feature = "lake")]
impl Catalog {
    pub fn files(&self, tenant: &TenantId) -> Result<Vec<FileEntry>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, class, day, path, events, bytes, time_min, time_max, received_min, received_max
             FROM files WHERE tenant = ? ORDER BY id",
        )?;
        let files = statement
            .query_map([tenant.as_str()], |row| {
                Ok(FileEntry {
                    id: row.get(0)?,
                    class: row.get(1)?,
                    day: row.get(2)?,
                    path: row.get(3)?,
                    events: row.get::<_, i64>(4)?.cast_unsigned(),
                    bytes: row.get::<_, i64>(5)?.cast_unsigned(),
                    time_min: row.get(6)?,
                    time_max: row.get(7)?,
                    received_min: row.get(8)?,
                    received_max: row.get(9)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(files)
    }

    /// Commits a flush. Returns the files with their ids.
    pub fn commit_flush(
        &self,
        tenant: &TenantId,
        files: Vec<NewFile>,
        sealed: &crate::intake::Sealed,
    ) -> Result<Vec<FileEntry>> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let files = insert_files(&transaction, tenant, files)?;
        transaction
            .prepare_cached(
                "INSERT INTO tenants (tenant, flushed_segment, dropped_duplicates, corrupt_records)
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT (tenant) DO UPDATE SET
                 flushed_segment = ?2, dropped_duplicates = ?3, corrupt_records = ?4",
            )?
            .execute(params![
                tenant.as_str(),
                sealed.through_segment.cast_signed(),
                sealed.dropped_duplicates.cast_signed(),
                sealed.corrupt_records.cast_signed(),
            ])?;
        save_seen(&transaction, tenant, &sealed.seen)?;
        transaction.commit()?;
        Ok(files)
    }

    /// Puts `new` in the place of the files `old`, which hold the same events.
    pub fn commit_compaction(
        &self,
        tenant: &TenantId,
        old: &[i64],
        new: NewFile,
    ) -> Result<Vec<FileEntry>> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for id in old {
            transaction.prepare_cached("DELETE FROM files WHERE id = ?")?.execute([id])?;
        }
        let files = insert_files(&transaction, tenant, vec![new])?;
        transaction.commit()?;
        Ok(files)
    }

    /// Deletes files; bodies that nothing refers to any more become garbage.
    pub fn commit_deletion(&self, tenant: &TenantId, files: &[i64]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for id in files {
            transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO body_garbage (tenant, digest)
                     SELECT tenant, digest FROM bodies WHERE file = ?",
                )?
                .execute([id])?;
            transaction.prepare_cached("DELETE FROM files WHERE id = ?")?.execute([id])?;
        }
        transaction
            .prepare_cached(
                "DELETE FROM body_garbage WHERE tenant = ?1 AND EXISTS
                 (SELECT 1 FROM bodies b WHERE b.tenant = ?1 AND b.digest = body_garbage.digest)",
            )?
            .execute([tenant.as_str()])?;
        transaction.commit()?;
        Ok(())
    }

    /// The bodies `files` refer to.
    pub fn bodies_of(&self, files: &[i64]) -> Result<Vec<Digest>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT digest FROM bodies WHERE file = ?")?;
        let mut digests = Vec::new();
        for id in files {
            let found = statement.query_map([id], |row| row.get(0).map(Digest))?;
            digests.extend(found.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        digests.sort_unstable();
        digests.dedup();
        Ok(digests)
    }

    /// Bodies to be removed: nothing referred to them when this was asked.
    pub fn garbage(&self, tenant: &TenantId) -> Result<Vec<Digest>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT digest FROM body_garbage g WHERE tenant = ?1 AND NOT EXISTS
             (SELECT 1 FROM bodies b WHERE b.tenant = ?1 AND b.digest = g.digest)",
        )?;
        let digests = statement
            .query_map([tenant.as_str()], |row| row.get(0).map(Digest))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(digests)
    }

    pub fn garbage_removed(&self, tenant: &TenantId) -> Result<()> {
        self.lock()
            .prepare_cached("DELETE FROM body_garbage WHERE tenant = ?")?
            .execute([tenant.as_str()])?;
        Ok(())
    }

    pub fn holds(&self, tenant: &TenantId) -> Result<Vec<HoldRow>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT name, time_from, time_until FROM holds WHERE tenant = ? ORDER BY name",
        )?;
        let holds = statement
            .query_map([tenant.as_str()], |row| {
                Ok(HoldRow { name: row.get(0)?, from: row.get(1)?, until: row.get(2)? })
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(holds)
    }

    pub fn put_hold(&self, tenant: &TenantId, hold: &HoldRow) -> Result<()> {
        self.lock()
            .prepare_cached("INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?)")?
            .execute(params![tenant.as_str(), hold.name, hold.from, hold.until])?;
        Ok(())
    }

    /// `false` when there is none of that name.
    pub fn remove_hold(&self, tenant: &TenantId, name: &str) -> Result<bool> {
        let removed = self
            .lock()
            .prepare_cached("DELETE FROM holds WHERE tenant = ? AND name = ?")?
            .execute([tenant.as_str(), name])?;
        Ok(removed > 0)
    }
}

#[cfg(feature = "lake")]
fn insert_files(
    transaction: &Transaction<'_>,
    tenant: &TenantId,
    files: Vec<NewFile>,
) -> Result<Vec<FileEntry>> {
    let mut entries = Vec::with_capacity(files.len());
    for NewFile { mut entry, bodies } in files {
        transaction
            .prepare_cached(
                "INSERT INTO files (tenant, class, day, path, events, bytes, time_min, time_max,
                 received_min, received_max) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                tenant.as_str(),
                entry.class,
                entry.day,
                entry.path,
                entry.events.cast_signed(),
                entry.bytes.cast_signed(),
                entry.time_min,
                entry.time_max,
                entry.received_min,
                entry.received_max,
            ])?;
        entry.id = transaction.last_insert_rowid();
        for digest in bodies {
            transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO bodies (file, tenant, digest) VALUES (?, ?, ?)",
                )?
                .execute(params![entry.id, tenant.as_str(), digest.0])?;
        }
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(feature = "lake")]
fn save_seen(transaction: &Transaction<'_>, tenant: &TenantId, seen: &SeenChange) -> Result<()> {
    for (source, ranges, used) in &seen.sources {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO seen_sequences VALUES (?, ?, ?, ?)")?
            .execute(params![tenant.as_str(), source, ranges, used.cast_signed()])?;
    }
    if !seen.sources.is_empty() {
        transaction
            .prepare_cached(
                "DELETE FROM seen_sequences WHERE tenant = ?1 AND used < (SELECT used FROM
                 seen_sequences WHERE tenant = ?1 ORDER BY used DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![tenant.as_str(), SOURCES_MAX as i64])?;
    }
    for (number, id) in &seen.ids {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO seen_ids VALUES (?, ?, ?)")?
            .execute(params![tenant.as_str(), number.cast_signed(), id.as_bytes()])?;
    }
    debug_assert!(seen.ids.len() <= IDS_MAX);
    transaction
        .prepare_cached("DELETE FROM seen_ids WHERE tenant = ? AND number < ?")?
        .execute(params![tenant.as_str(), seen.first_id.cast_signed()])?;
    Ok(())
}
