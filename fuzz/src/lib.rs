//! What fuzz targets share: corpora where they lie beside the project, and seeds.

use seclang::exam::{EXAM_SETUP_FILE, exam_roots, exam_setup};
use seclang::{Files, RuleSet, load};
use std::fs;
use std::path::{Path, PathBuf};

/// `corpora/crs` of the shared folder, where there is one.
pub fn crs() -> Option<PathBuf> {
    shared("corpora/crs")
}

/// A folder of the shared one, where it is there.
pub fn shared(path: &str) -> Option<PathBuf> {
    let shared = std::env::var("PLURA_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared").to_owned());
    let folder = PathBuf::from(shared).join(path);
    folder.exists().then_some(folder)
}

/// The files below `folder` with such an end, sorted.
pub fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries
        .flat_map(|path| if path.is_dir() { files(&path, end) } else { vec![path] })
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    found.sort();
    found
}

/// Writes seeds into the folder that `PLURA_SEEDS` names, if it names one.
pub fn seed(name: &str, seeds: impl FnOnce() -> Vec<Vec<u8>>) {
    let Ok(folder) = std::env::var("PLURA_SEEDS") else { return };
    for (number, seed) in seeds().into_iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{name}-{number}"));
        fs::write(path, seed).expect("the folder for seeds can be written");
    }
}

/// CRS with the settings of its exam.
pub fn crs_rules() -> Option<RuleSet> {
    let folder = crs()?;
    let rules: Vec<String> = files(&folder.join("rules"), ".conf")
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let setup = folder.join("crs-setup.conf.example").to_string_lossy().into_owned();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    Some(load(&Disk, &exam_roots(&[&setup], &rules)).expect("CRS loads"))
}

struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == EXAM_SETUP_FILE {
            // The mode is for each input to say.
            return Ok(exam_setup(None).replace("ctl:ruleEngine=DetectionOnly,", "").into());
        }
        std::fs::read(path).map_err(|error| error.to_string())
    }

    fn matching(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Rules of our own: something of everything.
pub const OWN_RULES: &str = include_str!("own.conf");

/// A rule file and a few that it may name.
pub struct Own<'a>(pub &'a [u8]);

impl Files for Own<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "own.conf" => Ok(self.0.to_vec()),
            "words" => Ok(b"# words\nunion select\n\nexec\n".to_vec()),
            "nets" => Ok(b"192.0.2.0/24 # ours\n2001:db8::/32\n".to_vec()),
            "again" => Ok(b"Include again\nSecMarker AGAIN\nSecAction \"id:77\"\n".to_vec()),
            _ => Err("no such file".to_owned()),
        }
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        ["again", "nets", "words"]
            .into_iter()
            .filter(|_| pattern == "*")
            .map(str::to_owned)
            .collect()
    }
}
