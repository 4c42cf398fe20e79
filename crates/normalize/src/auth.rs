//! Log-ins: OpenSSH, PAM, sudo and su, as their messages in syslog.

use crate::reading::Context;
use crate::syslog::Envelope;
use crate::text::{address, base_name, number, owned, put, put_some, some, word};
use schema::{Event, activity, class};

/// OCSF Authentication activities beyond [`schema::activity`].
pub(crate) const PREAUTH: i64 = 6;
pub(crate) const ACCOUNT_SWITCH: i64 = 7;

/// OCSF logon types.
pub(crate) const INTERACTIVE: i64 = 2;
pub(crate) const NETWORK: i64 = 3;
const BATCH: i64 = 4;

/// Reads the message of a program that logs people in; `None` when it is not about that.
pub(crate) fn read(envelope: &Envelope<'_>, message: &str, context: &Context<'_>) -> Option<Event> {
    let program = envelope.program?;
    let mut event = context.event(class::AUTHENTICATION, envelope.time, "auth");
    event.process_name =
        base_name(program).map(|name| name.split('(').next().unwrap_or(name).to_owned());
    event.process_pid = envelope.pid;
    event.message = Some(message.to_owned());

    // `message repeated 3 times: [ Failed password for … ]`
    let (message, times) = match message.strip_prefix("message repeated ") {
        Some(rest) => {
            let (times, rest) = rest.split_once(" times: [")?;
            (rest.trim().strip_suffix(']').unwrap_or(rest).trim(), number(times))
        }
        None => (message, None),
    };
    if let Some(times) = times {
        put(&mut event.rest, "count", times);
    }

    let name = event.process_name.clone().unwrap_or_default();
    let read = if let Some(rest) = pam_message(message) {
        pam(&mut event, rest)
    } else if program.contains("(pam_") {
        // Before 2005 PAM put its module into the tag: `sshd(pam_unix)[12]: …`.
        pam(&mut event, Pam { service: &name, text: message })
    } else {
        match name.as_str() {
            "sshd" | "sshd-session" | "sshd-auth" | "dropbear" => sshd(&mut event, message),
            "sudo" => sudo(&mut event, message),
            "su" => su(&mut event, message),
            _ => None,
        }
    };
    read.map(|()| event)
}

fn result(event: &mut Event, action: &str, outcome: &str, reason: Option<&str>) {
    event.outcome_action = Some(action.to_owned());
    event.outcome = Some(outcome.to_owned());
    event.outcome_reason = reason.map(str::to_owned);
    event.status_id = Some(match outcome {
        "success" => 1,
        "failure" => 2,
        _ => 99,
    });
}

/// ` 192.0.2.1 port 22 …`; sets the peer and gives what follows.
fn peer<'a>(event: &mut Event, text: &'a str) -> &'a str {
    let (first, rest) = word(text.trim_start());
    match address(first) {
        Some(ip) => event.src_ip = Some(ip),
        None => put_some(&mut event.rest, "src_endpoint.hostname", Some(first)),
    }
    match rest.strip_prefix("port ") {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (port, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
            event.src_port = number(port);
            rest
        }
        None => rest,
    }
}

/// OpenSSH's messages (`auth.c`, `auth2.c`, `packet.c`, `session.c` of portable OpenSSH).
///
/// One attempt is one `login` event: `Accepted …` or `Failed …`. What comes before and after
/// (`Invalid user`, disconnects) has actions of its own, so that nobody counts an attempt twice.
fn sshd(event: &mut Event, message: &str) -> Option<()> {
    event.logon_type_id = Some(NETWORK);
    put(&mut event.rest, "service.name", "sshd");
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = message.strip_prefix("fatal: ").unwrap_or(message);
    if let Some(rest) = message.strip_prefix("Accepted ") {
        attempt(event, rest)?;
        result(event, "login", "success", None);
    } else if let Some(rest) = message.strip_prefix("Failed ") {
        let unknown = attempt(event, rest)?;
        let reason = match event.auth_protocol.as_deref() {
            _ if unknown => "unknown-account",
            Some("publickey" | "hostbased") => "bad-key",
            Some("none") => "no-credential",
            _ => "bad-password",
        };
        // `none` only asks which methods there are (RFC 4252 §5.2); nobody tried anything.
        let action = if event.auth_protocol.as_deref() == Some("none") { "probe" } else { "login" };
        result(event, action, "failure", Some(reason));
        if action == "probe" {
            event.activity_id = PREAUTH;
        }
    } else if let Some(rest) = message
        .strip_prefix("Invalid user ")
        .or(message.strip_prefix("Illegal user "))
        .or(message.strip_prefix("input_userauth_request: invalid user "))
    {
        event.activity_id = PREAUTH;
        let (user, from) = rest.rsplit_once("from ").unwrap_or((rest, ""));
        event.account = owned(user.trim_end().trim_end_matches(" [preauth]"));
        if !from.is_empty() {
            peer(event, from);
        }
        result(event, "preauth", "failure", Some("unknown-account"));
    } else if let Some(rest) = message.strip_prefix("User ") {
        let (user, rest) = rest.split_once(" from ")?;
        let (host, why) = rest.split_once(" not allowed because ")?;
        event.activity_id = PREAUTH;
        event.account = owned(user);
        peer(event, host);
        event.status_detail = owned(why);
        let reason =
            if why.contains("account is locked") { "account-locked" } else { "not-allowed" };
        result(event, "preauth", "failure", Some(reason));
    } else if let Some(rest) = message.strip_prefix("maximum authentication attempts exceeded for ")
    {
        event.activity_id = PREAUTH;
        user_from(event, rest)?;
        result(event, "preauth", "failure", Some("too-many-attempts"));
    } else if let Some(rest) = message.strip_prefix("PAM: ") {
        let (what, rest) = rest.split_once(" for ")?;
        event.auth_protocol = Some("keyboard-interactive".to_owned());
        let unknown = user_from(event, rest)?;
        let reason = pam_reason(what, unknown);
        event.status_detail = owned(what);
        // sshd writes `Failed keyboard-interactive/pam` beside it: that one is the attempt.
        event.activity_id = PREAUTH;
        result(event, "pam-authenticate", "failure", Some(reason));
    } else if message.starts_with("pam_") {
        return None;
    } else {
        return disconnected(event, message);
    }
    Some(())
}

/// `password for [invalid user ]NAME from ADDRESS port N ssh2[: RSA SHA256:…]`.
fn attempt(event: &mut Event, text: &str) -> Option<bool> {
    let (method, rest) = text.split_once(" for ")?;
    event.activity_id = activity::LOGON;
    // `keyboard-interactive/pam` and `password` are RFC 4252's method names, with OpenSSH's device behind.
    event.auth_protocol = method.split('/').next().and_then(owned);
    let unknown = user_from(event, rest)?;
    Some(unknown)
}

/// `[invalid user |illegal user ]NAME from ADDRESS port N …`, the name possibly with ` from ` in it.
fn user_from(event: &mut Event, text: &str) -> Option<bool> {
    let known = text.strip_prefix("invalid user ").or(text.strip_prefix("illegal user "));
    let name = known.unwrap_or(text);
    let (user, rest) =
        name.rsplit_once(" from ").or(name.strip_prefix("from ").map(|r| ("", r)))?;
    event.account = owned(user);
    let rest = peer(event, rest);
    if let Some((_, key)) = rest.split_once(": ") {
        put_some(&mut event.rest, "unmapped.ssh.key", Some(key));
    }
    Some(known.is_some())
}

fn disconnected(event: &mut Event, message: &str) -> Option<()> {
    let (text, preauth) = match message.strip_suffix(" [preauth]") {
        Some(text) => (text, true),
        None => (message, false),
    };
    let rest = [
        "Connection closed by ",
        "Connection reset by ",
        "Disconnected from ",
        "Disconnecting ",
        "Received disconnect from ",
        "Timeout before authentication for connection from ",
        "Timeout before authentication for ",
        "Did not receive identification string from ",
        "Unable to negotiate with ",
        "banner exchange: Connection from ",
    ]
    .into_iter()
    .find_map(|start| text.strip_prefix(start))?;
    event.activity_id = if preauth { PREAUTH } else { activity::LOGOFF };
    let (user, rest, unknown) = if let Some(rest) = rest.strip_prefix("authenticating user ") {
        split_user(rest, false)?
    } else if let Some(rest) = rest.strip_prefix("invalid user ") {
        split_user(rest, true)?
    } else if let Some(rest) = rest.strip_prefix("user ") {
        split_user(rest, false)?
    } else {
        ("", rest, false)
    };
    event.account = owned(user);
    let rest = peer(event, rest);
    let detail = rest.trim_start_matches(':').trim();
    event.status_detail = owned(detail);
    let early = preauth
        || message.starts_with("Did not")
        || message.starts_with("Timeout")
        || message.starts_with("Unable")
        || message.starts_with("banner");
    if early {
        event.activity_id = PREAUTH;
        let reason = if unknown {
            "unknown-account"
        } else if detail.contains("Too many authentication failures") {
            "too-many-attempts"
        } else if message.starts_with("Unable to negotiate") {
            "no-common-algorithm"
        } else {
            "preauth-disconnect"
        };
        result(event, "disconnect", "failure", Some(reason));
    } else {
        result(event, "disconnect", "success", None);
    }
    Some(())
}

/// `NAME ADDRESS port N`; the name may hold spaces, so the port is looked for from the end.
fn split_user(text: &str, unknown: bool) -> Option<(&str, &str, bool)> {
    let (front, _) = text.rsplit_once(" port ")?;
    let start = front.rfind(' ').map_or(0, |space| space + 1);
    Some((front.get(..start)?.trim_end(), text.get(start..)?, unknown))
}

struct Pam<'a> {
    service: &'a str,
    text: &'a str,
}

/// `pam_unix(sshd:auth): …` or `PAM 2 more authentication failures; …`.
fn pam_message(message: &str) -> Option<Pam<'_>> {
    if message.starts_with("PAM ") && message.contains(" more authentication failure") {
        return Some(Pam { service: "sshd", text: message });
    }
    let rest = message.strip_prefix("pam_")?;
    let (_, rest) = rest.split_once('(')?;
    let (place, text) = rest.split_once("): ")?;
    Some(Pam { service: place.split(':').next()?, text })
}

fn pam_reason(text: &str, unknown: bool) -> &'static str {
    if unknown || text.contains("user unknown") || text.contains("User not known") {
        "unknown-account"
    } else if text.contains("expired") {
        "account-expired"
    } else if text.contains("locked") || text.contains("consecutive login failures") {
        "account-locked"
    } else if text.contains("Permission denied") || text.contains("access denied") {
        "not-allowed"
    } else {
        "bad-password"
    }
}

fn pam(event: &mut Event, pam: Pam<'_>) -> Option<()> {
    let Pam { service, text } = pam;
    put(&mut event.rest, "service.name", service);
    event.logon_type_id = match service {
        "sshd" => Some(NETWORK),
        "cron" | "crond" | "atd" => Some(BATCH),
        "login" | "gdm-password" | "lightdm" | "sddm" | "su" | "su-l" | "sudo" => Some(INTERACTIVE),
        _ => None,
    };
    event.auth_protocol = Some("pam".to_owned());
    if let Some(rest) = text.strip_prefix("session opened for user ") {
        let (user, by) = rest.split_once(" by ").unwrap_or((rest, ""));
        event.activity_id = activity::LOGON;
        who(event, user_name(user), by);
        result(event, "session-open", "success", None);
    } else if let Some(rest) = text.strip_prefix("session closed for user ") {
        event.activity_id = activity::LOGOFF;
        event.account = owned(user_name(rest));
        result(event, "session-close", "success", None);
    } else if text.contains("authentication failure") {
        let (head, fields) = text.split_once(';').unwrap_or((text, ""));
        let field = |name: &str| {
            fields
                .split(' ')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                .and_then(some)
        };
        // The user is last and may hold spaces.
        event.account = fields.split_once(" user=").and_then(|(_, user)| owned(user.trim()));
        if let Some(host) = field("rhost") {
            peer(event, host);
        }
        if matches!(service, "su" | "su-l" | "sudo") {
            event.target_account = event.account.take();
            event.account = field("ruser").or(field("logname")).map(str::to_owned);
        }
        put_some(&mut event.rest, "unmapped.pam.tty", field("tty"));
        put_some(&mut event.rest, "unmapped.pam.ruser", field("ruser"));
        if let Some(more) = head.strip_prefix("PAM ").and_then(|rest| number(word(rest).0)) {
            put(&mut event.rest, "count", more);
        }
        // sshd, sudo and su write a line of their own for the attempt; of others this is the only one.
        let own = matches!(service, "sshd" | "sudo" | "su" | "su-l");
        event.activity_id = if own { PREAUTH } else { activity::LOGON };
        let action = if own { "pam-authenticate" } else { "login" };
        result(event, action, "failure", Some(pam_reason(text, false)));
    } else if text.starts_with("check pass; user unknown") {
        event.activity_id = PREAUTH;
        result(event, "pam-authenticate", "failure", Some("unknown-account"));
    } else if let Some((_, rest)) =
        text.split_once("account ").filter(|(_, r)| r.contains("expired"))
    {
        event.activity_id = PREAUTH;
        event.account = owned(word(rest).0);
        result(event, "pam-authenticate", "failure", Some("account-expired"));
    } else {
        return None;
    }
    Some(())
}

/// Who opened the session: themselves (`by (uid=0)`), or another who became them.
fn who(event: &mut Event, user: &str, by: &str) {
    let opener = by.split('(').next().and_then(some);
    match opener {
        Some(opener) if opener != user => {
            event.account = Some(opener.to_owned());
            event.target_account = owned(user);
        }
        _ => event.account = owned(user),
    }
}

/// `kim(uid=1000)` as `kim`.
fn user_name(text: &str) -> &str {
    text.trim().split_once("(uid=").map_or(text.trim(), |(name, _)| name)
}

/// `alice : [REASON ;] TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/ls`.
fn sudo(event: &mut Event, message: &str) -> Option<()> {
    let (user, fields) = message.trim_start().split_once(" : ")?;
    event.account = owned(user.trim());
    event.activity_id = ACCOUNT_SWITCH;
    event.logon_type_id = Some(INTERACTIVE);
    put(&mut event.rest, "service.name", "sudo");
    // The command is last and may hold anything.
    let (front, command) = match fields.split_once("COMMAND=") {
        Some((front, command)) => (front, Some(command)),
        None => (fields, None),
    };
    event.process_cmd_line = command.and_then(owned);
    let mut refusal = None;
    for field in front.split(" ; ") {
        match field.trim().split_once('=') {
            Some(("USER", user)) => event.target_account = owned(user.trim_end_matches(" ;")),
            Some(("PWD", folder)) => {
                put_some(&mut event.rest, "process.working_directory", Some(folder))
            }
            Some(("TTY", tty)) => put_some(&mut event.rest, "unmapped.sudo.tty", Some(tty)),
            Some(_) => {}
            None => refusal = refusal.or(some(field.trim().trim_end_matches(" ;"))),
        }
    }
    match refusal.filter(|text| !text.is_empty() && *text != ";") {
        None if command.is_some() => result(event, "sudo", "success", None),
        None => return None,
        Some(text) => {
            let reason =
                if text.contains("incorrect password") || text.contains("conversation failed") {
                    "bad-password"
                } else if text.contains("password is required") {
                    "no-credential"
                } else {
                    // `user NOT in sudoers`, `command not allowed`, `user NOT authorized on host`.
                    "no-permission"
                };
            event.status_detail = Some(text.to_owned());
            result(event, "sudo", "failure", Some(reason));
        }
    }
    Some(())
}

/// util-linux: `(to root) alice on pts/0`, `FAILED SU (to root) alice on pts/0`;
/// shadow: `Successful su for root by alice`, `FAILED su for root by alice`.
fn su(event: &mut Event, message: &str) -> Option<()> {
    event.activity_id = ACCOUNT_SWITCH;
    event.logon_type_id = Some(INTERACTIVE);
    put(&mut event.rest, "service.name", "su");
    let failed = message.starts_with("FAILED ");
    let (target, user) = if let Some((_, rest)) = message.split_once("(to ") {
        let (target, rest) = rest.split_once(") ")?;
        let (user, tty) = rest.rsplit_once(" on ").unwrap_or((rest, ""));
        put_some(&mut event.rest, "unmapped.su.tty", Some(tty));
        (target, user)
    } else {
        let (_, rest) = message.split_once("su for ")?;
        rest.split_once(" by ")?
    };
    event.target_account = owned(target);
    event.account = owned(user.trim());
    if failed {
        result(event, "su", "failure", Some("bad-password"));
    } else {
        result(event, "su", "success", None);
    }
    Some(())
}
