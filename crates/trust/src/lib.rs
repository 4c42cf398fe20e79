//! Judges an access: signals and a policy in; a score from 0 to 100, a decision, its obligations and
//! every reason out.
//!
//! Pure: no clock, no files, no chance. The same policy and the same readings give the same bytes.

mod reading;
mod yaml;

pub use reading::{Reading, Readings, Value};
