//! What one rule may cost, each with its name and why.

/// A file of rules. The largest of the public set has 60 KB.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Documents in one file.
pub const DOCUMENTS_MAX: usize = 1_000;
/// Rules, filters and correlations in one set.
pub const RULES_MAX: usize = 50_000;
/// YAML nodes in one file, aliases expanded.
pub const NODES_MAX: usize = 100_000;
/// Maps and lists within each other in a file.
pub const YAML_DEPTH_MAX: usize = 24;
/// Search identifiers in one rule.
pub const DETECTIONS_MAX: usize = 500;
/// Values in one rule, as written and again after modifiers have made several of one.
pub const VALUES_MAX: usize = 20_000;
/// Checks that a condition comes to, identifiers named twice counted twice.
pub const CHECKS_MAX: usize = 100_000;
/// One value of a rule.
pub const VALUE_BYTES_MAX: usize = 16 << 10;
/// One condition.
pub const CONDITION_BYTES_MAX: usize = 8 << 10;
/// Parentheses and `not` within each other in a condition.
pub const CONDITION_DEPTH_MAX: usize = 32;
/// Modifiers behind one field name.
pub const MODIFIERS_MAX: usize = 8;
/// One regular expression as written.
pub const REGEX_BYTES_MAX: usize = 4 << 10;
/// One regular expression as a program: a counted repetition of a counted repetition does not pass.
pub const REGEX_PROGRAM_BYTES_MAX: usize = 2 << 20;
/// Groups within each other in a regular expression.
pub const REGEX_DEPTH_MAX: u32 = 50;
/// Texts that `windash` makes of one value before it keeps the places of dashes open instead.
pub const WINDASH_TEXTS_MAX: usize = 25;
/// Texts that placeholders make of one value.
pub const EXPAND_TEXTS_MAX: usize = 1_000;
/// Fields that one name stands for after mapping.
pub const MAPPED_FIELDS_MAX: usize = 16;
/// Objects within each other that an event is searched through.
pub const EVENT_DEPTH_MAX: usize = 32;
/// Bytes of one value of an event that rules look at; the rest of a longer one is not seen.
pub const EVENT_VALUE_BYTES_MAX: usize = 1 << 20;
/// Fields told with a match.
pub const MATCHED_MAX: usize = 64;
/// Bytes of a value told with a match.
pub const MATCHED_BYTES_MAX: usize = 1 << 10;
/// Values of a field that a reference to it is held against.
pub const REFERENCE_VALUES_MAX: usize = 64;
/// Rules that one correlation names.
pub const CORRELATED_RULES_MAX: usize = 32;
/// Fields that one correlation groups by.
pub const GROUP_FIELDS_MAX: usize = 8;
/// Correlations standing on each other.
pub const CORRELATION_DEPTH_MAX: usize = 8;
/// Hits, or different values, that one window keeps, and the largest count a rule may ask for.
pub const COUNT_MAX: usize = 10_000;
/// Groups that all correlations keep together; over that the one that would end first is given up, and counted.
pub const GROUPS_MAX: usize = 800_000;
/// Bytes that groups take together: values are written by attackers, and windows may be long.
pub const GROUPS_BYTES_MAX: usize = 320 << 20;
/// Hits that wait for earlier ones; over that the earliest are taken as they are, and counted.
pub const PENDING_MAX: usize = 1_000_000;
/// Bytes of hits that wait.
pub const PENDING_BYTES_MAX: usize = 128 << 20;
/// How far an event may be ahead of the caller's time, or of all events before it, and be believed.
pub const AHEAD_MS_MAX: i64 = 3_600_000;
/// So many events in a row that are far ahead of those before them are no mistake: time went on.
pub const AHEAD_RUN: u32 = 8;
/// Bytes of an event's id that is no UUID.
pub const EVENT_ID_BYTES_MAX: usize = 256;
/// Events named by one finding, the latest of them.
pub const EVIDENCE_MAX: usize = 100;
/// Bytes of a value that hits are grouped by or counted.
pub const GROUP_VALUE_BYTES_MAX: usize = 512;
