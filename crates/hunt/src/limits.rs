//! What one input may cost, each with its name and its why.

/// Files in one hunt. More are not walked, and that is told.
pub const FILES_MAX: usize = 1_000_000;
/// Folders within folders. Deeper is a mistake.
pub const FOLDERS_DEPTH_MAX: usize = 64;
/// One line, or one JSON value. Beyond it the record is passed over and told.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// What a packed file may come to: a bomb ends here.
pub const UNPACKED_BYTES_MAX: u64 = 64 << 30;
/// Bytes that decide what form a JSON file has.
pub const HEAD_BYTES: usize = 64 << 10;
/// Memory that a packed file may ask for its window (a power of two): 128 MiB, as `zstd` itself allows.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// Problems kept to be shown; all are counted.
pub const PROBLEMS_KEPT_MAX: usize = 1_000;
/// Hosts that the summary tells apart; hits of others are counted as one.
pub const HOSTS_MAX: usize = 100_000;
/// Hosts kept for each rule and tactic, to count them.
pub const HOSTS_OF_RULE_MAX: usize = 10_000;
/// Names of events in one correlation's hit; there may be more.
pub const EVENTS_NAMED_MAX: usize = 100;
/// A file of placeholders, test cases, or what an exam says of itself.
pub const YAML_BYTES_MAX: u64 = 4 << 20;
/// Records of one case of an exam.
pub const CASE_RECORDS_MAX: usize = 100_000;

/// Events of one test case beside a rule, repetitions included.
pub const TRIAL_EVENTS_MAX: usize = 100_000;
/// Bytes of them, as JSON.
pub const TRIAL_BYTES_MAX: usize = 64 * 1024 * 1024;
