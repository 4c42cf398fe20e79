use std::fmt;
use std::str::FromStr;

/// What a source writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Decided line by line.
    Auto,
    /// One OCSF object per line.
    Ocsf,
    /// nginx and Apache `common` and `combined` access logs.
    Combined,
    /// Access logs with one JSON object per line.
    JsonAccess,
    /// RFC 5424, RFC 3164 and rsyslog's file format; what is inside is read by its program's name.
    Syslog,
    /// Records of the Linux audit system.
    LinuxAudit,
    /// Sysmon for Linux: XML, bare or in syslog.
    SysmonLinux,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a log format: use auto, ocsf, combined, json-access, syslog, linux-audit or sysmon-linux"
)]
pub struct UnknownFormat(pub String);

impl Format {
    pub const ALL: [Format; 7] = [
        Format::Auto,
        Format::Ocsf,
        Format::Combined,
        Format::JsonAccess,
        Format::Syslog,
        Format::LinuxAudit,
        Format::SysmonLinux,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Ocsf => "ocsf",
            Format::Combined => "combined",
            Format::JsonAccess => "json-access",
            Format::Syslog => "syslog",
            Format::LinuxAudit => "linux-audit",
            Format::SysmonLinux => "sysmon-linux",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Format::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// Where lines come from, and what we know of it that the lines do not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name of the source within its tenant; part of every event's id.
    pub name: String,
    pub format: Format,
    /// The host, for records that name none.
    pub device: Option<String>,
    /// The protected application, for records that name none.
    pub site: Option<String>,
    /// Offset of local times that carry no zone, seconds east of UTC.
    pub utc_offset_secs: i32,
}

impl Source {
    pub fn new(name: impl Into<String>, format: Format) -> Self {
        Source { name: name.into(), format, device: None, site: None, utc_offset_secs: 0 }
    }
}
