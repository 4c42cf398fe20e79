use super::{Context, list, query_string, text};
use crate::client::{Body, Client};
use crate::output::{EXIT_FOUND, Failure, Format, complain, say, say_json};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Sent at once; well below the server's limit for one body.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Folders within folders; deeper is a loop or a mistake.
const DEPTH_MAX: usize = 32;

/// Send log files or folders to the server. Sending a file twice stores it once.
#[derive(Args)]
pub struct ImportArgs {
    /// Files and folders; `.gz` and `.zst` are read too
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// auto, ocsf, combined, json-access, syslog, linux-audit or sysmon-linux
    #[arg(long, default_value = "auto")]
    format: String,
    /// Name of the source; otherwise the path of each file
    #[arg(long)]
    source: Option<String>,
    /// Host the logs are from, where they do not say
    #[arg(long)]
    device: Option<String>,
    /// Site (protected application) the logs are of
    #[arg(long)]
    site: Option<String>,
    /// Read and count, send nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Default)]
struct Totals {
    files: u64,
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    diagnostics: Vec<Value>,
}

pub fn run(context: &Context, args: &ImportArgs) -> Result<ExitCode, Failure> {
    let mut files = Vec::new();
    for path in &args.paths {
        collect(path, 0, &mut files)?;
    }
    files.sort();
    if args.dry_run {
        for file in &files {
            say(&file.display().to_string());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let client = context.client()?;
    let bytes = files.iter().filter_map(|f| fs::metadata(f).ok()).map(|m| m.len()).sum();
    let progress = bar(bytes, context.format);
    let mut totals = Totals::default();
    let mut failed = false;
    for file in &files {
        progress.set_message(file.display().to_string());
        match send_file(&client, args, file, &progress, &mut totals) {
            Ok(()) => totals.files += 1,
            Err(failure) if failure.exit == crate::output::EXIT_INPUT => {
                failed = true;
                progress.suspend(|| complain(&failure));
            }
            Err(failure) => return Err(failure),
        }
    }
    progress.finish_and_clear();
    let answer = json!({
        "files": totals.files, "accepted": totals.accepted, "duplicates": totals.duplicates,
        "rejected": totals.rejected, "diagnostics": totals.diagnostics,
    });
    match context.format {
        Format::Json => say_json(&answer),
        Format::Human => {
            say(&format!(
                "{} files: {} events stored, {} known already, {} not understood (kept, searchable by `diagnostic`)",
                totals.files, totals.accepted, totals.duplicates, totals.rejected
            ));
            for diagnostic in totals.diagnostics.iter().take(10) {
                say(&crate::output::printable(&format!(
                    "  {}: {} [{}]",
                    text(diagnostic, "/place"),
                    text(diagnostic, "/message"),
                    text(diagnostic, "/code")
                )));
            }
        }
    }
    Ok(if failed { ExitCode::from(EXIT_FOUND) } else { ExitCode::SUCCESS })
}

fn bar(bytes: u64, format: Format) -> ProgressBar {
    if format == Format::Json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template(
        "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} {wide_msg}",
    ) {
        bar.set_style(style);
    }
    bar
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::input(format!("cannot read `{}`: {error}", path.display()))
    };
    if !fs::metadata(path).map_err(cannot)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth >= DEPTH_MAX {
        return Err(Failure::input(format!(
            "`{}` is more than {DEPTH_MAX} folders deep",
            path.display()
        )));
    }
    for entry in fs::read_dir(path).map_err(cannot)? {
        collect(&entry.map_err(cannot)?.path(), depth + 1, files)?;
    }
    Ok(())
}

fn send_file(
    client: &Client,
    args: &ImportArgs,
    file: &Path,
    progress: &ProgressBar,
    totals: &mut Totals,
) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::input(format!("cannot read `{}`: {error}", file.display()))
    };
    let opened = progress.wrap_read(File::open(file).map_err(cannot)?);
    let mut reader: Box<dyn BufRead> = match file.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(opened))),
        Some("zst") => Box::new(BufReader::new(zstd::Decoder::new(opened).map_err(cannot)?)),
        _ => Box::new(BufReader::with_capacity(1 << 20, opened)),
    };
    let name = args.source.clone().unwrap_or_else(|| {
        fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()).display().to_string()
    });
    let mut batch = Vec::with_capacity(BATCH_BYTES + 4096);
    let mut sequence: u64 = 0;
    loop {
        batch.clear();
        let first = sequence;
        // Whole lines only, so that a batch can be sent again and means the same.
        while batch.len() < BATCH_BYTES {
            let before = batch.len();
            let limit = (BATCH_BYTES * 2) as u64;
            let read = reader.by_ref().take(limit).read_until(b'\n', &mut batch).map_err(cannot)?;
            if read == 0 || batch.len() == before {
                break;
            }
            sequence += 1;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let query = query_string(&[
            ("source", Some(name.clone())),
            ("format", Some(args.format.clone())),
            ("device", args.device.clone()),
            ("site", args.site.clone()),
            ("first_sequence", Some(first.to_string())),
        ]);
        let body = Body::Raw { content_type: "text/plain", bytes: &batch };
        let bytes = client.send("POST", &format!("/api/v1/intake/logs{query}"), body)?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
        totals.accepted += count("accepted");
        totals.duplicates += count("duplicates");
        totals.rejected += count("rejected");
        let room = 100_usize.saturating_sub(totals.diagnostics.len());
        totals.diagnostics.extend(list(&answer, "/diagnostics").iter().take(room).cloned());
    }
}
