use seclang::Files;
use std::fs;
use std::path::PathBuf;

/// A folder of the shared corpora, where there is one.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var("PLURA_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let path = PathBuf::from(root).join(path);
    path.exists().then_some(path)
}

/// Files as they lie on disk.
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        fs::read(path).map_err(|error| error.to_string())
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        let Some((folder, last)) = pattern.rsplit_once('/') else { return Vec::new() };
        let (start, end) = last.split_once('*').unwrap_or((last, ""));
        let mut found: Vec<String> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| {
                name.len() >= start.len() + end.len()
                    && name.starts_with(start)
                    && name.ends_with(end)
            })
            .map(|name| format!("{folder}/{name}"))
            .collect();
        found.sort();
        found
    }
}
