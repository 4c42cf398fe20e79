//! Windows' event log files (EVTX), a chunk at a time: memory does not grow with the file.

use super::{Item, Listener, Told, broken};
use crate::limits::RECORD_BYTES_MAX;
use evtx::{EvtxChunkData, ParserSettings};
use schema::Diagnostic;
use std::error::Error;
use std::io::Read;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What an event log begins with.
pub const EVTX_MAGIC: &[u8; 8] = b"ElfFile\0";

const HEADER_BYTES: usize = 4096;
const CHUNK_BYTES: usize = 65536;

/// Where reading is.
struct Place<'f> {
    file: &'f str,
    chunk: u64,
    number: u64,
}

impl Place<'_> {
    fn problem(&self, code: &str, message: String) -> Diagnostic {
        let offset = HEADER_BYTES as u64 + self.chunk * CHUNK_BYTES as u64;
        let place = format!("{}: chunk {} at byte {offset}", self.file, self.chunk + 1);
        Diagnostic::new(code, place, message)
    }
}

/// Reads all chunks in the order of the file. The header is not needed for it; a damaged one is told.
pub(super) fn read(file: &str, bytes: &mut dyn Read, each: &mut Listener<'_>) -> ControlFlow<()> {
    let mut header = Vec::new();
    if let Err(error) = bytes.take(HEADER_BYTES as u64).read_to_end(&mut header) {
        return each(Told::Problem(broken(file, &error)));
    }
    if !header.starts_with(EVTX_MAGIC) || header.len() < HEADER_BYTES {
        let message = match header.len() < HEADER_BYTES {
            true => format!("the file ends within its header, after {} bytes", header.len()),
            false => "the file does not begin as an event log does".to_owned(),
        };
        let problem = Diagnostic::new("damaged-header", file, message);
        each(Told::Problem(problem.hint("its chunks are looked for nevertheless")))?;
    }
    let settings = Arc::new(ParserSettings::default().indent(false));
    let mut place = Place { file, chunk: 0, number: 0 };
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = bytes.take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
        let ended = read.is_err() || chunk.len() < CHUNK_BYTES;
        if let Err(error) = read {
            each(Told::Problem(broken(file, &error)))?;
        }
        if chunk.iter().any(|byte| *byte != 0) {
            if chunk.len() < CHUNK_BYTES {
                let message = format!("the file ends within it, after {} bytes", chunk.len());
                each(Told::Problem(place.problem("cut-chunk", message)))?;
                chunk.resize(CHUNK_BYTES, 0);
            }
            read_chunk(chunk, &settings, &mut place, each)?;
        }
        if ended {
            return ControlFlow::Continue(());
        }
        place.chunk += 1;
    }
}

/// A record as JSON, or why there is none.
type Rendered = Result<(u64, Vec<u8>), String>;

fn read_chunk(
    bytes: Vec<u8>,
    settings: &Arc<ParserSettings>,
    place: &mut Place<'_>,
    each: &mut Listener<'_>,
) -> ControlFlow<()> {
    let mut data = match EvtxChunkData::new(bytes, false) {
        Ok(data) => data,
        Err(error) => {
            let problem = place.problem("damaged-chunk", reasons(&error));
            return each(Told::Problem(problem.hint("its records are not read")));
        }
    };
    let first = data.header.first_event_record_number;
    let last = data.header.last_event_record_number;
    let said = last.saturating_add(1).saturating_sub(first);
    let mut records: Vec<Rendered> = Vec::new();
    // The crate forbids itself `unsafe` and is fuzzed, but a slip of it must not end the hunt.
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut chunk = data.parse(Arc::clone(settings)).map_err(|error| reasons(&error))?;
        for record in chunk.iter() {
            let rendered = record.and_then(|record| record.into_json_bytes());
            records.push(match rendered {
                Ok(record) => Ok((record.event_record_id, record.data)),
                Err(error) => Err(reasons(&error)),
            });
        }
        Ok::<(), String>(())
    }));
    let count = records.len() as u64;
    for record in records {
        place.number += 1;
        let told = match &record {
            Ok((_, json)) if json.len() <= RECORD_BYTES_MAX => {
                Told::Record(Item { number: place.number, json })
            }
            Ok((id, json)) => {
                let (bytes, max) = (json.len(), RECORD_BYTES_MAX);
                let message = format!("record {id} comes to {bytes} bytes; at most {max} are read");
                Told::Problem(place.problem("long-record", message))
            }
            Err(reason) => Told::Problem(place.problem("damaged-record", reason.clone())),
        };
        each(told)?;
    }
    match done {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => each(Told::Problem(place.problem("damaged-chunk", reason)))?,
        Err(_) => {
            let message = format!("its reader failed after {count} records");
            return each(Told::Problem(place.problem("damaged-chunk", message)));
        }
    }
    // Numbers that the header cannot have counted are damage of the header alone, where there are records.
    if count < said && said <= CHUNK_BYTES as u64 {
        let message = format!("its header counts {said} records; {count} were found");
        return each(Told::Problem(place.problem("missing-records", message)));
    }
    // A chunk that was never written to has no last record, or one before the first.
    let is_fresh = last == u64::MAX || last.checked_add(1) == Some(first);
    if count == 0 && !is_fresh {
        let message = format!("its header numbers records from {first} to {last}; none was found");
        return each(Told::Problem(place.problem("missing-records", message)));
    }
    ControlFlow::Continue(())
}

/// An error with those below it, as one line.
fn reasons(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text.push_str(": ");
        text.push_str(error.to_string().trim_end_matches('.'));
        below = error.source();
    }
    text
}
