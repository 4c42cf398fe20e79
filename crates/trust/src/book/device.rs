use super::travel::CLOCK_SKEW_MS;
use crate::Value;
use crate::site::words;
use schema::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Posture reported longer ago has fallen silent: three check-ins missed (Microsoft Intune's devices check in
/// about every eight hours).
pub(crate) const POSTURE_AGE_MAX_MS: i64 = 24 * 3_600_000;

words!(DeviceOwner { Company = "company", Personal = "personal", External = "external" });

words!(DeviceType {
    Laptop = "laptop",
    Desktop = "desktop",
    Tablet = "tablet",
    Smartphone = "smartphone",
    Server = "server",
    Other = "other",
});

words!(PatchState {
    Latest = "latest",
    D31To90 = "d31_90",
    D91To180 = "d91_180",
    NotApplied = "not_applied",
    LongUnpatched = "long_unpatched",
    Unverifiable = "unverifiable",
});

words!(EdrState { Healthy = "healthy", Absent = "absent", Alert = "alert" });

words!(MdmState { Healthy = "healthy", Absent = "absent", Noncompliant = "noncompliant" });

/// What a register, an agent or a device-compliance event tells of a device. What it leaves out stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceRecord {
    pub id: String,
    /// Whose it is.
    pub account: Option<String>,
    pub owner: Option<DeviceOwner>,
    pub device_type: Option<DeviceType>,
    pub registered: Option<bool>,
    pub stolen_reported: Option<bool>,
    pub patch_state: Option<PatchState>,
    pub edr_state: Option<EdrState>,
    pub mdm_state: Option<MdmState>,
    pub disk_encrypt: Option<bool>,
    pub os_tamper_flag: Option<bool>,
    pub virtual_machine: Option<bool>,
    pub remote_tool_present: Option<bool>,
    pub container_isolation: Option<bool>,
    pub vdi_isolation: Option<bool>,
    pub approved_software: Option<bool>,
    pub unapproved_software: Option<bool>,
    pub device_attested: Option<bool>,
    pub reported_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Posted {
    value: Value,
    at: Timestamp,
}

impl PatchState {
    /// By the days since the last patch (sheet 1 of the seeds).
    pub fn of_days(days: u32) -> Self {
        match days {
            ..=30 => PatchState::Latest,
            31..=90 => PatchState::D31To90,
            91..=180 => PatchState::D91To180,
            181.. => PatchState::LongUnpatched,
        }
    }
}

/// How a fact stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Age {
    Fresh,
    Stale,
}

/// A device as last reported, each fact with its time: reports may come late and in part.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Device {
    account: Option<(String, Timestamp)>,
    /// What a register says: it holds until it says otherwise.
    register: BTreeMap<String, Posted>,
    /// What somebody looked at: it holds for [`POSTURE_AGE_MAX_MS`].
    posture: BTreeMap<String, Posted>,
}

impl Device {
    pub(crate) fn report(&mut self, record: &DeviceRecord) {
        let at = record.reported_at;
        if let Some(account) = &record.account
            && self.account.as_ref().is_none_or(|(_, known)| *known <= at)
        {
            self.account = Some((super::shelf::name(account).into_owned(), at));
        }
        let word = |word: Option<&'static str>| word.map(Value::from);
        let flag = |flag: Option<bool>| flag.map(Value::from);
        let register = [
            ("device_owner", word(record.owner.map(DeviceOwner::as_str))),
            ("device_type", word(record.device_type.map(DeviceType::as_str))),
            ("device_registered", flag(record.registered)),
            ("stolen_reported", flag(record.stolen_reported)),
        ];
        let posture = [
            ("patch_state", word(record.patch_state.map(PatchState::as_str))),
            ("edr_state", word(record.edr_state.map(EdrState::as_str))),
            ("mdm_state", word(record.mdm_state.map(MdmState::as_str))),
            ("disk_encrypt", flag(record.disk_encrypt)),
            ("os_tamper_flag", flag(record.os_tamper_flag)),
            ("virtual_machine", flag(record.virtual_machine)),
            ("remote_tool_present", flag(record.remote_tool_present)),
            ("container_isolation", flag(record.container_isolation)),
            ("vdi_isolation", flag(record.vdi_isolation)),
            ("approved_software", flag(record.approved_software)),
            ("unapproved_software", flag(record.unapproved_software)),
            ("device_attested", flag(record.device_attested)),
        ];
        post(&mut self.register, register, at);
        post(&mut self.posture, posture, at);
    }

    pub(crate) fn account(&self) -> Option<&str> {
        self.account.as_ref().map(|(account, _)| account.as_str())
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.register.get("device_registered").is_some_and(|fact| fact.value == Value::Bool(true))
    }

    pub(crate) fn register(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.register.iter().map(|(name, posted)| (name.as_str(), &posted.value))
    }

    pub(crate) fn posture(&self, at: Timestamp) -> impl Iterator<Item = (&str, &Value, Age)> {
        self.posture.iter().map(move |(name, posted)| {
            (name.as_str(), &posted.value, age(posted.at, at, POSTURE_AGE_MAX_MS))
        })
    }
}

/// A report from the future is not fresh: else a wrong clock would keep it so for ever.
pub(crate) fn age(reported: Timestamp, at: Timestamp, max_ms: i64) -> Age {
    let since = at.saturating_sub(reported);
    if (-CLOCK_SKEW_MS..=max_ms).contains(&since) { Age::Fresh } else { Age::Stale }
}

fn post<const N: usize>(
    facts: &mut BTreeMap<String, Posted>,
    told: [(&str, Option<Value>); N],
    at: Timestamp,
) {
    for (name, value) in told {
        let Some(value) = value else { continue };
        if facts.get(name).is_none_or(|known| known.at <= at) {
            facts.insert(name.to_owned(), Posted { value, at });
        }
    }
}
