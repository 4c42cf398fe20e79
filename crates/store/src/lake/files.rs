//! Parquet files of the lake: how they are written, named and removed.

use super::bodies::BodyFolder;
use super::columns::{Bodies, Rows, events_schema};
use crate::catalog::{FileEntry, NewFile};
use crate::faults::Faults;
use crate::intake::Chunk;
use crate::{Result, StoreError, codec, log};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use schema::{Digest, Timestamp, format_time};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) const DAY_MS: i64 = 86_400_000;
/// Columns people look up by value; each has a bloom filter per row group.
pub(crate) const ENTITY_COLUMNS: [&str; 7] =
    ["id", "credential", "account", "session", "src_ip", "device", "endpoint"];
/// Small enough to skip well, large enough to compress well.
const ROW_GROUP_ROWS: usize = 65_536;
const BATCH_ROWS: usize = 8192;
/// One look-up in a hundred opens a row group for nothing; about 10 bits a distinct value.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// A file queries may be reading. It goes from the disk when it is obsolete and the last of them
/// has let go.
#[derive(Debug)]
pub(crate) struct LakeFile {
    pub entry: FileEntry,
    path: PathBuf,
    obsolete: AtomicBool,
}

impl LakeFile {
    pub fn new(root: &Path, entry: FileEntry) -> Arc<LakeFile> {
        let path = root.join(&entry.path);
        Arc::new(LakeFile { entry, path, obsolete: AtomicBool::new(false) })
    }

    /// The catalog no longer has it.
    pub fn retire(&self) {
        self.obsolete.store(true, Ordering::SeqCst);
    }
}

impl Drop for LakeFile {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::SeqCst)
            && let Err(error) = fs::remove_file(&self.path)
        {
            // It is removed as an orphan at the next start.
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a file of the lake");
        }
    }
}

/// Records of one class and day with their times.
type Partition<'a> = Vec<(Timestamp, &'a [u8])>;

/// Writes what a flush took: one file per class and day, sorted by time, durable on return.
pub(crate) fn write_chunks(
    root: &Path,
    bodies: &BodyFolder,
    chunks: &[Arc<Chunk>],
    faults: &Faults,
) -> Result<Vec<NewFile>> {
    let mut partitions: BTreeMap<(i64, i64), Partition<'_>> = BTreeMap::new();
    for record in chunks.iter().flat_map(|chunk| chunk.records()) {
        if let Some(head) = codec::head(record) {
            let day = head.time.div_euclid(DAY_MS);
            partitions.entry((head.class, day)).or_default().push((head.time, record));
        }
    }
    let mut files = Vec::with_capacity(partitions.len());
    let written = partitions.into_iter().try_for_each(|((class, day), mut records)| {
        records.sort_by_key(|(time, _)| *time);
        let mut writer = FileWriter::create(root, class, day, records.len())?;
        let mut aside: BTreeSet<Digest> = BTreeSet::new();
        let mut failed = None;
        let mut rows = Rows::new(None).map_err(unwritable)?;
        for (_, record) in records {
            let mut sink = |digest, body: &str| {
                if aside.insert(digest)
                    && let Err(error) = bodies.put(digest, body, faults)
                {
                    failed.get_or_insert(error);
                }
            };
            let head = codec::head(record);
            if rows.push(record, &mut Bodies::Aside(&mut sink))
                && let Some(head) = head
            {
                writer.note(head.time, head.received);
            }
            if rows.len() == BATCH_ROWS {
                writer.write(&rows.finish().map_err(unwritable)?)?;
            }
        }
        writer.write(&rows.finish().map_err(unwritable)?)?;
        if let Some(error) = failed {
            return Err(error);
        }
        files.push(NewFile { entry: writer.finish(faults)?, bodies: aside.into_iter().collect() });
        Ok(())
    });
    match written {
        Ok(()) => {
            bodies.sync()?;
            Ok(files)
        }
        Err(error) => {
            remove(root, &files);
            Err(error)
        }
    }
}

/// Takes back files that were written but not committed.
pub(crate) fn remove(root: &Path, files: &[NewFile]) {
    for file in files {
        // What stays is removed as an orphan at the next start.
        let _ = fs::remove_file(root.join(&file.entry.path));
    }
}

/// Removes files the catalog does not know: a flush or compaction did not come to its end.
pub(crate) fn remove_orphans(root: &Path, known: &BTreeSet<&str>) -> Result<usize> {
    let failed = |error: &std::io::Error| StoreError::io("list the lake", error);
    let mut removed = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| failed(&e))? {
            let entry = entry.map_err(|e| failed(&e))?;
            let path = entry.path();
            if entry.file_type().map_err(|e| failed(&e))?.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or_default();
            if relative.ends_with(".parquet") && !known.contains(relative) {
                fs::remove_file(&path).map_err(|e| failed(&e))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Writes one file. Dropped before [`FileWriter::finish`], it leaves nothing behind.
pub(crate) struct FileWriter {
    root: PathBuf,
    entry: FileEntry,
    writer: Option<ArrowWriter<File>>,
}

impl FileWriter {
    pub fn create(root: &Path, class: i64, day: i64, rows: usize) -> Result<FileWriter> {
        let failed = |error: &std::io::Error| StoreError::io("make a file of the lake", error);
        let date = format_time(day.saturating_mul(DAY_MS));
        let date = date.split('T').next().unwrap_or_default();
        let mut name = [0u8; 16];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut name)
            .map_err(|_| failed(&std::io::Error::other("no random numbers")))?;
        let path = format!(
            "class={class}/day={date}/{}.parquet",
            uuid::Builder::from_random_bytes(name).into_uuid()
        );
        let full = root.join(&path);
        if let Some(folder) = full.parent()
            && !folder.exists()
        {
            fs::create_dir_all(folder).map_err(|e| failed(&e))?;
            for folder in folder.ancestors().take(3) {
                log::sync_folder(folder).map_err(|e| failed(&e))?;
            }
        }
        let file = File::create_new(&full).map_err(|e| failed(&e))?;
        let entry = FileEntry {
            id: 0,
            class,
            day,
            path,
            events: 0,
            bytes: 0,
            time_min: i64::MAX,
            time_max: i64::MIN,
            received_min: i64::MAX,
            received_max: i64::MIN,
        };
        let mut made = FileWriter { root: root.to_owned(), entry, writer: None };
        made.writer = Some(
            ArrowWriter::try_new(file, events_schema(), Some(properties(rows)))
                .map_err(unwritable)?,
        );
        Ok(made)
    }

    /// Counts one row with these times.
    pub fn note(&mut self, time: Timestamp, received: Timestamp) {
        let entry = &mut self.entry;
        entry.events += 1;
        entry.time_min = entry.time_min.min(time);
        entry.time_max = entry.time_max.max(time);
        entry.received_min = entry.received_min.min(received);
        entry.received_max = entry.received_max.max(received);
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self.writer.as_mut() {
            Some(writer) => writer.write(batch).map_err(unwritable),
            None => Ok(()),
        }
    }

    /// Closes the file and makes it durable.
    pub fn finish(mut self, faults: &Faults) -> Result<FileEntry> {
        let failed = |error: &std::io::Error| StoreError::io("write a file of the lake", error);
        let path = self.root.join(&self.entry.path);
        let mut bytes = 0;
        if let Some(writer) = self.writer.as_mut() {
            writer.finish().map_err(unwritable)?;
            let file = writer.inner_mut();
            bytes = file.metadata().map_err(|e| failed(&e))?.len();
            faults
                .write(usize::try_from(bytes).unwrap_or(usize::MAX))
                .and_then(|()| file.flush())
                .and_then(|()| file.sync_all())
                .map_err(|e| failed(&e))?;
        }
        if let Some(folder) = path.parent() {
            log::sync_folder(folder).map_err(|e| failed(&e))?;
        }
        self.writer = None;
        let mut entry = self.entry.clone();
        // Told from an abandoned one by its path: an empty path is left alone when dropped.
        self.entry.path.clear();
        entry.bytes = bytes;
        Ok(entry)
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if !self.entry.path.is_empty() {
            let _ = fs::remove_file(self.root.join(&self.entry.path));
        }
    }
}

fn properties(rows: usize) -> WriterProperties {
    let schema = events_schema();
    let time = schema.index_of("time").unwrap_or(1) as i32;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_sorting_columns(Some(vec![SortingColumn {
            column_idx: time,
            descending: false,
            nulls_first: false,
        }]))
        // Long texts make long statistics; 64 bytes of them are enough to skip by.
        .set_statistics_truncate_length(Some(64))
        .set_column_index_truncate_length(Some(64));
    for name in ENTITY_COLUMNS {
        let path = ColumnPath::from(name);
        properties = properties
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(path, rows.clamp(1, ROW_GROUP_ROWS) as u64);
    }
    for name in
        ["request_body", "response_body", "raw", "rest", "request_headers", "response_headers"]
    {
        // Nobody skips by the first bytes of these.
        properties = properties
            .set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None)
            .set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    properties.build()
}

pub(crate) fn unwritable(error: impl std::error::Error + 'static) -> StoreError {
    // Parquet and Arrow wrap the error of the disk, which is the one that tells what to do.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return StoreError::io("write a file of the lake", io);
        }
        cause = inner.source();
    }
    StoreError::new(
        "lake-error",
        format!("cannot write a file of the lake: {error}"),
        "nothing is lost, it stays in the log and is tried again; report this with the log",
    )
}
