//! Events on disk between the recorder and the server.
//!
//! A folder of segments. A segment is named after the first sequence in it, `<20 digits>.seg`, and
//! holds frames: length (u32), CRC-32 of sequence and payload (u32), sequence (u64), payload; all
//! little-endian. Only what `fdatasync` confirmed is shipped, so a sequence the server has seen is
//! never given to another event, not even after a power cut.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Frame header: length, CRC-32, sequence.
const HEADER_BYTES: usize = 16;

/// Longest payload read back; a length beyond it is a torn or damaged frame. Two bodies at the most a
/// site may keep, escaped, are below it.
pub(super) const PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone)]
pub struct SpoolConfig {
    pub dir: PathBuf,
    /// Beyond it new events are dropped and counted, for the old ones tell how it began.
    pub bytes_max: u64,
    /// A segment is closed at this size, and deleted when the server has all of it.
    pub segment_bytes: u64,
}

impl SpoolConfig {
    /// 1 GiB in segments of 16 MiB.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        SpoolConfig { dir: dir.into(), bytes_max: 1 << 30, segment_bytes: 16 << 20 }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot use spool folder `{dir}`: {source}; the gateway needs to create files in it")]
    Folder { dir: PathBuf, source: io::Error },
    #[error("the spool has reached {0} bytes; raise its limit or bring the server back")]
    Full(u64),
    #[error("cannot write to the spool: {0}; free some disk space")]
    Write(#[from] io::Error),
}

struct Segment {
    first: u64,
    /// Bytes with whole frames.
    bytes: u64,
    /// Bytes of them that are on the disk for certain.
    durable: u64,
}

/// The writing side, and the index both sides share.
pub struct Spool {
    config: SpoolConfig,
    /// Oldest first; the last is written to.
    segments: VecDeque<Segment>,
    file: Option<File>,
    /// Frames not written yet, their number, and the sequence of the first.
    buffer: Vec<u8>,
    buffered: usize,
    next: u64,
    acknowledged: Option<u64>,
    ack: AckFile,
}

/// Where the shipper reads on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    pub(super) segment: u64,
    offset: u64,
}

/// One event in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    pub sequence: u64,
    pub payload: Vec<u8>,
    /// Where the next one begins.
    pub next: Cursor,
}

impl Spool {
    /// Opens the folder, or makes it. A torn last frame is cut off.
    ///
    /// `fresh`: the first sequence when the folder tells of none. It must lie beyond any used before a
    /// folder was lost; the recorder takes it from the clock.
    pub fn open(config: SpoolConfig, fresh: u64) -> Result<Spool, SpoolError> {
        let folder = |source| SpoolError::Folder { dir: config.dir.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&config.dir).map_err(folder)?;
        let mut firsts: Vec<u64> = Vec::new();
        for entry in std::fs::read_dir(&config.dir).map_err(folder)? {
            let name = entry.map_err(folder)?.file_name();
            if let Some(first) = name.to_str().and_then(|n| n.strip_suffix(".seg")?.parse().ok()) {
                firsts.push(first);
            }
        }
        firsts.sort_unstable();
        let ack = AckFile::open(&config.dir.join("ack")).map_err(folder)?;
        let acknowledged = ack.read();
        let mut segments = VecDeque::new();
        let mut next = acknowledged.map_or(fresh, |seen| seen + 1);
        for (i, first) in firsts.iter().enumerate() {
            let path = segment_path(&config.dir, *first);
            let mut bytes = std::fs::metadata(&path).map_err(folder)?.len();
            if i + 1 == firsts.len() {
                let (whole, last) = scan(&path).map_err(folder)?;
                let size = bytes;
                if whole < bytes {
                    tracing::warn!(segment = %path.display(), torn_bytes = bytes - whole, "cut off a torn frame");
                    let file = OpenOptions::new().write(true).open(&path).map_err(folder)?;
                    file.set_len(whole).and_then(|()| file.sync_all()).map_err(folder)?;
                }
                bytes = whole;
                // More frames than this cannot have been in the torn part: what may have been shipped from
                // it keeps its sequence for itself.
                let torn = (size - whole).div_ceil(HEADER_BYTES as u64);
                next = next.max(last.map_or(*first, |last| last + 1) + torn);
            }
            // What was found after a restart has survived it.
            segments.push_back(Segment { first: *first, bytes, durable: bytes });
        }
        let mut spool = Spool {
            config,
            segments,
            file: None,
            buffer: Vec::new(),
            buffered: 0,
            next,
            acknowledged,
            ack,
        };
        if let Some(seen) = acknowledged {
            spool.drop_acknowledged(seen);
        }
        Ok(spool)
    }

    /// The sequence the next event gets.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Bytes on disk and about to be.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum::<u64>() + self.buffer.len() as u64
    }

    /// The last sequence the server has confirmed.
    pub fn acknowledged(&self) -> Option<u64> {
        self.acknowledged
    }

    /// Takes an event under [`Spool::next_sequence`]; [`Spool::write`] puts it in the file.
    pub fn push(&mut self, payload: &[u8]) -> Result<u64, SpoolError> {
        let length =
            u32::try_from(payload.len()).ok().filter(|_| payload.len() <= PAYLOAD_BYTES_MAX);
        let size = (payload.len() + HEADER_BYTES) as u64;
        let Some(length) = length.filter(|_| self.bytes() + size <= self.config.bytes_max) else {
            return Err(SpoolError::Full(self.config.bytes_max));
        };
        let sequence = self.next;
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(&checksum(sequence, payload).to_le_bytes());
        self.buffer.extend_from_slice(&sequence.to_le_bytes());
        self.buffer.extend_from_slice(payload);
        self.buffered += 1;
        self.next += 1;
        Ok(sequence)
    }

    /// Writes what was pushed. On failure, the number of events that are lost by it, and why.
    pub fn write(&mut self) -> Result<(), (usize, io::Error)> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let result = self.write_buffer();
        let lost = std::mem::take(&mut self.buffered);
        self.buffer.clear();
        result.map_err(|error| (lost, error))
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        if self.segments.back().is_none_or(|s| s.bytes >= self.config.segment_bytes) {
            self.roll()?;
        }
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        if self.file.is_none() {
            let path = segment_path(&self.config.dir, segment.first);
            self.file = Some(OpenOptions::new().write(true).open(path)?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let result = file.write_all_at(&self.buffer, segment.bytes);
        match result {
            Ok(()) => {
                segment.bytes += self.buffer.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A disk that is full has taken a part. Without it the next frame follows a whole one;
                // if even that fails, the next write goes over it, for it begins at the same place.
                drop(file.set_len(segment.bytes));
                Err(error)
            }
        }
    }

    /// Ends the segment that is written to: what follows a damaged frame in it could not be read.
    pub(super) fn roll_damaged(&mut self, segment: u64) -> io::Result<()> {
        if self.segments.back().is_some_and(|s| s.first == segment) { self.roll() } else { Ok(()) }
    }

    /// The first sequence behind `segment`.
    pub(super) fn first_after(&self, segment: u64) -> u64 {
        self.segments.iter().map(|s| s.first).find(|first| *first > segment).unwrap_or(self.next)
    }

    fn roll(&mut self) -> io::Result<()> {
        self.sync()?;
        let first = self.next - self.buffered as u64;
        let path = segment_path(&self.config.dir, first);
        self.file = Some(
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?,
        );
        File::open(&self.config.dir)?.sync_all()?;
        self.segments.push_back(Segment { first, bytes: 0, durable: 0 });
        Ok(())
    }

    /// Puts what was written on the disk for certain; only then it is shipped.
    pub fn sync(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        if segment.durable < segment.bytes {
            if let Some(file) = &self.file {
                file.sync_data()?;
            }
            segment.durable = segment.bytes;
        }
        Ok(())
    }

    /// Bytes written and not yet synced.
    pub fn unsynced_bytes(&self) -> u64 {
        self.segments.back().map_or(0, |s| s.bytes - s.durable)
    }

    /// Everything up to `sequence` is with the server: segments that hold nothing else go.
    pub fn acknowledge(&mut self, sequence: u64) {
        if self.acknowledged.is_none_or(|seen| seen < sequence) {
            self.acknowledged = Some(sequence);
            // Lost in a crash it only means sending again, and the server knows what it has.
            if let Err(error) = self.ack.write(sequence) {
                tracing::warn!(%error, "cannot note what the server has; it will be sent again after a restart");
            }
            self.drop_acknowledged(sequence);
        }
    }

    fn drop_acknowledged(&mut self, sequence: u64) {
        while let (Some(oldest), Some(following)) = (self.segments.front(), self.segments.get(1)) {
            if sequence + 1 < following.first {
                break;
            }
            let path = segment_path(&self.config.dir, oldest.first);
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(segment = %path.display(), %error, "cannot delete a spool segment that was shipped");
                break;
            }
            self.segments.pop_front();
        }
        // The last segment too, once it is full, so that a quiet gateway keeps nothing old.
        if let Some(last) = self.segments.back()
            && sequence + 1 == self.next
            && self.buffer.is_empty()
            && last.bytes >= self.config.segment_bytes
            && self.roll().is_ok()
        {
            self.drop_acknowledged(sequence);
        }
    }

    /// Where reading begins: after what the server has.
    pub fn start(&self) -> Cursor {
        Cursor { segment: self.segments.front().map_or(0, |s| s.first), offset: 0 }
    }

    /// The file to read at `cursor`, and how far; moves on to the next segment at the end of one.
    fn readable(&self, cursor: &mut Cursor) -> Option<(PathBuf, u64)> {
        loop {
            let at = self.segments.iter().position(|s| s.first >= cursor.segment)?;
            let segment = self.segments.get(at)?;
            if segment.first != cursor.segment {
                *cursor = Cursor { segment: segment.first, offset: 0 };
            }
            if cursor.offset < segment.durable {
                return Some((segment_path(&self.config.dir, segment.first), segment.durable));
            }
            let following = self.segments.get(at + 1)?;
            *cursor = Cursor { segment: following.first, offset: 0 };
        }
    }

    /// Prepares a read of up to `bytes` at `cursor`: the file work happens without the spool's lock.
    pub fn plan(&self, cursor: Cursor, bytes: usize) -> Option<ReadPlan> {
        let mut cursor = cursor;
        let (path, end) = self.readable(&mut cursor)?;
        Some(ReadPlan { path, end, cursor, bytes, acknowledged: self.acknowledged })
    }
}

/// A read that was agreed with the index.
pub struct ReadPlan {
    path: PathBuf,
    end: u64,
    pub(super) cursor: Cursor,
    bytes: usize,
    acknowledged: Option<u64>,
}

impl ReadPlan {
    /// The events there, at least one if any is readable, and where to go on. A damaged frame ends its
    /// segment: what follows it cannot be found again, and is told of.
    pub fn read(&self) -> io::Result<(Vec<Spooled>, Cursor, Option<u64>)> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.cursor.offset))?;
        let mut reader = io::BufReader::new(file);
        let mut events = Vec::new();
        let (mut at, mut taken) = (self.cursor, 0usize);
        while at.offset < self.end {
            let Some((sequence, payload)) = frame(&mut reader)? else {
                let skipped = self.end - at.offset;
                return Ok((events, Cursor { segment: at.segment + 1, offset: 0 }, Some(skipped)));
            };
            at.offset += (HEADER_BYTES + payload.len()) as u64;
            if self.acknowledged.is_some_and(|seen| sequence <= seen) {
                continue;
            }
            taken += payload.len() + 1;
            if taken > self.bytes && !events.is_empty() {
                at.offset -= (HEADER_BYTES + payload.len()) as u64;
                break;
            }
            events.push(Spooled { sequence, payload, next: at });
        }
        Ok((events, at, None))
    }
}

fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

fn checksum(sequence: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The next whole frame; `None` when what is there is none.
fn frame(reader: &mut impl Read) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut header = [0u8; HEADER_BYTES];
    if !fill(reader, &mut header)? {
        return Ok(None);
    }
    let [a, b, c, d, e, f, g, h, sequence @ ..] = header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let crc = u32::from_le_bytes([e, f, g, h]);
    let sequence = u64::from_le_bytes(sequence);
    if length > PAYLOAD_BYTES_MAX {
        return Ok(None);
    }
    let mut payload = Vec::new();
    // Grows with what is there, so that a damaged length costs nothing.
    if reader.take(length as u64).read_to_end(&mut payload)? < length {
        return Ok(None);
    }
    Ok((checksum(sequence, &payload) == crc).then_some((sequence, payload)))
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Bytes of whole frames at the front of a segment, and the last sequence in them.
fn scan(path: &Path) -> io::Result<(u64, Option<u64>)> {
    let mut reader = io::BufReader::new(File::open(path)?);
    let (mut bytes, mut last) = (0u64, None);
    while let Some((sequence, payload)) = frame(&mut reader)? {
        bytes += (HEADER_BYTES + payload.len()) as u64;
        last = Some(sequence);
    }
    Ok((bytes, last))
}

/// The last acknowledged sequence, in two places of one small file by turns: a write that is torn
/// leaves the one before. Written over in place, so that it works on a full disk.
struct AckFile {
    file: File,
    turn: u64,
}

impl AckFile {
    const SLOT_BYTES: u64 = 32;

    fn open(path: &Path) -> io::Result<AckFile> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        if file.metadata()?.len() < AckFile::SLOT_BYTES * 2 {
            file.write_all_at(&[0; 64], 0)?;
        }
        let mut ack = AckFile { file, turn: 0 };
        ack.turn = ack.slots().map(|(turn, _)| turn).max().unwrap_or(0);
        Ok(ack)
    }

    fn slots(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        (0..2u64).filter_map(|slot| {
            let mut bytes = [0u8; 20];
            self.file.read_exact_at(&mut bytes, slot * AckFile::SLOT_BYTES).ok()?;
            let (turn, rest) = bytes.split_first_chunk::<8>()?;
            let (sequence, crc) = rest.split_first_chunk::<8>()?;
            let (turn, sequence) = (u64::from_le_bytes(*turn), u64::from_le_bytes(*sequence));
            let crc = u32::from_le_bytes(crc.try_into().ok()?);
            (turn > 0 && crc == checksum(turn, &sequence.to_le_bytes())).then_some((turn, sequence))
        })
    }

    fn read(&self) -> Option<u64> {
        self.slots().max().map(|(_, sequence)| sequence)
    }

    fn write(&mut self, sequence: u64) -> io::Result<()> {
        let turn = self.turn + 1;
        let mut bytes = Vec::with_capacity(20);
        bytes.write_all(&turn.to_le_bytes())?;
        bytes.write_all(&sequence.to_le_bytes())?;
        bytes.write_all(&checksum(turn, &sequence.to_le_bytes()).to_le_bytes())?;
        self.file.write_all_at(&bytes, (turn % 2) * AckFile::SLOT_BYTES)?;
        self.turn = turn;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
