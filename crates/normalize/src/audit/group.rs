//! Brings together the records of one audit event.

use super::{Record, activities};
use crate::reading::Note;
use ring::digest::{Context, SHA256};
use schema::{Digest, Event, Timestamp};
use std::collections::{HashMap, VecDeque};

/// Audit events that may be open at once; then the oldest is closed. Records of one event come
/// close together: only many interleaved hosts open this many.
pub const GROUPS_OPEN_MAX: usize = 256;

/// Records of one event; the kernel writes a handful, EXECVE with long arguments some dozens.
pub const GROUP_RECORDS_MAX: usize = 256;

/// Bytes of one event's records: twice the kernel's 128 KiB for a single argument (`MAX_ARG_STRLEN`), in hex.
pub const GROUP_BYTES_MAX: usize = 512 << 10;

/// An event is closed when its host has written records this much later, or nothing for this long;
/// `auparse` waits 2 s as well (`EOE_TIMEOUT`).
pub const GROUP_AGE_MS_MAX: i64 = 2000;

/// Processes remembered, to tell a parent's name by its pid.
pub const PROCESSES_KNOWN_MAX: usize = 16_384;

/// Records that are the only one of their event or may stand alone, and those that wait for more.
const WAITING: [&str; 33] = [
    "SYSCALL",
    "PATH",
    "CWD",
    "EXECVE",
    "SOCKADDR",
    "SOCKETCALL",
    "PROCTITLE",
    "EOE",
    "IPC",
    "IPC_SET_PERM",
    "MMAP",
    "FD_PAIR",
    "OBJ_PID",
    "BPRM_FCAPS",
    "CAPSET",
    "AVC",
    "SELINUX_ERR",
    "SECCOMP",
    "KERN_MODULE",
    "NETFILTER_CFG",
    "NETFILTER_PKT",
    "FANOTIFY",
    "OPENAT2",
    "BPF",
    "URINGOP",
    "CONFIG_CHANGE",
    "LOGIN",
    "MQ_OPEN",
    "MAC_TASK_CONTEXTS",
    "MAC_OBJ_CONTEXTS",
    "TIME_INJOFFSET",
    "ANOM_PROMISCUOUS",
    "ANOM_LINK",
];

struct Group {
    node: String,
    time: Timestamp,
    serial: u64,
    records: Vec<Record>,
    digest: Context,
    bytes: usize,
    sequence: u64,
    slot: u64,
    received: Timestamp,
    /// Its last record of a kind that comes last has come; an EOE may still follow.
    ended: bool,
}

/// A finished event on its way out.
pub(crate) struct Closed {
    pub event: Box<Event>,
    pub notes: Vec<Note>,
    pub sequence: u64,
    pub slot: u64,
    pub received: Timestamp,
    pub sha256: Digest,
    pub bytes: usize,
}

pub(crate) struct Added {
    /// The record began a new event.
    pub opened: bool,
    pub closed: Vec<Closed>,
}

/// The open events of a source, and its processes.
#[derive(Default)]
pub(crate) struct Book {
    /// Oldest first.
    open: Vec<Group>,
    /// This source writes EOE records: PROCTITLE is not the last.
    has_end_records: bool,
    processes: Processes,
}

impl Book {
    pub fn add(
        &mut self,
        record: Record,
        line: &[u8],
        sequence: u64,
        slot: u64,
        received: Timestamp,
    ) -> Added {
        let mut closed = Vec::new();
        let place = self.open.iter().rposition(|group| {
            group.serial == record.serial && group.time == record.time && group.node == record.node
        });
        let waits = WAITING.contains(&record.kind.as_str());
        self.has_end_records |= record.kind == "EOE";
        let mut ends = record.kind == "EOE" || !waits;
        let last = record.kind == "PROCTITLE" && !self.has_end_records;

        let opened = place.is_none();
        let place = match place {
            Some(place) => {
                if let Some(group) = self.open.get_mut(place) {
                    group.digest.update(b"\n");
                }
                place
            }
            None => {
                self.close_where(&mut closed, |group| {
                    group.node == record.node
                        && (group.ended || group.time < record.time - GROUP_AGE_MS_MAX)
                });
                // An EOE alone ends an event that was closed before: it is told of below.
                self.open.push(Group {
                    node: record.node.clone(),
                    time: record.time,
                    serial: record.serial,
                    records: Vec::new(),
                    digest: Context::new(&SHA256),
                    bytes: 0,
                    sequence,
                    slot,
                    received,
                    ended: false,
                });
                self.open.len() - 1
            }
        };
        if let Some(group) = self.open.get_mut(place) {
            group.digest.update(line);
            group.bytes += line.len();
            group.received = received;
            group.ended |= last;
            group.records.push(record);
            if group.records.len() >= GROUP_RECORDS_MAX || group.bytes >= GROUP_BYTES_MAX {
                let note = Note::new(
                    "audit-event-too-long",
                    format!(
                        "closed after {} records of {} bytes",
                        group.records.len(),
                        group.bytes
                    ),
                )
                .hint("further records of it come as an event of their own");
                if let Some(record) = group.records.first_mut() {
                    record.notes.push(note);
                }
                ends = true;
            }
        }
        if ends && place < self.open.len() {
            let group = self.open.remove(place);
            closed.push(self.close(group));
        }
        if self.open.len() > GROUPS_OPEN_MAX {
            closed.extend(self.close_oldest());
        }
        Added { opened, closed }
    }

    /// Closes what has waited too long at `now`.
    pub fn close_old(&mut self, now: Timestamp) -> Vec<Closed> {
        let mut closed = Vec::new();
        self.close_where(&mut closed, |group| {
            now.saturating_sub(group.received) > GROUP_AGE_MS_MAX
        });
        closed
    }

    pub fn close_oldest(&mut self) -> Vec<Closed> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let group = self.open.remove(0);
        vec![self.close(group)]
    }

    pub fn close_all(&mut self) -> Vec<Closed> {
        let mut closed = Vec::new();
        self.close_where(&mut closed, |_| true);
        closed
    }

    fn close_where(&mut self, closed: &mut Vec<Closed>, is_over: impl Fn(&Group) -> bool) {
        let mut place = 0;
        while let Some(group) = self.open.get(place) {
            if is_over(group) {
                let group = self.open.remove(place);
                closed.push(self.close(group));
            } else {
                place += 1;
            }
        }
    }

    fn close(&mut self, mut group: Group) -> Closed {
        let mut notes: Vec<Note> =
            group.records.iter_mut().flat_map(|record| std::mem::take(&mut record.notes)).collect();
        let mut event = activities::build(&group.records, &mut self.processes);
        if !group.records.iter().any(|record| record.kind != "EOE") {
            notes.push(Note::new(
                "audit-late",
                "the end of an event that was closed before it came",
            ));
        }
        let lines: Vec<&str> = group.records.iter().map(|record| record.raw.as_str()).collect();
        event.raw = Some(lines.join("\n"));
        let mut digest = [0u8; 32];
        digest.copy_from_slice(group.digest.finish().as_ref());
        Closed {
            event: Box::new(event),
            notes,
            sequence: group.sequence,
            slot: group.slot,
            received: group.received,
            sha256: Digest(digest),
            bytes: group.bytes,
        }
    }
}

/// A process as its last record showed it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Process {
    pub name: Option<String>,
    pub path: Option<String>,
    pub command_line: Option<String>,
}

/// The last [`PROCESSES_KNOWN_MAX`] processes, first seen first forgotten.
#[derive(Default)]
pub(super) struct Processes {
    by_pid: HashMap<(String, i64), Process>,
    order: VecDeque<(String, i64)>,
}

impl Processes {
    pub fn find(&self, node: &str, pid: i64) -> Option<&Process> {
        self.by_pid.get(&(node.to_owned(), pid))
    }

    pub fn learn(&mut self, node: &str, pid: i64, process: Process) {
        let key = (node.to_owned(), pid);
        if self.by_pid.insert(key.clone(), process).is_none() {
            self.order.push_back(key);
            if self.order.len() > PROCESSES_KNOWN_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_pid.remove(&oldest);
            }
        }
    }
}
