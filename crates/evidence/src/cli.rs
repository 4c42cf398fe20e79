//! What `plura-verify` and `plura verify` do.

use crate::note::{Algorithm, NOTE_BYTES_MAX, VerifierKey};
use crate::report::Report;
use crate::verify::{FolderOptions, Trust, verify_folder, verify_package_file};
use crate::{Error, Result};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The check passed.
pub const EXIT_OK: u8 = 0;
/// The check failed: something was changed, or cannot be proven.
pub const EXIT_FAILED: u8 = 1;
/// The command line was not understood (clap's own code).
pub const EXIT_USAGE: u8 = 2;
/// The input could not be read, or an option's value is not what it must be.
pub const EXIT_BAD_INPUT: u8 = 3;

/// Check a ledger folder or an evidence package. Needs no network and no database.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    /// A ledger folder, or an evidence package (.tar)
    pub path: PathBuf,
    /// The log's public key, as `name+id+key`, or a file that holds it. Get it from the operator by another way than this evidence
    #[arg(long, value_name = "VKEY")]
    pub key: Option<String>,
    /// A checkpoint of this log that you kept elsewhere; the evidence must agree with it. Repeatable
    #[arg(long, value_name = "FILE")]
    pub against: Vec<PathBuf>,
    /// The public key of a witness that must have cosigned, or a file that holds it. Repeatable
    #[arg(long, value_name = "VKEY")]
    pub witness: Vec<String>,
    /// How to print the result
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    pub output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    Human,
    Json,
}

/// Runs the check and prints what it found. Gives the exit code.
pub fn run(args: &VerifyArgs, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let report = match check(args) {
        Ok(report) => report,
        Err(error) => {
            let _ = writeln!(err, "{error} [{}]", error.code());
            return EXIT_BAD_INPUT;
        }
    };
    let text = match args.output {
        Output::Human => human(args, &report),
        Output::Json => {
            serde_json::to_string_pretty(&report).map(|json| json + "\n").unwrap_or_default()
        }
    };
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match (printed, report.ok) {
        // Nobody reads on (`| head`): the exit code still tells.
        (_, true) => EXIT_OK,
        (_, false) => EXIT_FAILED,
    }
}

fn check(args: &VerifyArgs) -> Result<Report> {
    let trust = Trust {
        log: args.key.as_deref().map(|text| read_key(text, Algorithm::Ed25519)).transpose()?,
        witnesses: args
            .witness
            .iter()
            .map(|text| read_key(text, Algorithm::Cosignature))
            .collect::<Result<_>>()?,
    };
    let against: Vec<(String, Vec<u8>)> = args
        .against
        .iter()
        .map(|path| Ok((path.display().to_string(), read_small(path)?)))
        .collect::<Result<_>>()?;
    let kind = std::fs::metadata(&args.path).map_err(Error::io(&args.path))?;
    if kind.is_dir() {
        verify_folder(&args.path, &trust, &FolderOptions { against })
    } else {
        verify_package_file(&args.path, &trust, &against)
    }
}

/// A vkey as text, or the file it lies in; of a log (0x01) or of a witness (0x04).
fn read_key(text: &str, wanted: Algorithm) -> Result<VerifierKey> {
    let parsed = match text.parse() {
        Err(_) if Path::new(text).is_file() => {
            let bytes = read_small(Path::new(text))?;
            String::from_utf8_lossy(&bytes).trim_end().parse()
        }
        parsed => parsed,
    };
    let key: VerifierKey = parsed?;
    if key.algorithm() == wanted {
        return Ok(key);
    }
    Err(Error::BadKey(match wanted {
        Algorithm::Ed25519 => format!("`{}` is a witness's: give it with --witness", key.short()),
        Algorithm::Cosignature => format!("`{}` is a log's: give it with --key", key.short()),
    }))
}

fn read_small(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(NOTE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    Ok(bytes)
}

/// The report for people.
fn human(args: &VerifyArgs, report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_human(&mut text, &args.path, args.key.is_some(), report);
    text
}

fn write_human(
    text: &mut String,
    path: &Path,
    key_given: bool,
    report: &Report,
) -> std::fmt::Result {
    writeln!(text, "{} {}", report.kind, path.display())?;
    if let Some(origin) = &report.origin {
        writeln!(text, "  log       {origin}, {} records", report.size)?;
    }
    if let Some(root) = &report.root {
        writeln!(text, "  root      {root}")?;
    }
    if let Some(signer) = &report.signer {
        let trusted = match (report.trusted, key_given) {
            (true, _) => "the key you trust",
            (false, true) => "which is not proven by the key you trust",
            (false, false) => "which you have not told me to trust",
        };
        writeln!(text, "  signed by {signer}, {trusted}")?;
    }
    for cosigned in &report.cosigned {
        writeln!(text, "  cosigned  {cosigned}")?;
    }
    let checked = &report.checked;
    writeln!(
        text,
        "  checked   {} records, {} proofs, {} signatures in {} files, {} bytes",
        checked.records, checked.proofs, checked.signatures, checked.files, checked.bytes
    )?;
    for limit in &report.not_checked {
        writeln!(text, "  not checked: {limit}")?;
    }
    for failure in &report.failures {
        writeln!(text, "FAILED {failure}")?;
    }
    if report.failures_unlisted > 0 {
        writeln!(text, "FAILED {} more, not listed", report.failures_unlisted)?;
    }
    let total = report.failures.len() as u64 + report.failures_unlisted;
    match (report.ok, report.trusted) {
        (true, true) => writeln!(text, "OK: nothing was changed since it was signed"),
        (true, false) => {
            writeln!(text, "OK: it agrees with itself; who signed it is for you to say (--key)")
        }
        (false, _) => writeln!(text, "NOT OK: {total} failures"),
    }
}
