//! Event logs with any bytes in them: all is read or told, in bounded memory. Seeds are chunks of real ones.
#![no_main]

use hunt::read::{Told, read_from};
use libfuzzer_sys::fuzz_target;
use plura_fuzz::{files, seed, shared};
use std::ops::ControlFlow;

/// The file's header; the fuzzer's bytes are what comes after it.
const HEADER_BYTES: usize = 4096;
const CHUNK_BYTES: usize = 65536;

/// The first chunk of each small file of odd ones.
fn seeds() -> Vec<Vec<u8>> {
    let folder = shared("corpora/evtx-odd");
    let logs = folder.iter().flat_map(|folder| files(folder, ".evtx"));
    let chunk =
        |bytes: Vec<u8>| Some(bytes.get(HEADER_BYTES..HEADER_BYTES + CHUNK_BYTES)?.to_vec());
    logs.filter_map(|file| chunk(std::fs::read(file).ok()?)).collect()
}

/// Whether a chunk is empty, or its header says that no record was ever written to it.
fn is_fresh(chunk: &[u8]) -> bool {
    let number = |at: usize| {
        let bytes: Option<[u8; 8]> = chunk.get(at..at + 8).and_then(|b| b.try_into().ok());
        bytes.map(u64::from_le_bytes)
    };
    let (first, last) = (number(8), number(16));
    let unused = last == Some(u64::MAX) || last.and_then(|last| last.checked_add(1)) == first;
    unused || chunk.iter().all(|byte| *byte == 0)
}

fuzz_target!(init: seed("chunk", seeds), |data: &[u8]| {
    let mut file = b"ElfFile\0".to_vec();
    file.resize(HEADER_BYTES, 0);
    file.extend_from_slice(data);
    // A whole chunk, and one that is cut off.
    for whole in [true, false] {
        if whole {
            let short = (CHUNK_BYTES - data.len() % CHUNK_BYTES) % CHUNK_BYTES;
            file.resize(HEADER_BYTES + data.len() + short, 0);
        } else {
            file.truncate(HEADER_BYTES + data.len());
        }
        let mut told = 0;
        let _ = read_from("x.evtx", Box::new(file.as_slice()), false, &mut |what| {
            if let Told::Record(item) = what {
                assert!(item.json.len() <= hunt::limits::RECORD_BYTES_MAX);
            }
            told += 1;
            ControlFlow::Continue(())
        });
        let quiet = data.chunks(CHUNK_BYTES).all(|chunk| is_fresh(chunk));
        assert!(told > 0 || quiet, "nothing is told");
    }
});
