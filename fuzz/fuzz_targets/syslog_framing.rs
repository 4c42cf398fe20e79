//! Syslog over a stream, split anywhere: the same messages come out.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/server/src/syslog/framing.rs"]
mod framing;

fn messages(pieces: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let mut framing = framing::Framer::default();
    for piece in pieces {
        framing.push(piece, |message| found.push(message.to_vec())).ok()?;
    }
    framing.finish(|message| found.push(message.to_vec()));
    Some(found)
}

fuzz_target!(|data: &[u8]| {
    let Some((at, stream)) = data.split_first() else { return };
    let at = usize::from(*at).min(stream.len());
    let (first, second) = stream.split_at(at);
    assert_eq!(messages(&[stream]), messages(&[first, second]));
});
