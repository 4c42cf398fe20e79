use super::{Folder, load, loaded, notices, problems, told};
use crate::rule::{AuditMode, EngineMode};
use crate::ruleset::Settings;

fn set(text: &str) -> Settings {
    Settings::clone(&loaded(text).settings)
}

/// Every directive that sets something, and that it did.
#[test]
fn every_setting_is_set() {
    type Check = fn(&Settings) -> bool;
    let cases: [(&str, Check); 31] = [
        ("SecRuleEngine On", |s| s.engine == EngineMode::On),
        ("SecRuleEngine \"DetectionOnly\"", |s| s.engine == EngineMode::DetectionOnly),
        ("secruleengine off", |s| s.engine == EngineMode::Off),
        ("SecRequestBodyAccess On", |s| s.request_body_access),
        ("SecResponseBodyAccess On", |s| s.response_body_access),
        ("SecRequestBodyLimit 77", |s| s.request_body_limit == 77),
        ("SecRequestBodyNoFilesLimit 77", |s| s.request_body_no_files_limit == 77),
        ("SecRequestBodyLimitAction ProcessPartial", |s| !s.request_body_limit_rejects),
        ("SecRequestBodyJsonDepthLimit 7", |s| s.request_body_json_depth == 7),
        ("SecResponseBodyLimit 77", |s| s.response_body_limit == 77),
        ("SecResponseBodyLimitAction ProcessPartial", |s| !s.response_body_limit_rejects),
        ("SecResponseBodyMimeType text/XML application/json; charset=x", |s| {
            s.response_body_mime_types == ["text/xml", "application/json", "charset=x"]
        }),
        ("SecResponseBodyMimeType a/b\nSecResponseBodyMimeType c/d a/b", |s| {
            s.response_body_mime_types == ["a/b", "c/d"]
        }),
        ("SecResponseBodyMimeTypesClear", |s| s.response_body_mime_types.is_empty()),
        ("SecResponseBodyMimeTypesClear\nSecResponseBodyMimeType a/b", |s| {
            s.response_body_mime_types == ["a/b"]
        }),
        ("SecArgumentsLimit 7", |s| s.arguments_max == 7),
        ("SecArgumentSeparator ;", |s| s.argument_separator == b';'),
        ("SecCookieFormat 1", |s| s.cookie_format_v1),
        ("SecCookieFormat 0", |s| !s.cookie_format_v1),
        ("SecCookieV0Separator ;", |s| *s.web_app_id == *"default"),
        ("SecCollectionTimeout 600", |s| s.collection_timeout_secs == 600),
        ("SecAuditEngine RelevantOnly", |s| s.audit == Some(AuditMode::RelevantOnly)),
        ("SecAuditEngine On", |s| s.audit == Some(AuditMode::On)),
        ("SecAuditLogRelevantStatus \"^5\"", |s| relevant(s, "503") && !relevant(s, "200")),
        ("SecAuditLogRelevantStatus \"^(?:5|4(?!04))\"", |s| {
            relevant(s, "500")
                && relevant(s, "403")
                && relevant(s, "414")
                && !relevant(s, "404")
                && !relevant(s, "200")
        }),
        ("SecWebAppId \"my app\"", |s| s.web_app_id == "my app"),
        ("SecUploadFileLimit 7", |s| s.upload_file_limit == 7),
        ("SecXmlExternalEntity Off", |s| !s.request_body_access),
        ("SecConnEngine Off", |s| !s.request_body_access),
        ("SecHashEngine Off", |s| !s.request_body_access),
        ("SecContentInjection Off", |s| !s.request_body_access),
    ];
    for (text, check) in cases {
        assert!(check(&set(text)), "{text}");
        assert_eq!(notices(text), "", "{text}");
    }
}

fn relevant(settings: &Settings, status: &str) -> bool {
    settings.audit_relevant_status.as_ref().unwrap().is_match(status.as_bytes())
}

#[test]
fn components_sign() {
    let rules = loaded("SecComponentSignature \"A/1\"\nSecComponentSignature 'B/2'");
    assert_eq!(*rules.signatures, ["A/1".to_owned(), "B/2".to_owned()]);
}

#[test]
fn what_is_decided_elsewhere_is_noticed() {
    for name in [
        "SecAuditLog /var/log/a",
        "SecAuditLog2 /a",
        "SecAuditLogDirMode 0700",
        "SecAuditLogFileMode 0600",
        "SecAuditLogFormat JSON",
        "SecAuditLogStorageDir /a",
        "SecAuditLogType Serial",
        "SecDebugLog /a",
        "SecDebugLogLevel 3",
        "SecTmpDir /tmp/",
        "SecDataDir /tmp/",
        "SecUploadDir /a",
        "SecUploadKeepFiles Off",
        "SecUploadFileMode 0600",
        "SecTmpSaveUploadedFiles On",
        "SecRequestBodyInMemoryLimit 131072",
        "SecPcreMatchLimit 1000",
        "SecPcreMatchLimitRecursion 1000",
        "SecStatusEngine On",
        "SecServerSignature \"x\"",
        "SecSensorId a",
        "SecGeoLookupDB /a",
        "SecGsbLookupDb /a",
        "SecHttpBlKey a",
        "SecCacheTransformations On",
        "SecDisableBackendCompression On",
        "SecRuleInheritance Off",
        "SecRulePerfTime 5",
        "SecRemoteRulesFailAction Warn",
        "SecUnicodeCodePage 20127",
        "SecConnReadStateLimit 5",
        "SecConnWriteStateLimit 5",
        "SecHashKey a",
        "SecHashParam a",
        "SecHashMethodRx a b",
        "SecHashMethodPm a b",
        "SecInterceptOnError On",
        "SecRequestBodyLimitAction Reject",
        "SecResponseBodyLimitAction Reject",
        "SecAuditLogParts ABIJDEFHZ",
    ] {
        let told = notices(name);
        let start = format!("rules.conf:1: `{}`: has no effect: ", name.split(' ').next().unwrap());
        assert!(told.starts_with(&start), "{name}: {told}");
    }
}

/// What does nothing is read all the same: a slip of the pen is told.
#[test]
fn a_bad_value_of_what_is_decided_elsewhere_is_an_error() {
    for (line, problem) in [
        ("SecAuditLogDirMode rwx", "`rwx` is no file mode"),
        ("SecAuditLogFormat YAML", "`YAML` is none of its values"),
        ("SecAuditLogType", "has no value"),
        ("SecDebugLog /a /b", "`/b` is one word too many"),
        ("SecDebugLogLevel high", "`high` is no number that fits"),
        ("SecUploadKeepFiles Maybe", "`Maybe` is none of its values"),
        ("SecUploadFileMode 0888", "`0888` is no file mode"),
        ("SecTmpDir", "has no value"),
        ("SecPcreMatchLimit many", "`many` is no number that fits"),
        ("SecStatusEngine Yes", "`Yes` is neither `On` nor `Off`"),
        ("SecServerSignature", "has no value"),
        ("SecSensorId", "has no value"),
        ("SecHashKey", "has no value"),
        ("SecWebAppId", "has no value"),
        ("SecComponentSignature", "has no value"),
        ("SecAuditLogRelevantStatus", "has no value"),
        ("SecResponseBodyMimeTypesClear text/html", "`text/html` is one word too many"),
    ] {
        let name = line.split(' ').next().unwrap();
        let start = format!("rules.conf:1: `{name}`: {problem}\n  hint: ");
        let told = problems(line);
        assert!(told.starts_with(&start), "{line}: {told}");
    }
}

#[test]
fn a_code_page_is_read_from_its_file() {
    let map =
        "(MAC - Roman)\n\n\n1250 (ANSI)\n00a1:21\n\n20127 (US-ASCII)\n00a0:20 FF21:41\n2013:2d\n";
    let files = |text| Folder::with(&[("r/a.conf", text), ("r/unicode.mapping", map)]);
    let rules = load(&files("SecUnicodeMapFile unicode.mapping 20127"), &["r/a.conf"]).unwrap();
    let map = rules.settings.unicode_map.clone().unwrap();
    assert_eq!(
        map.iter().map(|(a, b)| (*a, *b)).collect::<Vec<_>>(),
        [(0xa0, b' '), (0x2013, b'-'), (0xff21, b'A')]
    );
    let problems = load(&files("SecUnicodeMapFile unicode.mapping 7"), &["r/a.conf"]).unwrap_err();
    assert!(told(&problems).contains("the file has no code page 7"));
}

#[test]
fn files_include_files_beside_them() {
    let folder = Folder::with(&[
        (
            "etc/main.conf",
            "SecAction id:1\nInclude rules/*.conf\nSecAction id:4\nIncludeOptional none/*.conf",
        ),
        ("etc/rules/b.conf", "SecAction id:3"),
        ("etc/rules/a.conf", "SecAction id:2\nInclude \"../etc2/x.conf\"\nInclude /abs.conf"),
        ("etc/rules/../etc2/x.conf", "SecAction id:5"),
        ("/abs.conf", "SecAction id:6"),
        ("last.conf", "IncludeOptional missing.conf\nSecAction id:7"),
    ]);
    let rules = load(&folder, &["etc/main.conf", "last.conf"]).unwrap();
    assert_eq!(rules.rules().map(|rule| rule.id).collect::<Vec<_>>(), [1, 2, 5, 6, 3, 4, 7]);
    assert_eq!(rules.rule(5).unwrap().place.to_string(), "etc/rules/../etc2/x.conf:1");
    assert_eq!(
        told(&rules.notices),
        "etc/main.conf:4: `etc/none/*.conf`: names no file\n\
         last.conf:1: `missing.conf`: is left out: no such file"
    );
}
