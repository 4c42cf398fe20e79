//! One audit event's records as an OCSF event.

use super::group::{Process, Processes};
use super::{Record, accounts, arguments, syscalls};
use crate::text::{base_name, hex, put, put_some};
use schema::{Event, activity, class};
use serde_json::{Map, Value};
use std::net::{Ipv4Addr, Ipv6Addr};

/// OCSF classes and activities we write beyond `schema`'s.
const KERNEL_EXTENSION_ACTIVITY: i64 = 1002;
const FILE_READ: i64 = 2;
const FILE_SET_ATTRIBUTES: i64 = 6;
const PROCESS_INJECT: i64 = 4;
const NETWORK_LISTEN: i64 = 7;
const EXTENSION_LOAD: i64 = 1;
const EXTENSION_UNLOAD: i64 = 2;

/// `O_WRONLY | O_RDWR` and `O_CREAT`, `O_TRUNC` (`asm-generic/fcntl.h`, the same on x86-64 and aarch64).
const OPEN_WRITE: u64 = 0o3;
const OPEN_CREATE: u64 = 0o100;
const OPEN_TRUNCATE: u64 = 0o1000;

pub(super) fn build(records: &[Record], processes: &mut Processes) -> Event {
    let mut event = Event {
        class_uid: class::BASE_EVENT,
        severity_id: 1,
        log_format: Some("linux-audit".to_owned()),
        ..Event::default()
    };
    let Some(first) = records.first() else { return event };
    event.time = first.time;
    event.product = Some("Linux Audit".to_owned());
    if !first.node.is_empty() {
        event.device = Some(first.node.clone());
    }
    put(&mut event.rest, "unmapped.audit.serial", first.serial);
    let mut kinds: Vec<Value> = Vec::new();
    for record in records {
        let kind = Value::from(record.kind.as_str());
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    put(&mut event.rest, "unmapped.audit.types", kinds);

    let main = records.iter().find(|r| r.kind == "SYSCALL");
    match main {
        Some(main) => system_call(&mut event, main, records, processes),
        None if accounts::read(&mut event, first) => {}
        None => match records.iter().find(|r| r.kind == "AVC" || r.kind == "USER_AVC") {
            Some(denial) => access_denied(&mut event, denial),
            None => other(&mut event, first, records),
        },
    }
    event
}

/// A record of a kind we map to no class: its fields stay searchable.
fn other(event: &mut Event, first: &Record, records: &[Record]) {
    let mut fields = Map::new();
    for record in records {
        for (key, value, ..) in record.fields().filter(|f| !f.1.is_empty()).take(64) {
            fields.entry(key.to_owned()).or_insert_with(|| Value::from(value));
        }
    }
    event.message = Some(first.kind.clone());
    event.account = first.user("auid").or_else(|| first.user("uid"));
    actor(event, first);
    accounts::outcome(event, first);
    put(&mut event.rest, "unmapped.audit.fields", Value::Object(fields));
}

/// The process that made the call, its users and their terminal.
fn actor(event: &mut Event, record: &Record) {
    event.actor_pid = record.number("pid");
    event.actor_name = record.decoded("comm");
    event.actor_path = record.decoded("exe");
}

fn system_call(event: &mut Event, main: &Record, records: &[Record], processes: &mut Processes) {
    let named = main.get("SYSCALL");
    let name = syscalls::name(main.get("arch"), main.get("syscall"), named).unwrap_or("unknown");
    event.account = main.user("auid").or_else(|| main.user("uid"));
    for key in ["auid", "uid", "euid", "gid", "ses", "tty", "exit", "arch"] {
        put_some(&mut event.rest, &format!("unmapped.audit.{key}"), main.get(key));
    }
    put_some(&mut event.rest, "unmapped.audit.key", main.decoded("key").as_deref());
    put(&mut event.rest, "unmapped.audit.syscall", name);
    let succeeded = main.get("success") == Some("yes");
    let (status, outcome, reason) = if syscalls::is_pending(main.get("exit")) {
        (99, "unknown", Some("pending"))
    } else if succeeded {
        (1, "success", None)
    } else {
        (2, "failure", Some(syscalls::failure(main.get("exit"))))
    };
    event.status_id = Some(status);
    event.outcome = Some(outcome.to_owned());
    event.outcome_reason = reason.map(str::to_owned);
    event.outcome_action = Some(name.to_owned());
    learn(main, name, succeeded, records, processes);

    match name {
        "execve" | "execveat" => launched(event, main, records, processes),
        "ptrace" | "kill" => {
            event.class_uid = class::PROCESS_ACTIVITY;
            event.activity_id = if name == "kill" { activity::TERMINATE } else { PROCESS_INJECT };
            actor(event, main);
            if let Some(target) = records.iter().find(|r| r.kind == "OBJ_PID") {
                event.process_pid = target.number("opid");
                event.process_name = target.decoded("ocomm");
                event.process_user = target.user("ouid");
            }
        }
        "connect" | "bind" | "accept" | "accept4" | "sendto" => network(event, main, name, records),
        "init_module" | "finit_module" | "delete_module" => {
            event.class_uid = KERNEL_EXTENSION_ACTIVITY;
            let unload = name == "delete_module";
            event.activity_id = if unload { EXTENSION_UNLOAD } else { EXTENSION_LOAD };
            actor(event, main);
            let module =
                records.iter().find(|r| r.kind == "KERN_MODULE").and_then(|r| r.decoded("name"));
            put_some(&mut event.rest, "driver.file.name", module.as_deref());
            event.file_name = module;
        }
        _ => {
            actor(event, main);
            match file_activity(name, main, records) {
                Some(activity_id) => file(event, activity_id, records),
                None => {
                    event.message = Some(format!(
                        "{name} by {}",
                        event.actor_path.as_deref().unwrap_or("a process")
                    ));
                    if records.iter().any(|r| r.kind == "PATH") {
                        file(event, activity::OTHER, records);
                    }
                    event.process_cmd_line = arguments::command_line(records);
                }
            }
        }
    }
}

/// Remembers the process, so that what it starts can name its parent.
fn learn(
    main: &Record,
    name: &str,
    succeeded: bool,
    records: &[Record],
    processes: &mut Processes,
) {
    let (Some(pid), true) = (main.number("pid"), succeeded) else { return };
    let mut process =
        Process { name: main.decoded("comm"), path: main.decoded("exe"), command_line: None };
    let known = processes.find(&main.node, pid).filter(|known| known.path == process.path);
    process.command_line = match name {
        "execve" | "execveat" => arguments::command_line(records),
        _ => known.and_then(|known| known.command_line.clone()),
    };
    if known != Some(&process) {
        processes.learn(&main.node, pid, process.clone());
    }
    // A child is its parent until it executes something.
    if let ("clone" | "clone3" | "fork" | "vfork", Some(child)) = (name, main.number("exit")) {
        processes.learn(&main.node, child, process);
    }
}

fn launched(event: &mut Event, main: &Record, records: &[Record], processes: &Processes) {
    event.class_uid = class::PROCESS_ACTIVITY;
    event.activity_id = activity::LAUNCH;
    event.process_pid = main.number("pid");
    event.process_name = main.decoded("comm");
    event.process_path = main.decoded("exe");
    event.process_user = main.user("euid").or_else(|| main.user("uid"));
    event.process_cmd_line = arguments::command_line(records);
    event.parent_pid = main.number("ppid");
    let parent = event.parent_pid.and_then(|ppid| processes.find(&main.node, ppid));
    if let Some(parent) = parent {
        event.parent_name.clone_from(&parent.name);
        event.parent_path.clone_from(&parent.path);
        event.parent_cmd_line.clone_from(&parent.command_line);
        put(&mut event.rest, "unmapped.audit.parent_from", "an earlier record of its pid");
    }
    if let Some(folder) = folder(records) {
        put(&mut event.rest, "process.working_directory", folder);
    }
    // A script's own path is the first PATH; `exe` is then its interpreter.
    let script = records.iter().find(|r| r.kind == "PATH").and_then(|r| r.decoded("name"));
    if let Some(script) = script.map(|path| absolute(path, records))
        && event.process_path.as_deref() != Some(&script)
    {
        event.file_name = base_name(&script).map(str::to_owned);
        event.file_path = Some(script);
    }
}

fn folder(records: &[Record]) -> Option<String> {
    records.iter().find(|r| r.kind == "CWD").and_then(|r| r.decoded("cwd"))
}

/// The path from the root; `.` and `..` resolved in words, as no file system is at hand.
fn absolute(path: String, records: &[Record]) -> String {
    let whole = match folder(records) {
        Some(folder) if !path.starts_with('/') => format!("{folder}/{path}"),
        _ => path,
    };
    if !whole.starts_with('/') || !(whole.contains("/.") || whole.contains("//")) {
        return whole;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn file_activity(name: &str, main: &Record, records: &[Record]) -> Option<i64> {
    let created = records.iter().any(|r| r.kind == "PATH" && r.get("nametype") == Some("CREATE"));
    let flags = |record: Option<&Record>, key: &str| {
        let written = record.and_then(|r| r.get(key))?;
        u64::from_str_radix(written.trim_start_matches("0x"), 16).ok()
    };
    let opened = |flags: Option<u64>| match flags {
        _ if created => activity::CREATE,
        Some(flags) if flags & OPEN_CREATE != 0 || flags & OPEN_TRUNCATE != 0 => activity::UPDATE,
        Some(flags) if flags & OPEN_WRITE != 0 => activity::UPDATE,
        _ => FILE_READ,
    };
    Some(match name {
        "open" => opened(flags(Some(main), "a1")),
        "openat" => opened(flags(Some(main), "a2")),
        "openat2" => {
            let record = records.iter().find(|r| r.kind == "OPENAT2");
            // `oflag` is octal there.
            let written = record.and_then(|r| r.get("oflag"));
            opened(written.and_then(|w| u64::from_str_radix(w, 8).ok()))
        }
        "creat" | "mkdir" | "mkdirat" | "mknod" | "mknodat" | "link" | "linkat" | "symlink"
        | "symlinkat" => activity::CREATE,
        "truncate" | "ftruncate" => activity::UPDATE,
        "rename" | "renameat" | "renameat2" => activity::RENAME,
        "unlink" | "unlinkat" | "rmdir" => activity::DELETE,
        "chmod" | "fchmod" | "fchmodat" | "fchmodat2" | "chown" | "fchown" | "lchown"
        | "fchownat" | "setxattr" => FILE_SET_ATTRIBUTES,
        _ => return None,
    })
}

/// The file acted upon: the path of the fitting `nametype`, not the folder it is in.
fn file(event: &mut Event, activity_id: i64, records: &[Record]) {
    event.class_uid = class::FILE_SYSTEM_ACTIVITY;
    event.activity_id = activity_id;
    let path = |kind: &str| {
        let record = records.iter().find(|r| r.kind == "PATH" && r.get("nametype") == Some(kind));
        record.and_then(|r| r.decoded("name")).map(|path| absolute(path, records))
    };
    let of = match activity_id {
        activity::CREATE => path("CREATE").or_else(|| path("NORMAL")),
        activity::DELETE => path("DELETE").or_else(|| path("NORMAL")),
        activity::RENAME => {
            // Renaming over a file deletes it: the last CREATE is the new name, the first DELETE the old.
            if let Some(new) = path("CREATE") {
                if let Some(name) = base_name(&new) {
                    put(&mut event.rest, "file_result.name", name);
                }
                put(&mut event.rest, "file_result.path", new);
            }
            path("DELETE").or_else(|| path("NORMAL"))
        }
        _ => path("NORMAL").or_else(|| path("CREATE")),
    };
    let last = || {
        let record = records.iter().rfind(|r| r.kind == "PATH");
        record.and_then(|r| r.decoded("name")).map(|path| absolute(path, records))
    };
    if let Some(of) = of.or_else(last) {
        event.file_name = base_name(&of).map(str::to_owned);
        event.file_path = Some(of);
    }
}

fn network(event: &mut Event, main: &Record, name: &str, records: &[Record]) {
    event.class_uid = class::NETWORK_ACTIVITY;
    event.activity_id = if name == "bind" { NETWORK_LISTEN } else { activity::OPEN };
    actor(event, main);
    // OCSF direction: 1 inbound, 2 outbound.
    let inbound = matches!(name, "accept" | "accept4");
    if name != "bind" {
        put(&mut event.rest, "connection_info.direction_id", if inbound { 1 } else { 2 });
    }
    let record = records.iter().find(|r| r.kind == "SOCKADDR");
    let Some(address) = record.and_then(|r| r.get("saddr")).and_then(hex).and_then(|b| socket(&b))
    else {
        return;
    };
    match address {
        Socket::Internet(ip, port) if inbound => {
            (event.src_ip, event.src_port) = (Some(ip), Some(port))
        }
        Socket::Internet(ip, port) => (event.dst_ip, event.dst_port) = (Some(ip), Some(port)),
        Socket::Unix(path) => put(&mut event.rest, "unmapped.audit.unix_socket", path),
        Socket::Other(family) => put(&mut event.rest, "unmapped.audit.address_family", family),
    }
}

#[derive(Debug, PartialEq)]
enum Socket {
    Internet(String, i64),
    Unix(String),
    Other(u16),
}

/// A `struct sockaddr`: the family in the host's order (both our machines are little-endian), ports
/// and addresses in the network's.
fn socket(bytes: &[u8]) -> Option<Socket> {
    let family = u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]);
    let port = || Some(i64::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])));
    match family {
        1 => {
            let path = bytes.get(2..)?;
            // An abstract name begins with a NUL, which people write as @.
            let (mark, path) = path.strip_prefix(b"\0").map_or(("", path), |rest| ("@", rest));
            let end = memchr::memchr(0, path).unwrap_or(path.len());
            Some(Socket::Unix(format!("{mark}{}", String::from_utf8_lossy(path.get(..end)?))))
        }
        2 => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(Socket::Internet(Ipv4Addr::from(address).to_string(), port()?))
        }
        10 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let address = Ipv6Addr::from(address).to_canonical();
            Some(Socket::Internet(address.to_string(), port()?))
        }
        family => Some(Socket::Other(family)),
    }
}

/// SELinux's or AppArmor's denial without the call it belongs to.
fn access_denied(event: &mut Event, record: &Record) {
    actor(event, record);
    event.actor_path = event.actor_path.take().or_else(|| record.decoded("profile"));
    event.account = record.user("auid").or_else(|| record.user("fsuid"));
    let denied = record.raw.contains("denied") || record.get("apparmor") == Some("DENIED");
    event.status_id = Some(if denied { 2 } else { 1 });
    event.outcome = Some(if denied { "failure" } else { "success" }.to_owned());
    event.outcome_reason = denied.then(|| "no-permission".to_owned());
    let operation = record.permissions().or(record.get("operation")).unwrap_or_default();
    event.outcome_action = Some(operation.to_owned()).filter(|o| !o.is_empty());
    for key in ["scontext", "tcontext", "tclass", "profile", "requested_mask", "denied_mask"] {
        put_some(&mut event.rest, &format!("unmapped.audit.{key}"), record.get(key));
    }
    let path = record.decoded("path").or_else(|| record.decoded("name"));
    match (path, record.get("tclass")) {
        (Some(path), Some("file" | "dir" | "lnk_file" | "sock_file" | "fifo_file") | None) => {
            event.class_uid = class::FILE_SYSTEM_ACTIVITY;
            event.activity_id = match operation.split(' ').next() {
                Some("read" | "open" | "getattr") => FILE_READ,
                Some("write" | "append") => activity::UPDATE,
                Some("create" | "add_name" | "mknod") => activity::CREATE,
                Some("unlink" | "remove_name" | "rmdir") => activity::DELETE,
                Some("rename") => activity::RENAME,
                Some("setattr" | "chmod" | "chown") => FILE_SET_ATTRIBUTES,
                _ => activity::OTHER,
            };
            event.file_name = base_name(&path).map(str::to_owned);
            event.file_path = Some(path);
        }
        _ => event.message = Some(format!("denied: {operation}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_addresses_are_decoded() {
        let read = |text: &str| socket(&hex(text).unwrap());
        assert_eq!(read("0200115CC0000201"), Some(Socket::Internet("192.0.2.1".to_owned(), 4444)));
        assert_eq!(
            read("0A0001BB0000000020010DB800000000000000000000000100000000"),
            Some(Socket::Internet("2001:db8::1".to_owned(), 443))
        );
        assert_eq!(read("01002F72756E2F7800"), Some(Socket::Unix("/run/x".to_owned())));
        assert_eq!(read("0100006162"), Some(Socket::Unix("@ab".to_owned())));
        assert_eq!(read("0200115CC000"), None);
    }
}
