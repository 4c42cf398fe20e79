use crate::audit::{Book, Closed};
use crate::lines::{Line, Lines};
use crate::reading::{self, Context, Note, Raw, Reading};
use crate::{Format, LINE_BYTES_MAX, LINE_KEPT_BYTES, OCSF_LINE_BYTES_MAX, Source, secrets};
use schema::{Diagnostic, Digest, Event, TenantId, Timestamp, class, event_id};
use std::collections::VecDeque;

/// Events held back behind an open audit group so that they come out in order: at most this many…
pub const SLOTS_MAX: usize = 4096;

/// …and at most about this many bytes of raw records; then the oldest group is closed.
pub const SLOTS_BYTES_MAX: usize = 16 << 20;

/// What one push gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// In the order of their first lines.
    pub events: Vec<Event>,
    /// What was wrong, by record number; the event it concerns carries the first of them too.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the bytes of one source.
///
/// An event's sequence is the number of its first record (a line that is not blank), counted from
/// `first_sequence`; an audit event of several lines takes as many numbers and shows the first.
/// Events come out in the order of their sequences.
pub struct Parser {
    lines: Lines,
    state: State,
}

struct State {
    tenant: TenantId,
    source: Source,
    keep_ocsf_raw: bool,
    next: u64,
    book: Book,
    slots: VecDeque<Slot>,
    /// Number of the slot in front, counted from the parser's start.
    front: u64,
    held_bytes: usize,
}

enum Slot {
    Ready(Box<Event>, Vec<Diagnostic>, usize),
    /// An audit group that still waits for records.
    Open,
}

impl Parser {
    pub fn new(tenant: TenantId, source: Source, first_sequence: u64) -> Self {
        let limit = match source.format {
            Format::Ocsf => OCSF_LINE_BYTES_MAX,
            _ => LINE_BYTES_MAX,
        };
        Parser {
            lines: Lines::new(limit),
            state: State {
                tenant,
                source,
                keep_ocsf_raw: true,
                next: first_sequence,
                book: Book::default(),
                slots: VecDeque::new(),
                front: 0,
                held_bytes: 0,
            },
        }
    }

    /// Whether `raw` holds the line of an OCSF record that was understood in full.
    ///
    /// Such a record can be rebuilt from its event; without, its body evidence is stored once, not twice.
    #[must_use]
    pub fn keep_ocsf_raw(mut self, keep: bool) -> Self {
        self.state.keep_ocsf_raw = keep;
        self
    }

    /// The number the next record will get; a later parser of the same source starts here.
    pub fn next_sequence(&self) -> u64 {
        self.state.next
    }

    /// Reads what came at `received`. An empty push lets audit groups grow old.
    pub fn push(&mut self, bytes: &[u8], received: Timestamp) -> Parsed {
        let mut parsed = Parsed::default();
        let mut rest = bytes;
        self.state.close_old(received);
        while !rest.is_empty() {
            self.lines.push(&mut rest, |line| self.state.record(line, received, &mut parsed));
        }
        self.state.drain(&mut parsed);
        parsed
    }

    /// Ends the stream: reads a last line without its newline and closes every audit group.
    pub fn finish(&mut self, received: Timestamp) -> Parsed {
        let mut parsed = Parsed::default();
        self.lines.finish(|line| self.state.record(line, received, &mut parsed));
        let closed = self.state.book.close_all();
        self.state.fill(closed);
        self.state.drain(&mut parsed);
        parsed
    }
}

impl State {
    fn record(&mut self, line: Line<'_>, received: Timestamp, parsed: &mut Parsed) {
        if line.bytes.iter().all(u8::is_ascii_whitespace) && !line.is_cut() {
            return;
        }
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        let context = Context { source: &self.source, received };

        let mut notes = Vec::new();
        let text = String::from_utf8_lossy(line.bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            let at = std::str::from_utf8(line.bytes).err().map_or(0, |e| e.valid_up_to());
            notes.push(
                Note::new("invalid-utf8", format!("byte {at} of the line is not UTF-8")).hint(
                    "such bytes are kept as U+FFFD; `raw_sha256` is that of the line as it came",
                ),
            );
        }
        if memchr::memchr(0, line.bytes).is_some() {
            notes.push(
                Note::new("nul-bytes", "the line holds NUL bytes")
                    .hint("a crash or a log rotated by truncation leaves them; the text is read without those at its ends"),
            );
        }

        if line.is_cut() {
            let kept = secrets::mask_text(&text);
            let note = Note::new(
                "line-too-long",
                format!("the line has {} bytes; the first {LINE_KEPT_BYTES} are kept", line.length),
            )
            .hint("`raw_sha256` is that of the whole line");
            let mut event = context.event(class::BASE_EVENT, None, "unknown");
            event.raw = Some(kept.into_owned());
            crate::text::put(&mut event.rest, "unmapped.raw_bytes", line.length);
            notes.insert(0, note);
            self.finish_event(&mut event, line.sha256, sequence, received);
            self.ready(event, notes, sequence, parsed);
            return;
        }

        match reading::read(&text, &context) {
            Reading::Event { mut event, raw, notes: read } => {
                notes.splice(0..0, read);
                match raw {
                    Raw::Line => event.raw = Some(text.into_owned()),
                    Raw::Masked(masked) => event.raw = Some(masked),
                    Raw::Own
                        if event.raw.is_none() && (self.keep_ocsf_raw || !notes.is_empty()) =>
                    {
                        event.raw = Some(text.into_owned());
                    }
                    Raw::Own => {}
                }
                self.finish_event(&mut event, line.sha256, sequence, received);
                self.ready(*event, notes, sequence, parsed);
            }
            Reading::Audit(record) => {
                let slot = self.front + self.slots.len() as u64;
                self.held_bytes += line.bytes.len();
                let record = record.with_notes(notes);
                let added = self.book.add(*record, line.bytes, sequence, slot, received);
                if added.opened {
                    self.slots.push_back(Slot::Open);
                }
                self.fill(added.closed);
                self.limit();
                self.drain(parsed);
            }
        }
    }

    /// What every event carries, whatever it was read from.
    fn finish_event(&self, event: &mut Event, sha256: Digest, sequence: u64, received: Timestamp) {
        let own_numbers = event.source.as_deref() == Some(&self.source.name)
            && event.sequence.is_some_and(|own| own >= 0);
        if !own_numbers {
            event.source = Some(self.source.name.clone());
            event.sequence = Some(i64::try_from(sequence).unwrap_or(i64::MAX));
        }
        if event.id.is_nil() {
            let number = event.sequence.and_then(|own| u64::try_from(own).ok()).unwrap_or(sequence);
            event.id = event_id(&self.tenant, &self.source.name, number, event.time);
        }
        event.received = received;
        if event.device.is_none() {
            event.device.clone_from(&self.source.device);
        }
        if event.site.is_none() {
            event.site.clone_from(&self.source.site);
        }
        if event.raw_sha256.is_none() {
            event.raw_sha256 = Some(sha256.to_hex());
        }
    }

    fn ready(&mut self, mut event: Event, notes: Vec<Note>, sequence: u64, parsed: &mut Parsed) {
        let diagnostics = self.diagnose(&mut event, notes, sequence);
        if self.slots.is_empty() {
            self.front += 1;
            parsed.events.push(event);
            parsed.diagnostics.extend(diagnostics);
        } else {
            let bytes = event.raw.as_ref().map_or(0, String::len);
            self.held_bytes += bytes;
            self.slots.push_back(Slot::Ready(Box::new(event), diagnostics, bytes));
            self.limit();
            self.drain(parsed);
        }
    }

    /// Writes the first note into the event and tells of all of them.
    fn diagnose(&self, event: &mut Event, mut notes: Vec<Note>, sequence: u64) -> Vec<Diagnostic> {
        notes.extend(reading::time_note(event.time, event.received));
        if let (Some(first), None) = (notes.first(), &event.diagnostic) {
            event.diagnostic = Some(first.code.to_owned());
            event.diagnostic_detail = Some(first.detail.clone());
        }
        let place = format!("`{}` record {sequence}", self.source.name);
        notes
            .into_iter()
            .map(|note| {
                let diagnostic = Diagnostic::new(note.code, place.clone(), note.detail);
                match note.hint {
                    Some(hint) => diagnostic.hint(hint),
                    None => diagnostic,
                }
            })
            .collect()
    }

    fn close_old(&mut self, received: Timestamp) {
        let closed = self.book.close_old(received);
        self.fill(closed);
    }

    /// Puts finished audit groups into the places kept for them.
    fn fill(&mut self, closed: Vec<Closed>) {
        for group in closed {
            let Closed { mut event, notes, sequence, slot, received, sha256, bytes } = group;
            self.finish_event(&mut event, sha256, sequence, received);
            let diagnostics = self.diagnose(&mut event, notes, sequence);
            let place = usize::try_from(slot.saturating_sub(self.front)).unwrap_or(usize::MAX);
            if let Some(open) = self.slots.get_mut(place) {
                *open = Slot::Ready(event, diagnostics, bytes);
            }
        }
    }

    fn limit(&mut self) {
        while self.slots.len() > SLOTS_MAX || self.held_bytes > SLOTS_BYTES_MAX {
            let closed = self.book.close_oldest();
            if closed.is_empty() {
                break;
            }
            self.fill(closed);
            if matches!(self.slots.front(), Some(Slot::Ready(..))) {
                break;
            }
        }
    }

    fn drain(&mut self, parsed: &mut Parsed) {
        while matches!(self.slots.front(), Some(Slot::Ready(..))) {
            if let Some(Slot::Ready(event, diagnostics, bytes)) = self.slots.pop_front() {
                self.front += 1;
                self.held_bytes = self.held_bytes.saturating_sub(bytes);
                parsed.events.push(*event);
                parsed.diagnostics.extend(diagnostics);
            }
        }
    }
}
