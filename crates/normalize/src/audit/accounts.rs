//! Records of user space about accounts: log-ins, sudo, accounts made and changed.

use super::Record;
use crate::auth::{ACCOUNT_SWITCH, INTERACTIVE, NETWORK, PREAUTH};
use crate::text::{address, base_name, put, put_some};
use schema::{Event, activity, class};

/// OCSF Account Change and its activities.
const ACCOUNT_CHANGE: i64 = 3001;
const ACCOUNT_CREATE: i64 = 1;
const ACCOUNT_PASSWORD_CHANGE: i64 = 3;
const ACCOUNT_DELETE: i64 = 6;

/// Reads the record if it is of such a kind.
pub(super) fn read(event: &mut Event, record: &Record) -> bool {
    let (class_uid, activity_id, action) = match record.kind.as_str() {
        // OpenSSH and login write USER_LOGIN for every attempt; PAM's records come beside it.
        "USER_LOGIN" => (class::AUTHENTICATION, activity::LOGON, "login"),
        "USER_AUTH" | "USER_ACCT" => (class::AUTHENTICATION, PREAUTH, "pam-authenticate"),
        "USER_START" => (class::AUTHENTICATION, activity::LOGON, "session-open"),
        "USER_END" | "USER_LOGOUT" => (class::AUTHENTICATION, activity::LOGOFF, "session-close"),
        "USER_ERR" => (class::AUTHENTICATION, PREAUTH, "pam-authenticate"),
        "CRED_ACQ" | "CRED_REFR" | "CRED_DISP" => {
            (class::AUTHENTICATION, activity::OTHER, "credential")
        }
        "USER_CMD" => (class::AUTHENTICATION, ACCOUNT_SWITCH, "sudo"),
        "ADD_USER" => (ACCOUNT_CHANGE, ACCOUNT_CREATE, "account-create"),
        "DEL_USER" => (ACCOUNT_CHANGE, ACCOUNT_DELETE, "account-delete"),
        "USER_CHAUTHTOK" => (ACCOUNT_CHANGE, ACCOUNT_PASSWORD_CHANGE, "password-change"),
        "ADD_GROUP" => (ACCOUNT_CHANGE, activity::OTHER, "group-create"),
        "DEL_GROUP" => (ACCOUNT_CHANGE, activity::OTHER, "group-delete"),
        "USER_MGMT" | "GRP_MGMT" | "ACCT_LOCK" | "ACCT_UNLOCK" => {
            (ACCOUNT_CHANGE, activity::OTHER, "account-change")
        }
        _ => return false,
    };
    event.class_uid = class_uid;
    event.activity_id = activity_id;
    outcome(event, record);
    event.outcome_action = Some(action.to_owned());

    let name = record.decoded("acct").filter(|name| !name.is_empty());
    let subject = name.or_else(|| record.user("id"));
    let login_user = record.user("auid").or_else(|| record.user("uid"));
    if class_uid == ACCOUNT_CHANGE {
        event.account = login_user;
        event.target_account = subject;
    } else if action == "sudo" {
        event.account = login_user;
        event.process_cmd_line = record.decoded("cmd");
        let folder = record.decoded("cwd");
        put_some(&mut event.rest, "process.working_directory", folder.as_deref());
    } else {
        event.account = subject.or(login_user);
    }
    event.src_ip = record.get("addr").and_then(address);
    if event.src_ip.is_none() {
        event.src_ip = record.get("hostname").and_then(address);
    }
    let terminal = record.get("terminal");
    event.logon_type_id = match terminal {
        Some("ssh" | "sshd") => Some(NETWORK),
        Some(terminal)
            if terminal.starts_with("tty")
                || terminal.starts_with("pts")
                || terminal.starts_with("/dev/") =>
        {
            Some(INTERACTIVE)
        }
        _ => None,
    };
    put_some(&mut event.rest, "unmapped.audit.terminal", terminal);
    let operation = record.get("op");
    put_some(&mut event.rest, "unmapped.audit.op", operation);
    event.auth_protocol = match operation {
        Some(op) if op.starts_with("PAM:") => Some("pam".to_owned()),
        Some(op @ ("password" | "publickey" | "keyboard-interactive")) => Some(op.to_owned()),
        _ => None,
    };
    event.actor_pid = record.number("pid");
    event.actor_path = record.decoded("exe");
    event.actor_name = record
        .decoded("comm")
        .or_else(|| event.actor_path.as_deref().and_then(base_name).map(str::to_owned));
    for key in ["auid", "uid", "ses"] {
        put_some(&mut event.rest, &format!("unmapped.audit.{key}"), record.get(key));
    }
    if let Some(name) = event.actor_name.clone().filter(|_| class_uid == class::AUTHENTICATION) {
        put(&mut event.rest, "service.name", name);
    }
    true
}

/// `res=success`, `res=failed`, `res=1`, `res=0`.
pub(super) fn outcome(event: &mut Event, record: &Record) {
    let (status, outcome) = match record.get("res") {
        Some("success" | "1" | "yes") => (1, "success"),
        Some("failed" | "0" | "no") => (2, "failure"),
        _ => return,
    };
    event.status_id = Some(status);
    event.outcome = Some(outcome.to_owned());
    if status == 2 {
        let unknown = record.decoded("acct").is_some_and(|name| {
            name == "(unknown)" || name == "(unknown user)" || name == "(invalid user)"
        });
        let reason = match record.kind.as_str() {
            _ if unknown => "unknown-account",
            "USER_LOGIN" | "USER_AUTH" => "bad-password",
            _ => "failed",
        };
        event.outcome_reason = Some(reason.to_owned());
    }
}
