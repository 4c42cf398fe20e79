//! A match as ModSecurity's error log tells of it.

use crate::verdict::Match;
use std::fmt::Write;

/// Bytes of the operator's argument and of `data` in a log line.
const ARGUMENT_BYTES_MAX: usize = 200;
/// Bytes of the value in a log line.
const VALUE_BYTES_MAX: usize = 100;

impl Match {
    /// The line of ModSecurity's error log, from `ModSecurity:` on, without the parts that are about the
    /// transaction (`hostname`, `uri`, `unique_id`). Bytes outside printable ASCII are written `\xHH`.
    pub fn log_line(&self) -> String {
        let mut line = String::with_capacity(512);
        line.push_str("ModSecurity: Warning. ");
        if self.test.is_empty() {
            line.push_str("Unconditional match in SecAction.");
        } else {
            let test = self.test.trim_start_matches('!').trim_start_matches('@');
            let (operator, argument) = test.split_once(' ').unwrap_or((test, ""));
            let mut letters = operator.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            line.push_str("Matched \"Operator `");
            line.extend(first);
            line.push_str(letters.as_str());
            line.push_str("' with parameter `");
            visible(limited(argument.as_bytes(), ARGUMENT_BYTES_MAX), &mut line);
            line.push_str("' against variable `");
            visible(&self.variable, &mut line);
            line.push_str("' (Value: `");
            visible(limited(&self.value, VALUE_BYTES_MAX), &mut line);
            line.push_str("' )");
        }
        let _ = write!(line, " [file \"{}\"] [line \"{}\"]", self.place.file, self.place.line);
        let _ = write!(line, " [id \"{}\"]", self.rule);
        field("msg", &self.message, &mut line);
        field("data", limited(&self.log_data, ARGUMENT_BYTES_MAX), &mut line);
        if let Some(severity) = self.severity {
            let _ = write!(line, " [severity \"{}\"]", severity as u8);
        }
        for tag in &self.tags {
            field("tag", tag, &mut line);
        }
        line
    }
}

fn field(name: &str, value: &[u8], line: &mut String) {
    if !value.is_empty() {
        let _ = write!(line, " [{name} \"");
        visible(value, line);
        line.push_str("\"]");
    }
}

fn limited(value: &[u8], bytes_max: usize) -> &[u8] {
    value.get(..bytes_max).unwrap_or(value)
}

/// A quote and a backslash have a backslash before them: what was sent ends no field.
fn visible(value: &[u8], line: &mut String) {
    for byte in value {
        match byte {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            b' '..=b'~' => line.push(char::from(*byte)),
            other => {
                let _ = write!(line, "\\x{other:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;
    use crate::rule::{Phase, Severity};
    use std::sync::Arc;

    /// What was sent cannot end a field and begin another.
    #[test]
    fn a_field_ends_where_it_ends() {
        for (value, told) in [
            (&b"x\\"[..], r#" [data "x\\"]"#),
            (br#"\" [id "1"#, r#" [data "\\\" [id \"1"]"#),
            (b"plain", r#" [data "plain"]"#),
        ] {
            let mut line = String::new();
            field("data", value, &mut line);
            assert_eq!(line, told);
        }
    }

    #[test]
    fn a_match_is_told_as_modsecurity_tells_it() {
        let told = Match {
            rule: 942_100,
            place: Place { file: Arc::from("sqli.conf"), line: 45 },
            phase: Phase::RequestBody,
            message: b"SQL Injection".to_vec(),
            log_data: b"found within ARGS:q: \"\x01\xff".to_vec(),
            severity: Some(Severity::Critical),
            tags: vec![Arc::from(&b"attack-sqli"[..])],
            variable: b"ARGS:q".to_vec(),
            value: b"1 or 1=1".to_vec(),
            transformations: Vec::new(),
            test: "!@detectSQLi".to_owned(),
            logged: true,
            audited: true,
            disruptive: false,
        };
        assert_eq!(
            told.log_line(),
            "ModSecurity: Warning. Matched \"Operator `DetectSQLi' with parameter `' against variable \
             `ARGS:q' (Value: `1 or 1=1' ) [file \"sqli.conf\"] [line \"45\"] [id \"942100\"] \
             [msg \"SQL Injection\"] [data \"found within ARGS:q: \\\"\\x01\\xff\"] [severity \"2\"] \
             [tag \"attack-sqli\"]"
        );
    }
}
