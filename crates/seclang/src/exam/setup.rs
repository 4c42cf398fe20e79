//! The settings that CRS's tests are made for: those of its own test containers, and the action that its
//! test suite asks to be added.

/// The name under which [`exam_setup`] is loaded.
pub const EXAM_SETUP_FILE: &str = "exam-setup.conf";

/// Paranoia level of the suite.
const PARANOIA: u8 = 4;

/// What comes between `crs-setup.conf` and the rules. The engine only detects, so that one request shows
/// all rules that match.
pub fn exam_setup(paranoia: Option<u8>) -> String {
    SETUP.replace("{paranoia}", &paranoia.unwrap_or(PARANOIA).to_string())
}

/// The order to load files in: setup files, the exam's own, then the rules.
pub fn exam_roots<'a>(setup: &[&'a str], rules: &[&'a str]) -> Vec<&'a str> {
    let mut roots = setup.to_vec();
    roots.push(EXAM_SETUP_FILE);
    roots.extend_from_slice(rules);
    roots
}

const SETUP: &str = r#"
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 131072
SecRequestBodyLimitAction Reject
SecRequestBodyJsonDepthLimit 512
SecArgumentsLimit 1000
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecResponseBodyLimit 1048576
SecResponseBodyLimitAction ProcessPartial

# Which bodies are read as XML and JSON: the first rules of modsecurity.conf-recommended.
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" \
    "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/json" \
    "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "^application/[a-z0-9.-]+[+]json" \
    "id:200006,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" \
    "id:200002,phase:2,t:none,log,deny,status:400,msg:'the request body cannot be read',\
    logdata:'%{reqbody_error_msg}',severity:2"

# As the suite's README has it.
SecAction "id:900005,phase:1,nolog,pass,\
    ctl:ruleEngine=DetectionOnly,\
    ctl:ruleRemoveById=910000,\
    setvar:tx.blocking_paranoia_level={paranoia},\
    setvar:tx.crs_validate_utf8_encoding=1,\
    setvar:tx.arg_name_length=100,\
    setvar:tx.arg_length=400,\
    setvar:tx.total_arg_length=64000,\
    setvar:tx.max_num_args=255,\
    setvar:tx.max_file_size=64100,\
    setvar:tx.combined_file_sizes=65535"
"#;
