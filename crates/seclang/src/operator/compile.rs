//! From an operator's name and argument to the operator.

use super::{Operator, Pattern, Words, address, validate};
use crate::load::Files;
use crate::rule::Text;

/// What is wrong, and a hint.
type Refusal = (String, Option<String>);

/// Every name, for the hint after a misspelt one.
#[rustfmt::skip]
const NAMES: [&str; 34] = [
    "beginsWith", "contains", "containsWord", "detectSQLi", "detectXSS", "endsWith", "eq", "ge", "gt",
    "ipMatch", "ipMatchF", "ipMatchFromFile", "le", "lt", "noMatch", "pm", "pmf", "pmFromFile", "rx",
    "rxGlobal", "streq", "strmatch", "unconditionalMatch", "validateByteRange", "validateUrlEncoding",
    "validateUtf8Encoding", "verifyCC", "verifyCPF", "verifySSN", "verifySVNR", "within", "rbl",
    "geoLookup", "inspectFile",
];

impl Operator {
    /// `name` is what stands after `@`, `argument` the rest, macros already found.
    ///
    /// A file that the argument names is looked for in the folder of `beside`, the file the rule stands in,
    /// and then as it is named.
    ///
    /// # Errors
    /// What is wrong, and a hint, both as [`crate::Diagnostic`] wants them.
    pub fn compile(
        name: &str,
        argument: &Text,
        files: &dyn Files,
        beside: &str,
    ) -> Result<Self, Refusal> {
        let text = || argument.clone();
        Ok(match name.to_ascii_lowercase().as_str() {
            "beginswith" => Self::BeginsWith(text()),
            "contains" => Self::Contains(text()),
            "containsword" => Self::ContainsWord(text()),
            "endswith" => Self::EndsWith(text()),
            "streq" => Self::StrEq(text()),
            "strmatch" => Self::StrMatch(text()),
            "within" => Self::Within(text()),
            "eq" => Self::Eq(text()),
            "ge" => Self::Ge(text()),
            "gt" => Self::Gt(text()),
            "le" => Self::Le(text()),
            "lt" => Self::Lt(text()),
            "rx" => match argument.literal() {
                Some(pattern) => Self::Rx(Box::new(Pattern::new(pattern)?)),
                None => Self::RxText(text()),
            },
            "rxglobal" => Self::RxGlobal(Box::new(Pattern::new(plain(name, argument)?)?)),
            "pm" => Self::Pm(Box::new(Words::parse(plain(name, argument)?)?)),
            "pmf" | "pmfromfile" => {
                let content = read(name, argument, files, beside)?;
                Self::Pm(Box::new(Words::parse_file(&content)?))
            }
            "ipmatch" => Self::IpMatch(address::parse(plain(name, argument)?)?),
            "ipmatchf" | "ipmatchfromfile" => {
                Self::IpMatch(address::parse_file(&read(name, argument, files, beside)?)?)
            }
            "detectsqli" => Self::DetectSqli,
            "detectxss" => Self::DetectXss,
            "validatebyterange" => {
                Self::ValidateByteRange(validate::parse_ranges(plain(name, argument)?)?)
            }
            "validateurlencoding" => Self::ValidateUrlEncoding,
            "validateutf8encoding" => Self::ValidateUtf8Encoding,
            "verifycc" => Self::VerifyCc(Box::new(Pattern::new(plain(name, argument)?)?)),
            "verifycpf" => Self::VerifyCpf(Box::new(Pattern::new(plain(name, argument)?)?)),
            "verifyssn" => Self::VerifySsn(Box::new(Pattern::new(plain(name, argument)?)?)),
            "verifysvnr" => Self::VerifySvnr(Box::new(Pattern::new(plain(name, argument)?)?)),
            "unconditionalmatch" => Self::UnconditionalMatch,
            "nomatch" => Self::NoMatch,
            other => return Err(refusal(name, other)),
        })
    }
}

fn refusal(name: &str, lower: &str) -> Refusal {
    let (why, hint) = match lower {
        "geolookup" => (
            "it needs a database of places",
            "match `REMOTE_ADDR` with `@ipMatch`, or use the gateway's own rules for countries",
        ),
        "gsblookup" | "rbl" => (
            "a rule asks nobody on the network",
            "feed the list to the engine and match it with `@ipMatchFromFile` or `@pmFromFile`",
        ),
        "inspectfile" => (
            "a rule starts no programs",
            "leave uploaded files to the malware scanner, and remove the rule",
        ),
        "fuzzyhash" => ("ssdeep hashes are not computed", "remove the rule"),
        "validatedtd" | "validateschema" => {
            ("XML is not validated against a schema", "remove the rule")
        }
        "validatehash" => ("links are not signed", "remove the rule"),
        "rsub" => ("values are not rewritten", "remove the rule"),
        _ => {
            let near = NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)).or_else(|| {
                NAMES.iter().filter(|known| known.len().abs_diff(name.len()) <= 2).min_by_key(
                    |known| {
                        let same = known
                            .bytes()
                            .zip(name.bytes())
                            .take_while(|(a, b)| a.eq_ignore_ascii_case(b))
                            .count();
                        usize::MAX - same
                    },
                )
            });
            return (
                format!("unknown operator `@{name}`"),
                near.map(|known| format!("did you mean `@{known}`?")),
            );
        }
    };
    (format!("the operator `@{name}` is not supported: {why}"), Some(hint.to_owned()))
}

/// The argument of an operator that takes no macros.
fn plain<'a>(name: &str, argument: &'a Text) -> Result<&'a [u8], Refusal> {
    argument.literal().ok_or_else(|| {
        (
            format!("the argument of `@{name}` is read when rules are loaded: it has no `%{{…}}`"),
            Some("write the value itself, or use `@rx` or `@within`".to_owned()),
        )
    })
}

fn read(name: &str, argument: &Text, files: &dyn Files, beside: &str) -> Result<Vec<u8>, Refusal> {
    let path = String::from_utf8_lossy(plain(name, argument)?).trim().to_owned();
    if path.starts_with("https://") || path.starts_with("http://") {
        return Err((
            format!("`@{name}` does not download `{path}`"),
            Some("put the file beside the rules and name it".to_owned()),
        ));
    }
    let folder = beside.rsplit_once('/').map(|(folder, _)| folder);
    let near = match folder {
        Some(folder) if !path.starts_with('/') => files.read(&format!("{folder}/{path}")).ok(),
        _ => None,
    };
    near.map_or_else(|| files.read(&path), Ok).map_err(|why| {
        (
            format!("cannot read `{path}`: {why}"),
            Some("put the file beside the rules that name it".to_owned()),
        )
    })
}
