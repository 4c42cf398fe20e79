//! What the caller states: it fills what nobody knows, and makes nothing better that somebody does.

use super::{Facts, Origin};
use crate::site::Site;
use crate::{Reading, Readings, Value};

/// What was not taken is told up to here.
pub(super) const DIAGNOSTICS_MAX: usize = 32;

/// Whether a value counts whoever states it; `None` of a signal that anybody may speak of.
///
/// Who somebody is, what their device is like and what they are exempt from is claimed by those who gain from
/// it, through the caller. So bad news counts from anybody, good news from registers, events and the callers
/// the site trusts with it. A value neither list knows counts as good news.
pub(super) fn counts_from_anybody(signal: &str, value: &Value) -> Option<bool> {
    let bad: &[&str] = match signal {
        "user_type" => &["unknown"],
        "user_status" => &["unusual"],
        "mfa_result" => &["not_used", "fail", "bypassed"],
        "mfa_method" => &[],
        "auth_strength" => &["weak"],
        "authorization" => &["mismatch"],
        "device_id" => &["new", "mismatch"],
        "device_owner" => &["personal", "external"],
        "patch_state" => &["d91_180", "unverifiable", "not_applied", "long_unpatched"],
        "posture_age" => &["stale"],
        "edr_state" => &["absent", "alert"],
        "mdm_state" => &["absent", "noncompliant"],
        "os_update" => &["old"],
        "live_finding" => &["low", "medium", "high", "critical"],
        "compromise_suspected"
        | "identity_uncertain"
        | "stolen_reported"
        | "remote_tool_present"
        | "unapproved_software"
        | "os_tamper_flag"
        | "virtual_machine" => &["true"],
        "mfa_used"
        | "guest_domain_approved"
        | "device_registered"
        | "device_attested"
        | "approved_software"
        | "container_isolation"
        | "vdi_isolation"
        | "browser_isolation"
        | "disk_encrypt"
        | "domain_joined"
        | "travel_registered"
        | "per_app_ztna" => &["false"],
        _ => return None,
    };
    Some(match value {
        Value::Bool(value) => bad.contains(&if *value { "true" } else { "false" }),
        Value::Text(text) => bad.contains(&text.as_str()),
        Value::Integer(_) => false,
    })
}

pub(super) fn merge(facts: &mut Facts<'_>, site: &Site, stated: &Readings) {
    for (signal, reading) in stated {
        let is_trusted = site.trusts_callers_on(signal)
            || counts_from_anybody(signal, &reading.value).unwrap_or(true);
        match facts.gathered.readings.get(signal) {
            None if is_trusted => put(facts, signal, reading.clone()),
            None => {
                let message = format!("`{signal}` is good news only the caller tells");
                facts.wonder(
                    "caller-not-trusted",
                    &place(signal),
                    message,
                    "report it to the register, or list the signal under `callers.trusted_signals` of the site",
                );
            }
            Some(known) => {
                if (facts.worse)(signal, &reading.value, &known.value) {
                    put(facts, signal, reading.clone());
                } else if known.value != reading.value {
                    let message = format!("`{signal}` is known to be otherwise");
                    let hint =
                        "evidence and registers outweigh what is stated; the worse of two holds";
                    facts.wonder("overruled", &place(signal), message, hint);
                } else if known.is_silent && !reading.is_silent && is_trusted {
                    // Somebody trusted with it speaks again.
                    put(facts, signal, reading.clone());
                }
            }
        }
    }
}

fn put(facts: &mut Facts<'_>, signal: &str, reading: Reading) {
    facts.gathered.readings.insert(signal.to_owned(), reading);
    facts.gathered.origins.insert(signal.to_owned(), Origin::Caller);
}

fn place(signal: &str) -> String {
    format!("$.context.signals.{}", signal.chars().take(64).collect::<String>())
}
