//! Whatever the files say is found.

use super::*;

#[test]
fn every_word_is_found_in_any_case() {
    let tables = get();
    assert_eq!(tables.words.len(), 960);
    for word in &tables.words {
        let small = word.text.to_ascii_lowercase();
        let found = tables.word(&small).map(|found| (found.text, found.kind));
        assert_eq!(found, Some((word.text, word.kind)), "{}", word.text.escape_ascii());
        for (at, _) in small.iter().enumerate().filter(|(_, byte)| **byte == b' ') {
            let (head, tail) = (&small[..at], &small[at + 1..]);
            assert!(tables.may_be_phrase_head(word.text[0], at));
            assert_eq!(tables.phrase(head, tail).unwrap().1.text, word.text);
        }
    }
    for other in
        [&b""[..], b"SELEC", b"SELECTS", b"SELECT\0", b"sel\xe5ct", &[b'a'; 31], &[b'a'; 99]]
    {
        assert!(tables.word(other).is_none(), "{}", other.escape_ascii());
    }
    assert!(tables.phrase(b"union", &[b'a'; 99]).is_none());
}

#[test]
fn every_fingerprint_is_found() {
    let lines = FINGERPRINTS.lines().filter(|line| !line.starts_with('#'));
    let all: Vec<&str> = lines.flat_map(str::split_ascii_whitespace).collect();
    assert_eq!(all.len(), 8367);
    for fingerprint in all {
        assert!(get().is_fingerprint(fingerprint.as_bytes()), "{fingerprint}");
        assert!(get().is_fingerprint(fingerprint.to_ascii_lowercase().as_bytes()), "{fingerprint}");
    }
    for other in ["", "n", "nnnnn", "s&sosx", "."] {
        assert!(!get().is_fingerprint(other.as_bytes()), "{other}");
    }
}

#[test]
fn few_slots_are_tried() {
    let run = |held: Vec<bool>| held.split(|held| !held).map(<[bool]>::len).max();
    assert!(run(get().word_slots.iter().map(|slot| *slot != 0).collect()) < Some(16));
    assert!(run(get().fingerprint_slots.iter().map(|slot| *slot != 0).collect()) < Some(40));
    assert_eq!((get().word_slots.last(), get().fingerprint_slots.last()), (Some(&0), Some(&0)));
}
