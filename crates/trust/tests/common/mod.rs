/// A file of the shared folder, where there is one.
pub fn shared(path: &str) -> Option<String> {
    let root = std::env::var("PLURA_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    std::fs::read_to_string(format!("{root}/{path}")).ok()
}
