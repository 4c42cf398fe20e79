//! The host's side: what web servers start, and shells that talk outward.

use super::patterns::{
    address_in, is_reverse_shell, is_script_name, is_shell, is_suspicious, is_tool, program, shape,
};
use super::{Access, Habit, RECENT_MAX, Rule, SKEW_MS, Spawn};
use crate::book::Draft;
use crate::detector::Detector;
use crate::hash::{Key, Of, is_internal, pair};
use crate::window::epoch;
use schema::{Entity, EntityKind, Event, Finding, OutcomeResult, Severity, activity};

/// Entities of one kind that the host's findings take over from the web.
const OTHERS_MAX: usize = 8;

/// What speaks for a spawn.
#[derive(Debug, Clone, Copy, Default)]
struct Signs {
    /// Joined to a request for an uploaded script: 0 not, 1 by time alone, 2 by device.
    linked: u32,
    suspicious: bool,
    reverse: bool,
    novel: bool,
    /// The host was watched long enough.
    learned: bool,
}

fn device_of(event: &Event) -> Option<&str> {
    event.device.as_deref().or(event.device_uid.as_deref()).filter(|device| !device.is_empty())
}

impl Detector {
    fn is_server(&self, name: &str) -> bool {
        !name.is_empty() && self.config.web_shell.web_servers.iter().any(|server| server == name)
    }

    /// A process started (Linux audit `execve`, Sysmon event 1).
    pub(crate) fn process(&mut self, event: &Event, found: &mut Vec<Finding>) {
        if event.activity_id != activity::LAUNCH {
            return;
        }
        let Some(device_name) = device_of(event) else { return };
        let device = self.hasher.key(Of::Device, 0, device_name);
        let first_seen = *self.host.devices.touch(device, || event.time);
        let place = |pid: Option<i64>| pid.map(|pid| pair(device, pid as u64));
        let parent_state = place(event.parent_pid)
            .and_then(|key| self.host.processes.get(key))
            .copied()
            .unwrap_or_default();
        let parent =
            program(event.parent_name.as_deref().or(event.parent_path.as_deref()).unwrap_or(""));
        let command = event.process_cmd_line.as_deref().unwrap_or("");
        let child = program(
            event.process_name.as_deref().or(event.process_path.as_deref()).unwrap_or(command),
        );
        let parent_server = self.is_server(parent) || parent_state.server;
        // An interpreter that runs the application (gunicorn under python) is a server by its command line.
        let child_server = self.is_server(child)
            || command.split_whitespace().take(3).any(|word| self.is_server(program(word)));
        let web_user = parent.is_empty()
            && !parent_state.server
            && event
                .process_user
                .as_deref()
                .is_some_and(|user| self.config.web_shell.web_users.iter().any(|web| web == user));
        let mut state = super::Process { server: child_server, tainted: parent_state.tainted };

        let reverse = is_reverse_shell(command);
        let spawned = (parent_server || web_user) && is_tool(child) && (!child_server || reverse);
        if spawned || parent_state.tainted {
            state.tainted |= self.spawn(
                event,
                (device, device_name),
                parent,
                child,
                command,
                parent_server,
                parent_state.tainted,
                reverse,
                first_seen,
                found,
            );
        }
        if reverse {
            self.reverse_shell(
                event,
                (device, device_name),
                address_in(command).map(|address| address.to_string()),
                parent_server || state.tainted,
                None,
                found,
            );
            state.tainted = true;
        }
        if let Some(key) = place(event.process_pid) {
            *self.host.processes.touch(key, Default::default) = state;
        }
    }

    /// Judges a program started by a web server or by what already was found; true when it is found.
    #[expect(clippy::too_many_arguments, reason = "one step of `process`, split for reading")]
    fn spawn(
        &mut self,
        event: &Event,
        device: (Key, &str),
        parent: &str,
        child: &str,
        command: &str,
        parent_server: bool,
        parent_tainted: bool,
        reverse: bool,
        first_seen: i64,
        found: &mut Vec<Finding>,
    ) -> bool {
        let config = &self.config.web_shell;
        let link_ms = i64::from(config.link_secs) * 1000;
        let habit_key = pair(
            self.hasher.key(Of::Word, device.0, parent),
            self.hasher.key(Of::Word, 0, &format!("{child} {}", shape(command))),
        );
        let day = epoch(event.time, 86_400);
        let habit = self.host.habits.touch(habit_key, Habit::default);
        let usual = habit.days >= config.habit_days;
        let linked = self
            .host
            .accesses
            .iter()
            .rev()
            .filter(|access| (-SKEW_MS..=link_ms).contains(&(event.time - access.time)))
            .filter_map(|access| {
                link_strength(&self.config, access, device).map(|strength| (access, strength))
            })
            .max_by_key(|(access, strength)| (*strength, access.uploaded, access.time));
        let suspicious = is_suspicious(command);
        let learned =
            event.time - first_seen >= i64::from(self.config.learning.age_min_secs) * 1000;
        let mut signs = Signs { linked: 0, suspicious, reverse, novel: learned && !usual, learned };
        let mut events = Vec::new();
        let mut others = Vec::new();
        if let Some((access, strength)) = linked
            // A file the web server wrote itself (an update) and then ran is ordinary; it must look odd as well.
            && (access.uploaded || suspicious || reverse)
            && (strength == 2 || suspicious || reverse || !usual)
        {
            signs.linked = strength;
            events.clone_from(&access.events);
            others.clone_from(&access.entities);
        }
        let speaks = signs.linked > 0
            || parent_tainted
            || (parent_server && (reverse || (!usual && (suspicious || signs.novel))));
        if signs.linked == 0 && !parent_tainted {
            // What no request explains becomes a habit, odd as it may look, unless it hands a shell out.
            if parent_server && !reverse && habit.last_day != day {
                habit.days += 1;
                habit.last_day = day;
            }
            // The request may still come.
            self.remember_spawn(event, device);
        }
        if !speaks {
            return false;
        }
        let draft = self.shell_draft(event, device, signs, parent_tainted, events, others);
        found.extend(self.book.report(draft));
        // A merely novel program is told, but what follows from it is judged by itself.
        signs.linked > 0 || parent_tainted || (signs.suspicious && learned) || signs.reverse
    }

    fn remember_spawn(&mut self, event: &Event, device: (Key, &str)) {
        if self.host.spawns.len() >= RECENT_MAX {
            self.host.spawns.pop_front();
        }
        self.host.spawns.push_back(Spawn {
            time: event.time,
            device: device.0,
            device_name: device.1.to_owned(),
            event: event.id,
            pid: event.process_pid.unwrap_or(0),
            told: false,
        });
    }

    fn shell_draft(
        &mut self,
        event: &Event,
        device: (Key, &str),
        signs: Signs,
        tainted: bool,
        events: Vec<(i64, uuid::Uuid)>,
        others: Vec<Entity>,
    ) -> Draft {
        let memory_secs = self.config.time.refire_secs;
        let trail = self.book.trail(Rule::WebShell, device.0, event.time, memory_secs);
        for (time, id) in events {
            trail.cite_id(time, id);
        }
        trail.cite(event);
        for entity in others {
            trail.name(event.time, entity.kind, Some(&entity.value), OTHERS_MAX);
        }
        let mut draft =
            Draft::new(Rule::WebShell, Entity::new(EntityKind::Device, device.1), device.0, event);
        draft.trail = trail.clone();
        draft.magnitude = draft.trail.total() as f64;
        let (severity, confidence) = match signs {
            Signs { linked: 2, .. } => (Severity::Critical, 92),
            Signs { linked: 1, .. } => (Severity::High, 75),
            Signs { reverse: true, .. } => (Severity::High, 85),
            Signs { suspicious: true, learned: true, .. } => (Severity::High, 65),
            // On a host that is still being learned it is noted.
            Signs { suspicious: true, .. } => (Severity::Low, 45),
            // Its parent was judged already.
            _ if tainted => (Severity::Medium, 60),
            _ => (Severity::Low, 40),
        };
        draft.severity = severity;
        draft.confidence = confidence;
        // A process on the host is not an attempt: it ran.
        draft.outcome = OutcomeResult::Success;
        draft.reason = Some("process-started");
        draft.attack(&[("TA0003", "T1505.003"), ("TA0002", "T1059.004")]);
        draft.numbers = vec![
            ("linked_to_request", f64::from(signs.linked)),
            ("suspicious_command", f64::from(u8::from(signs.suspicious))),
            ("reverse_shell", f64::from(u8::from(signs.reverse))),
            ("processes", draft.trail.total() as f64),
        ];
        draft
    }

    /// A request came in whose process was seen before it.
    pub(super) fn link_spawns(&mut self, access: &Access, found: &mut Vec<Finding>) {
        if !access.uploaded {
            return;
        }
        let link_ms = i64::from(self.config.web_shell.link_secs) * 1000;
        let mut linked = Vec::new();
        for spawn in &mut self.host.spawns {
            if !spawn.told
                && (-SKEW_MS..=link_ms).contains(&(spawn.time - access.time))
                && let Some(strength) =
                    link_strength(&self.config, access, (spawn.device, &spawn.device_name))
            {
                spawn.told = true;
                linked.push((
                    spawn.time,
                    spawn.device,
                    spawn.device_name.clone(),
                    spawn.event,
                    spawn.pid,
                    strength,
                ));
            }
        }
        for (time, device, name, id, pid, strength) in linked {
            let event = Event { id, time, ..Event::default() };
            let signs = Signs { linked: strength, ..Signs::default() };
            let draft = self.shell_draft(
                &event,
                (device, &name),
                signs,
                false,
                access.events.clone(),
                access.entities.clone(),
            );
            if let Some(process) = self.host.processes.get_mut(pair(device, pid as u64)) {
                process.tainted = true;
            }
            found.extend(self.book.report(draft));
        }
    }

    /// A web server wrote a script: remembered, not told (updates do it too).
    pub(crate) fn file(&mut self, event: &Event) {
        if !matches!(event.activity_id, activity::CREATE | activity::UPDATE | activity::RENAME) {
            return;
        }
        let (Some(device_name), Some(path)) =
            (device_of(event), event.file_path.as_deref().or(event.file_name.as_deref()))
        else {
            return;
        };
        let Some(name) = super::file_of(path)
            .filter(|name| is_script_name(name, &self.config.web_shell.script_extensions))
        else {
            return;
        };
        let device = self.hasher.key(Of::Device, 0, device_name);
        let actor =
            program(event.actor_name.as_deref().or(event.actor_path.as_deref()).unwrap_or(""));
        let known = event
            .actor_pid
            .and_then(|pid| self.host.processes.get(pair(device, pid as u64)))
            .is_some_and(|process| process.server);
        if !known && !self.is_server(actor) {
            return;
        }
        let name = name.to_ascii_lowercase();
        let sites = self
            .config
            .sites
            .iter()
            .filter(|(_, site)| site.devices.iter().any(|d| d == device_name))
            .map(|(site, _)| site.as_str());
        let mut mapped = false;
        for site in sites {
            mapped = true;
            let key = self.hasher.key(Of::File, self.hasher.key(Of::Scope, 0, site), &name);
            *self.host.files.touch(key, || event.time) = event.time;
            if let Some(upload) = self.host.uploads.get_mut(key) {
                upload.device = Some(device);
            }
        }
        if !mapped {
            // Unmapped: an upload of the same name within the last minutes tells which site this host serves.
            let near_ms = i64::from(self.config.time.lateness_secs) * 1000;
            self.host.uploads.for_each_mut(|upload| {
                if upload.name == name && (event.time - upload.time).abs() <= near_ms {
                    upload.device = Some(device);
                }
            });
        }
    }

    /// A connection (Sysmon event 3, audit `connect`).
    pub(crate) fn network(&mut self, event: &Event, found: &mut Vec<Finding>) {
        let Some(device_name) = device_of(event) else { return };
        let Some(address) =
            event.dst_ip.as_deref().and_then(|text| text.parse::<std::net::IpAddr>().ok())
        else {
            return;
        };
        if address.is_loopback() || address.is_unspecified() {
            return;
        }
        let device = self.hasher.key(Of::Device, 0, device_name);
        let actor = program(
            event
                .actor_name
                .as_deref()
                .or(event.actor_path.as_deref())
                .or(event.process_name.as_deref())
                .unwrap_or(""),
        );
        let pid = event.actor_pid.or(event.process_pid);
        let tainted = pid
            .and_then(|pid| self.host.processes.get(pair(device, pid as u64)))
            .is_some_and(|process| process.tainted);
        // A shell has no business on the wire; tools it starts do, unless their line is already known to be bad.
        if !tainted && (!is_shell(actor) || is_internal(address)) {
            return;
        }
        self.reverse_shell(
            event,
            (device, device_name),
            Some(address.to_string()),
            tainted,
            Some(is_shell(actor)),
            found,
        );
    }

    /// `connected`: a connection was seen, by a shell or by another program.
    fn reverse_shell(
        &mut self,
        event: &Event,
        device: (Key, &str),
        address: Option<String>,
        tainted: bool,
        connected: Option<bool>,
        found: &mut Vec<Finding>,
    ) {
        let open = self.book.is_open(Rule::ReverseShell, device.0, event.time);
        let web: Vec<Entity> = if tainted {
            self.book
                .known_trail(Rule::WebShell, device.0)
                .map(|trail| trail.others().cloned().collect())
                .unwrap_or_default()
        } else {
            Vec::new()
        };
        let memory_secs = self.config.time.refire_secs;
        let trail = self.book.trail(Rule::ReverseShell, device.0, event.time, memory_secs);
        trail.cite(event);
        let mut draft = Draft::new(
            Rule::ReverseShell,
            Entity::new(EntityKind::Device, device.1),
            device.0,
            event,
        );
        draft.trail = trail.clone();
        draft.involve(EntityKind::Address, address.as_deref());
        web.iter().for_each(|entity| draft.involve(entity.kind, Some(&entity.value)));
        let confidence = match (connected, open) {
            (None, _) => 85,
            (Some(_), true) => 95,
            (Some(true), false) if tainted => 85,
            (Some(true), false) => 55,
            (Some(false), false) => 60,
        };
        draft.confidence = (confidence + 10 * u8::from(tainted)).min(97);
        draft.severity = match (confidence, tainted && !web.is_empty()) {
            (_, true) => Severity::Critical,
            (80.., _) => Severity::High,
            _ => Severity::Medium,
        };
        draft.outcome = if tainted || connected.is_some() {
            OutcomeResult::Success
        } else {
            OutcomeResult::Unknown
        };
        draft.reason =
            Some(if connected.is_some() { "connection-opened" } else { "shell-started" });
        draft.attack(&[("TA0002", "T1059.004"), ("TA0011", "T1095")]);
        draft.magnitude = draft.trail.total() as f64;
        draft.numbers = vec![
            ("connections", f64::from(u8::from(connected.is_some()))),
            ("from_web_server", f64::from(u8::from(tainted))),
            ("events", draft.trail.total() as f64),
        ];
        found.extend(self.book.report(draft));
    }
}

/// 2: the site is known to be served by this device; 1: nothing is known of where it is served; `None`: served elsewhere.
fn link_strength(
    config: &crate::DetectConfig,
    access: &Access,
    device: (Key, &str),
) -> Option<u32> {
    if let Some(known) = access.device {
        return (known == device.0).then_some(2);
    }
    match config.sites.get(&access.site).filter(|site| !site.devices.is_empty()) {
        Some(site) => site.devices.iter().any(|name| name == device.1).then_some(2),
        None => access.uploaded.then_some(1),
    }
}
