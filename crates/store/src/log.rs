//! The intake log of one tenant: numbered segments of checksummed records.
//!
//! A segment starts with its header, twice, and goes on with frames. It is preallocated, so that a
//! full disk shows when a segment is made and not in the middle of one, and it is never written to
//! again after a restart, a failure or a flush: the next append makes a new one.
//!
//! ```text
//! header (at 0 and at 2048): "PLURALOG" | version u32 | segment u64 | salt [16] | crc u32
//! frame  (from 4096):        "PLFR" | length u32 | commit u32 | kind u32 | crc u32 | payload | crc u32
//! ```
//! Numbers are little-endian. Both checksums of a frame are CRC-32 over the segment's random salt
//! and the bytes before, so that bytes inside a payload never pass for a frame.

use crate::faults::Faults;
use crate::{Result, StoreError, codec};
use ring::rand::SecureRandom;
use schema::Diagnostic;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SEGMENT_MAGIC: &[u8; 8] = b"PLURALOG";
const SEGMENT_VERSION: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 8 + 16 + 4;
const HEADER_COPY_AT: usize = 2048;
/// One page: the header never shares a sector with records.
const FRAMES_AT: usize = 4096;
const FRAME_MAGIC: &[u8; 4] = b"PLFR";
const FRAME_HEAD_BYTES: usize = 4 + 4 + 4 + 4 + 4;
const FRAME_TAIL_BYTES: usize = 4;
/// What a frame adds to its payload.
pub(crate) const FRAME_BYTES: usize = FRAME_HEAD_BYTES + FRAME_TAIL_BYTES;
/// The largest record; four times the largest body capture with room for its headers.
pub(crate) const RECORD_BYTES_MAX: usize = 16 << 20;
/// A frame that holds an event.
const KIND_EVENT: u32 = 1;
/// The last frame of a segment that was closed in order.
const KIND_END: u32 = 2;

type Salt = [u8; 16];

/// Groups of frames on their way into one segment.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    pub bytes: Vec<u8>,
    /// Where each payload lies in `bytes`.
    pub payloads: Vec<Range<u32>>,
}

/// Writes the log of one tenant.
pub(crate) struct LogWriter {
    folder: PathBuf,
    segment_bytes: u64,
    current: Option<Segment>,
    next_number: u64,
    faults: Arc<Faults>,
}

struct Segment {
    number: u64,
    file: File,
    salt: Salt,
    /// Where the next group goes; everything before it is durable.
    end: u64,
    capacity: u64,
    commit: u32,
}

impl LogWriter {
    pub fn new(folder: &Path, segment_bytes: u64, next_number: u64, faults: Arc<Faults>) -> Self {
        LogWriter { folder: folder.to_owned(), segment_bytes, current: None, next_number, faults }
    }

    /// Writes `records`, which take `bytes` as frames, as one group; when this returns, they are
    /// on disk, in the segment named.
    ///
    /// After an error nothing of the group counts, and the next group goes to a new segment: what
    /// a failed sync left in the page cache is not to be trusted.
    pub fn write<'a>(
        &mut self,
        records: impl Iterator<Item = &'a [u8]>,
        bytes: usize,
    ) -> Result<(u64, Frames)> {
        // Room for the end mark as well.
        let need = (bytes + FRAME_BYTES) as u64;
        if self.current.as_ref().is_some_and(|segment| segment.end + need > segment.capacity) {
            self.close();
        }
        if self.current.is_none() {
            self.current = Some(self.create(need)?);
        }
        let Some(segment) = self.current.as_mut() else { return Err(StoreError::closed()) };
        let mut frames = Frames::default();
        frames.bytes.reserve(bytes);
        segment.commit += 1;
        for record in records {
            put_frame(&mut frames, &segment.salt, segment.commit, KIND_EVENT, record);
        }
        let written = self
            .faults
            .write(frames.bytes.len())
            .and_then(|()| segment.file.write_all_at(&frames.bytes, segment.end))
            .and_then(|()| self.faults.sync())
            .and_then(|()| segment.file.sync_data());
        match written {
            Ok(()) => {
                segment.end += frames.bytes.len() as u64;
                Ok((segment.number, frames))
            }
            Err(error) => {
                if let Some(failed) = self.current.take() {
                    // Best effort: should it fail too, recovery finds whole records that nobody
                    // was told of, which the promise allows.
                    let _ = failed.file.set_len(failed.end);
                }
                Err(StoreError::io("write the intake log", &error))
            }
        }
    }

    /// Closes the segment written to, in order. Returns the number of the last one that exists.
    pub fn close(&mut self) -> u64 {
        if let Some(segment) = self.current.take() {
            let mut end = Frames::default();
            put_frame(&mut end, &segment.salt, segment.commit + 1, KIND_END, &[]);
            // The end mark only sharpens a later diagnosis; without it nothing is lost.
            let closed = segment
                .file
                .write_all_at(&end.bytes, segment.end)
                .and_then(|()| segment.file.set_len(segment.end + end.bytes.len() as u64))
                .and_then(|()| segment.file.sync_data());
            if let Err(error) = closed {
                tracing::warn!(segment = segment.number, %error, "cannot close a log segment in order");
            }
        }
        self.next_number - 1
    }

    fn create(&mut self, need: u64) -> Result<Segment> {
        let number = self.next_number;
        let path = segment_path(&self.folder, number);
        let capacity = self.segment_bytes.max(need + FRAMES_AT as u64 + 4096);
        let failed = |error: &io::Error| StoreError::io("make a log segment", error);
        let mut salt: Salt = [0; 16];
        ring::rand::SystemRandom::new().fill(&mut salt).map_err(|_| {
            StoreError::new("disk-error", "no random numbers", "check the operating system")
        })?;
        let made = self.faults.write(FRAMES_AT).and_then(|()| {
            let file = File::create_new(&path)?;
            preallocate(&file, capacity)?;
            let header = header(number, &salt);
            file.write_all_at(&header, 0)?;
            file.write_all_at(&header, HEADER_COPY_AT as u64)?;
            file.sync_all()?;
            sync_folder(&self.folder)?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                self.next_number += 1;
                Ok(Segment { number, file, salt, end: FRAMES_AT as u64, capacity, commit: 0 })
            }
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(failed(&error))
            }
        }
    }
}

/// Reserves the space. Where the file system cannot, the segment grows as it is written.
fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(error) if error == rustix::io::Errno::NOSPC || error == rustix::io::Errno::DQUOT => {
            Err(error.into())
        }
        Err(_) => Ok(()),
    }
}

/// Makes a new or removed name in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.log"))
}

/// The numbers of the segments in `folder`, lowest first.
pub(crate) fn segments(folder: &Path) -> Result<Vec<u64>> {
    let failed = |error: &io::Error| StoreError::io("list the intake log", error);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| failed(&e))? {
        let name = entry.map_err(|e| failed(&e))?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".log"))
            .filter(|digits| digits.len() == 16)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(crate) fn remove_segment(folder: &Path, number: u64) -> Result<()> {
    match fs::remove_file(segment_path(folder, number)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove a log segment", &error))
        }
        _ => Ok(()),
    }
}

/// What one segment held.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub bytes: Vec<u8>,
    /// Where each event's record lies in `bytes`.
    pub payloads: Vec<Range<u32>>,
    /// Stretches that cannot be read although they had been acknowledged.
    pub corrupt: u64,
    pub diagnostics: Vec<Diagnostic>,
}

pub(crate) fn read_segment(folder: &Path, number: u64) -> Result<Recovered> {
    let path = segment_path(folder, number);
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| StoreError::io("read the intake log", &error))?;
    let scan = scan(&bytes);
    let name = format!("{number:016x}.log");
    if let Some(version) = scan.newer {
        return Err(too_new(&name, &format!("format {version}")));
    }
    let mut diagnostics = Vec::new();
    let mut corrupt = 0;
    for bad in &scan.bad {
        let place = format!("{name}:{}", bad.at.start);
        if bad.acknowledged {
            corrupt += 1;
            diagnostics.push(
                Diagnostic::new(
                    "log-corrupt",
                    place,
                    format!("{} bytes of acknowledged records are damaged", bad.at.len()),
                )
                .hint(
                    "the disk changed what was written: check it; the sender may still have them",
                ),
            );
        } else {
            diagnostics.push(
                Diagnostic::new(
                    "log-torn-tail",
                    place,
                    format!("{} bytes were being written when Plura stopped", bad.at.len()),
                )
                .hint("nothing of it was acknowledged: the sender sends it again"),
            );
        }
    }
    let mut payloads = scan.payloads;
    if let Some(record) =
        payloads.iter().find(|range| codec::visit(slice(&bytes, range), |_, _| {}).is_none())
    {
        return Err(too_new(&name, &format!("the record at byte {}", record.start)));
    }
    payloads.shrink_to_fit();
    Ok(Recovered { bytes, payloads, corrupt, diagnostics })
}

fn too_new(name: &str, what: &str) -> StoreError {
    StoreError::new(
        "log-too-new",
        format!("cannot read {what} of `{name}`: a newer Plura wrote it"),
        "start the newer version once so that it empties its log, or keep to it",
    )
}

/// The bytes of a payload; empty when the range lies outside.
pub(crate) fn slice<'a>(bytes: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
}

#[derive(Debug, Default)]
struct Scan {
    payloads: Vec<Range<u32>>,
    bad: Vec<Bad>,
    /// Set when the segment says that it is of a later version.
    newer: Option<u32>,
}

#[derive(Debug)]
struct Bad {
    at: Range<usize>,
    acknowledged: bool,
}

/// Reads a segment as far as it can be read, past damage.
fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan::default();
    let head = [0, HEADER_COPY_AT].into_iter().find_map(|at| parse_header(bytes.get(at..)?));
    let Some((version, salt)) = head else {
        // A segment whose making was cut short holds nothing yet.
        let acknowledged =
            bytes.get(FRAMES_AT..).is_some_and(|frames| frames.iter().any(|b| *b != 0));
        scan.bad.push(Bad { at: 0..bytes.len(), acknowledged });
        return scan;
    };
    if version != SEGMENT_VERSION {
        scan.newer = Some(version);
        return scan;
    }
    let mut at = FRAMES_AT;
    let mut bad_from = None;
    // The stretches met, with the commit of the frame that follows; the end mark follows only
    // what is on disk.
    let mut stretches: Vec<(Range<usize>, u32)> = Vec::new();
    let mut last_commit = 0;
    while at < bytes.len() {
        if let Some(frame) = frame_at(bytes, at, &salt) {
            if let Some(from) = bad_from.take() {
                let commit = if frame.kind == KIND_END { 0 } else { frame.commit };
                stretches.push((from..at, commit));
            }
            last_commit = last_commit.max(frame.commit);
            if frame.kind == KIND_EVENT {
                scan.payloads.push(frame.payload);
            }
            at = frame.end;
        } else {
            bad_from.get_or_insert(at);
            at = next_magic(bytes, at + 1);
        }
    }
    // A group is begun only after the one before is on disk: damage before the last group is
    // damage to what was acknowledged.
    scan.bad.extend(
        stretches.into_iter().map(|(at, commit)| Bad { at, acknowledged: commit < last_commit }),
    );
    if let Some(from) = bad_from {
        let tail = bytes.get(from..).unwrap_or_default();
        // What was preallocated and never written is zeros.
        if let Some(last) = tail.iter().rposition(|byte| *byte != 0) {
            scan.bad.push(Bad { at: from..from + last + 1, acknowledged: false });
        }
    }
    scan
}

struct Frame {
    payload: Range<u32>,
    commit: u32,
    kind: u32,
    end: usize,
}

fn frame_at(bytes: &[u8], at: usize, salt: &Salt) -> Option<Frame> {
    let head = bytes.get(at..at.checked_add(FRAME_HEAD_BYTES)?)?;
    let (covered, crc) = head.split_at_checked(FRAME_HEAD_BYTES - 4)?;
    if covered.get(..4)? != FRAME_MAGIC || checksum(salt, covered) != number(crc, 0)? {
        return None;
    }
    let length = number(covered, 4)? as usize;
    let start = at + FRAME_HEAD_BYTES;
    let end = start.checked_add(length)?;
    let payload = bytes.get(start..end)?;
    let crc = number(bytes.get(end..end.checked_add(FRAME_TAIL_BYTES)?)?, 0)?;
    if checksum(salt, payload) != crc {
        return None;
    }
    Some(Frame {
        payload: u32::try_from(start).ok()?..u32::try_from(end).ok()?,
        commit: number(covered, 8)?,
        kind: number(covered, 12)?,
        end: end + FRAME_TAIL_BYTES,
    })
}

fn put_frame(frames: &mut Frames, salt: &Salt, commit: u32, kind: u32, payload: &[u8]) {
    let out = &mut frames.bytes;
    let mut head = [0u8; FRAME_HEAD_BYTES - 4];
    let fields = [
        *FRAME_MAGIC,
        // Payloads are at most RECORD_BYTES_MAX.
        (payload.len() as u32).to_le_bytes(),
        commit.to_le_bytes(),
        kind.to_le_bytes(),
    ];
    head.copy_from_slice(fields.as_flattened());
    out.extend_from_slice(&head);
    out.extend_from_slice(&checksum(salt, &head).to_le_bytes());
    let start = out.len() as u32;
    out.extend_from_slice(payload);
    frames.payloads.push(start..out.len() as u32);
    out.extend_from_slice(&checksum(salt, payload).to_le_bytes());
}

fn next_magic(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.windows(FRAME_MAGIC.len())
        .position(|window| window == FRAME_MAGIC)
        .map_or(bytes.len(), |offset| from + offset)
}

fn checksum(salt: &Salt, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(salt);
    hasher.update(bytes);
    hasher.finalize()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn header(number: u64, salt: &Salt) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(SEGMENT_MAGIC);
    out.extend_from_slice(&SEGMENT_VERSION.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(salt);
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn parse_header(bytes: &[u8]) -> Option<(u32, Salt)> {
    let (covered, crc) = bytes.get(..HEADER_BYTES)?.split_at_checked(HEADER_BYTES - 4)?;
    if covered.get(..8)? != SEGMENT_MAGIC || crc32fast::hash(covered) != number(crc, 0)? {
        return None;
    }
    Some((number(covered, 8)?, covered.get(20..36)?.try_into().ok()?))
}

/// For the fuzzer: reads `bytes` as a segment, and as the record after a sound header.
pub fn fuzz_log(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        for payload in scan(bytes).payloads {
            let _ = codec::decode(slice(bytes, &payload));
        }
    };
    read(bytes);
    let _ = codec::decode(bytes);
    let mut whole = header(1, &[0; 16]);
    whole.resize(FRAMES_AT, 0);
    whole.extend_from_slice(bytes);
    read(&whole);
}

#[cfg(test)]
mod tests;
