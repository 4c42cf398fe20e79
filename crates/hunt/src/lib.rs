//! Hunting: files of events in, what rules find in them out.
//!
//! Readers give records, [`Hunt`] judges them one by one, [`Summary`] and [`Timeline`] say what was found.
//! Nothing is lost in silence: what cannot be read is told with file, place and reason, and counted.

mod details;
mod difference;
mod exam;
mod hit;
mod hunting;
mod input;
mod kind;
pub mod limits;
pub mod read;
mod rules;
mod summary;
mod timeline;
mod trial;

pub use details::{Details, details, time_of};
pub use difference::{Change, Changed, Difference, Named, difference};
pub use exam::{regression_cases, sit};
pub use hit::{Correlated, Hit, RuleInfo, Value as MatchedValue};
pub use hunting::{Counts, Hunt, Span};
pub use input::{Found, Input, find};
pub use kind::{Kind, kind_of};
pub use read::{Item, Told, read};
pub use rules::{Choice, RuleFiles, load, options, read_rules};
pub use summary::{HostSummary, RuleSummary, Summary, TacticSummary};
pub use timeline::{Form, Timeline};
pub use trial::{Trial, TrialAnswer, trials};
