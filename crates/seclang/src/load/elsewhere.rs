//! Directives that are known and do nothing here, those that may only be `Off`, and those that are refused.

use super::Loader;
use super::directives::single;
use crate::parse::{Problem, number, switch, unquoted};
use crate::place::Place;

/// What stands after the name of a directive that does nothing: it is read all the same, so that a slip of
/// the pen is told here as it is by ModSecurity.
#[derive(Clone, Copy)]
enum Value {
    /// One path, key or name.
    One,
    /// Anything, but something.
    Words,
    Number,
    Switch,
    /// `0640`, or `default`.
    Mode,
    OneOf(&'static [&'static str]),
}

/// Known, harmless, and decided elsewhere: the name, what it is set to, and where that is decided.
#[rustfmt::skip]
const ELSEWHERE: [(&str, Value, &str); 47] = [
    ("SecAuditLog", Value::One, AUDIT), ("SecAuditLog2", Value::One, AUDIT),
    ("SecAuditLogDirMode", Value::Mode, AUDIT), ("SecAuditLogFileMode", Value::Mode, AUDIT),
    ("SecAuditLogFormat", Value::OneOf(&["JSON", "Native"]), AUDIT),
    ("SecAuditLogPrefix", Value::Words, AUDIT), ("SecAuditLogStorageDir", Value::One, AUDIT),
    ("SecAuditLogType", Value::OneOf(&["Serial", "Parallel", "Concurrent", "HTTPS"]), AUDIT),
    ("SecDebugLog", Value::One, DEBUG), ("SecDebugLogLevel", Value::Number, DEBUG),
    ("SecTmpDir", Value::One, MEMORY), ("SecDataDir", Value::One, MEMORY),
    ("SecUploadDir", Value::One, MEMORY),
    ("SecUploadKeepFiles", Value::OneOf(&["On", "Off", "RelevantOnly"]), MEMORY),
    ("SecUploadFileMode", Value::Mode, MEMORY), ("SecTmpSaveUploadedFiles", Value::Switch, MEMORY),
    ("SecRequestBodyInMemoryLimit", Value::Number, MEMORY),
    ("SecPcreMatchLimit", Value::Number, LINEAR),
    ("SecPcreMatchLimitRecursion", Value::Number, LINEAR),
    ("SecStatusEngine", Value::Switch, "nothing is reported to anybody"),
    ("SecServerSignature", Value::Words, "the gateway's own settings decide what it tells of itself"),
    ("SecSensorId", Value::Words, "the gateway's own name is used"),
    ("SecGeoLookupDb", Value::One, LOOKUP), ("SecGsbLookupDb", Value::One, LOOKUP),
    ("SecHttpBlKey", Value::One, LOOKUP),
    ("SecCacheTransformations", Value::Words, "transformed values are always shared between rules"),
    ("SecDisableBackendCompression", Value::Switch, "the gateway's own settings decide"),
    ("SecRuleInheritance", Value::Switch, "there is one rule set, nothing to inherit from"),
    ("SecRulePerfTime", Value::Number, "time is measured for all rules"),
    ("SecRemoteRulesFailAction", Value::OneOf(&["Abort", "Warn"]), "rules never come over the network"),
    ("SecUnicodeCodePage", Value::Number, "`SecUnicodeMapFile` names the code page"),
    ("SecConnReadStateLimit", Value::Words, CONNECTIONS),
    ("SecConnWriteStateLimit", Value::Words, CONNECTIONS),
    ("SecReadStateLimit", Value::Words, CONNECTIONS), ("SecWriteStateLimit", Value::Words, CONNECTIONS),
    ("SecUnixSocketPermissions", Value::Mode, "there is no such socket"),
    ("SecHashKey", Value::Words, HASH), ("SecHashParam", Value::Words, HASH),
    ("SecHashMethodRx", Value::Words, HASH), ("SecHashMethodPm", Value::Words, HASH),
    ("SecEncryptionKey", Value::Words, HASH), ("SecEncryptionParam", Value::Words, HASH),
    ("SecEncryptionMethodRx", Value::Words, HASH), ("SecEncryptionMethodPm", Value::Words, HASH),
    ("SecRequestEncoding", Value::Words, "bodies are read as they come"),
    ("SecInterceptOnError", Value::Switch, "what cannot be read is in REQBODY_ERROR; a rule decides"),
    ("SecArgumentsDecode", Value::Words, "arguments are always decoded once"),
];

const AUDIT: &str = "the audit log is configured with the gateway";
pub(super) const DEBUG: &str = "logging is configured with the gateway";
const MEMORY: &str = "bodies are held in memory within their limits, never in files";
const LINEAR: &str = "regexes run in linear time and need no such limit";
const LOOKUP: &str = "no lookup goes out; operators that need one are refused";
const CONNECTIONS: &str = "the gateway limits connections";
const HASH: &str = "links are not signed";

/// Fine when `Off`; what to do instead of `On`.
#[rustfmt::skip]
const ONLY_OFF: [(&str, &str); 9] = [
    ("SecXmlExternalEntity", "write `Off`: external entities are never fetched"),
    ("SecConnEngine", "write `Off`: the gateway limits connections"),
    ("SecHashEngine", "write `Off`: links are not signed"),
    ("SecEncryptionEngine", "write `Off`: links are not signed"),
    ("SecContentInjection", "write `Off`: responses are not written into"),
    ("SecStreamInBodyInspection", "write `Off`: REQUEST_BODY has the whole body"),
    ("SecStreamOutBodyInspection", "write `Off`: RESPONSE_BODY has the whole body"),
    ("SecParseXmlIntoArgs", "write `Off`, and look at `XML:/*` and `XML://@*`"),
    ("SecUseLua", "write `Off`: scripts are never run"),
];

/// Never.
#[rustfmt::skip]
const REFUSED: [(&str, &str, &str); 4] = [
    ("SecRemoteRules", "rules never come over the network", "save the rules as a file and include it"),
    ("SecRuleScript", "scripts are never run", "write the test as a `SecRule`"),
    ("SecGuardianLog", "starts a process: never", "leave it out; findings go to the server"),
    ("SecChrootDir", "the gateway is confined by the system that starts it", "leave it out"),
];

/// The names of all that are read and do nothing, for the hint after a misspelt one.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let idle = ELSEWHERE.iter().map(|(name, ..)| *name);
    idle.chain(ONLY_OFF.iter().map(|(name, _)| *name))
}

impl Loader<'_> {
    /// `None`: the directive is none of these.
    pub(super) fn idle_setting(
        &mut self,
        name: &str,
        words: &[&str],
        place: &Place,
    ) -> Option<Result<(), Problem>> {
        let known = |names: &str| name.eq_ignore_ascii_case(names);
        if let Some((_, problem, hint)) = REFUSED.iter().find(|(refused, ..)| known(refused)) {
            return Some(Err(Problem::new(name, *problem).hint(*hint)));
        }
        if let Some((_, hint)) = ONLY_OFF.iter().find(|(off, _)| known(off)) {
            let off = single(name, words).and_then(|word| switch(name, word));
            return Some(match off {
                Ok(false) => Ok(()),
                _ => Err(Problem::new(name, "can only be `Off`").hint(*hint)),
            });
        }
        let (_, value, why) = ELSEWHERE.iter().find(|(elsewhere, ..)| known(elsewhere))?;
        let read = value.read(name, words);
        if read.is_ok() {
            self.notice(place, Problem::new(name, format!("has no effect: {why}")));
        }
        Some(read)
    }
}

impl Value {
    fn read(self, name: &str, words: &[&str]) -> Result<(), Problem> {
        let one = || single(name, words).map(unquoted);
        match self {
            Self::One => one().map(|_| ()),
            Self::Words => some(name, words),
            Self::Number => number::<u64>(name, one()?).map(|_| ()),
            Self::Switch => switch(name, one()?).map(|_| ()),
            Self::Mode => mode(name, one()?),
            Self::OneOf(known) => {
                let word = one()?;
                if known.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                    return Ok(());
                }
                let known: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
                Err(Problem::new(name, format!("`{word}` is none of its values"))
                    .hint(format!("write {}", known.join(" or "))))
            }
        }
    }
}

/// Something is there.
pub(super) fn some(name: &str, words: &[&str]) -> Result<(), Problem> {
    if words.iter().any(|word| !word.is_empty()) {
        return Ok(());
    }
    Err(Problem::new(name, "has no value").hint(format!("write `{name} \"…\"`")))
}

fn mode(name: &str, written: &str) -> Result<(), Problem> {
    let octal = !written.is_empty()
        && written.len() <= 5
        && written.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    if octal || written.eq_ignore_ascii_case("default") {
        return Ok(());
    }
    Err(Problem::new(name, format!("`{written}` is no file mode"))
        .hint("write it in octal digits, such as `0640`"))
}
