//! Which kind of record it is, as far as the record itself says.

use sigma::{Json, LogSource, Record, Scalar};

/// What a record is, and so how rules look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Of Windows' event log, or of Sysmon for Linux: `product` says which.
    EventLog(&'static str),
    /// As somebody said, or as its fields show.
    Other(LogSource),
}

/// Sources whose records name themselves: the fields that only theirs have together.
const KNOWN: &[(&[&str], Option<&str>, Option<&str>)] = &[
    (&["eventVersion", "eventSource", "eventName"], Some("aws"), Some("cloudtrail")),
    (&["eventType", "published", "displayMessage"], Some("okta"), Some("okta")),
    (&["protoPayload", "logName"], Some("gcp"), Some("gcp.audit")),
    (&["operationName", "resourceId", "category"], Some("azure"), Some("activitylogs")),
    (&["auditID", "verb", "objectRef"], Some("kubernetes"), Some("audit")),
];

/// None where neither shape nor fields tell; `said` is what the reader of the records knows.
pub fn kind_of<'a, J: Json<'a>>(value: J, said: Option<&LogSource>) -> Option<Kind> {
    if let Some(product) = event_log(value) {
        return Some(Kind::EventLog(product));
    }
    if let Some(said) = said {
        return Some(Kind::Other(said.clone()));
    }
    KNOWN
        .iter()
        .find(|(fields, ..)| fields.iter().all(|field| value.get(field).is_some()))
        .map(|(_, product, service)| Kind::Other(LogSource::new(*product, None, *service)))
}

/// Whether it is an event in OCSF: by two attributes that all of its classes require.
pub fn is_ocsf<'a, J: Json<'a>>(value: J) -> bool {
    let class = value.get("class_uid").map(J::kind);
    matches!(class, Some(sigma::Kind::Scalar(Scalar::Integer(_))))
        && value.get("metadata").is_some_and(J::is_object)
}

/// The product whose event log the record comes from.
fn event_log<'a, J: Json<'a>>(value: J) -> Option<&'static str> {
    let event = value.get("Event").unwrap_or(value);
    let nested = event.get("System").filter(|system| system.is_object());
    let winlog = value.get("winlog").filter(|winlog| winlog.is_object());
    let at = nested.or(winlog).unwrap_or(value);
    let channel = text(at, &["Channel", "channel"]);
    let id = ["EventID", "event_id"].iter().any(|name| at.get(name).is_some());
    let provider = text(at, &["SourceName", "ProviderName", "Provider_Name", "provider_name"]);
    let is = match nested.is_some() || winlog.is_some() {
        true => id || channel.is_some(),
        false => id && (channel.is_some() || provider.is_some()),
    };
    let linux = || {
        let attributes = at.get("Provider").and_then(|own| own.get("#attributes"));
        let provider = attributes.and_then(|own| text(own, &["Name"]));
        [channel, provider].into_iter().flatten().any(|name| name.starts_with("Linux-Sysmon"))
    };
    is.then(|| if linux() { "linux" } else { "windows" })
}

/// The first of these fields that is a text.
fn text<'a, J: Json<'a>>(at: J, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| match at.get(name)?.kind() {
        sigma::Kind::Scalar(Scalar::Text(text)) => Some(text),
        _ => None,
    })
}

impl Kind {
    /// The record as rules see it.
    pub fn record<'a, J: Json<'a>>(&self, value: J) -> Record<'a, J> {
        match self {
            Kind::EventLog(product) => Record::event_log(product, value),
            Kind::Other(logsource) => Record::json(logsource.clone(), value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn records_say_what_they_are() {
        let check = |value: Value, wanted: Option<Kind>| {
            assert_eq!(kind_of(&value, None), wanted, "{value}");
        };
        let windows = || Some(Kind::EventLog("windows"));
        check(json!({"Event": {"System": {"EventID": 1, "Channel": "Security"}}}), windows());
        check(json!({"winlog": {"channel": "Security", "event_id": "4624"}}), windows());
        check(json!({"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational"}), windows());
        check(json!({"EventID": 1, "SourceName": "Microsoft-Windows-Sysmon"}), windows());
        check(
            json!({"Event": {"System": {"EventID": 1, "Channel": "Linux-Sysmon/Operational"}}}),
            Some(Kind::EventLog("linux")),
        );
        check(
            json!({"eventVersion": "1", "eventSource": "iam.amazonaws.com", "eventName": "X"}),
            Some(Kind::Other(LogSource::new(Some("aws"), None, Some("cloudtrail")))),
        );
        // A number that happens to be called so is not enough.
        check(json!({"EventID": 1}), None);
        let said = LogSource::new(Some("linux"), None, Some("auditd"));
        let kind = kind_of(&json!({"type": "SYSCALL"}), Some(&said));
        assert_eq!(kind, Some(Kind::Other(said)));
    }
}
