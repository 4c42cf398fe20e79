//! What a hunt came to, for people and for programs.

use crate::output::{Format, complain_line, printable, say, say_json, table};
use crate::words::word;
use ::hunt::limits::PROBLEMS_KEPT_MAX;
use ::hunt::{Found, HostSummary, Hunt, RuleSummary, Summary, TacticSummary};
use schema::Diagnostic;
use serde_json::json;
use sigma::Level;
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows of a table for people; `-o json` has all.
const ROWS_MAX: usize = 40;
/// Problems shown to people.
const PROBLEMS_SHOWN_MAX: usize = 10;

/// What could not be read: all counted, the first ones kept.
#[derive(Debug, Default)]
pub struct Problems {
    pub total: u64,
    /// Files and folders that could not be read, or not to their end.
    pub inputs: u64,
    by_code: BTreeMap<String, u64>,
    kept: Vec<Diagnostic>,
}

impl Problems {
    pub fn add(&mut self, problem: Diagnostic) {
        self.total += 1;
        self.inputs += u64::from(problem.code == "unreadable-file");
        *self.by_code.entry(problem.code.clone()).or_default() += 1;
        if self.kept.len() < PROBLEMS_KEPT_MAX {
            self.kept.push(problem);
        }
    }
}

pub struct Report<'r> {
    pub found: &'r Found,
    pub hunt: &'r Hunt,
    pub summary: &'r Summary,
    pub problems: &'r Problems,
    pub took: Duration,
    /// Standard output is taken: people read it on standard error.
    pub aside: bool,
}

impl Report<'_> {
    pub fn say(&self, format: Format) {
        match (format, self.aside) {
            (Format::Json, _) => self.say_json(),
            (Format::Human, true) => self.lines().iter().for_each(|line| complain_line(line)),
            (Format::Human, false) => self.lines().iter().for_each(|line| say(line)),
        }
    }

    fn say_json(&self) {
        let rules = self.hunt.rules();
        say_json(&json!({
            "hits": self.summary.hits,
            "records": self.hunt.counts(),
            "correlations": self.hunt.correlation_counts(),
            "files": {
                "found": self.found.inputs.len(),
                "passed_over": self.found.passed_over,
                "unreadable": self.problems.inputs,
            },
            "rules": {
                "loaded": rules.rules.len() + rules.correlations.len(),
                "chosen": self.hunt.chosen(),
                "refused": rules.refused.len(),
                "notices": rules.notices.len(),
            },
            "problems": {
                "total": self.problems.total,
                "by_code": self.problems.by_code,
                "first": self.problems.kept,
            },
            "by_host": self.summary.hosts(),
            "by_rule": self.summary.rules(),
            "by_tactic": self.summary.tactics(),
            "hosts_untold": self.summary.hosts_untold,
            "seconds": self.took.as_secs_f64(),
        }));
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut part = |head: &[&str], title: &str, rows: Vec<Vec<String>>| {
            if rows.is_empty() {
                return;
            }
            let more = rows.len().saturating_sub(ROWS_MAX);
            let head: Vec<String> = head.iter().map(|name| word(name)).collect();
            let head: Vec<&str> = head.iter().map(String::as_str).collect();
            lines.push(word(title));
            lines.push(table(&head, rows.into_iter().take(ROWS_MAX).collect()));
            if more > 0 {
                lines.push(format!("  + {more} (-o json)"));
            }
            lines.push(String::new());
        };
        part(
            &["label-tactic", "label-hits", "label-rules", "label-hosts", "label-techniques"],
            "label-by-tactic",
            self.summary.tactics().into_iter().map(tactic_row).collect(),
        );
        part(
            &["label-severity", "label-hits", "label-hosts", "label-rule", "label-author"],
            "label-by-rule",
            self.summary.rules().into_iter().map(rule_row).collect(),
        );
        part(
            &[
                "label-host",
                "label-hits",
                "critical",
                "high",
                "label-rules",
                "label-first",
                "label-last",
            ],
            "label-by-host",
            self.summary.hosts().into_iter().map(host_row).collect(),
        );
        lines.extend(self.totals());
        lines
    }

    fn totals(&self) -> Vec<String> {
        let counts = self.hunt.counts();
        let rules = self.hunt.rules();
        let mut lines = vec![format!(
            "{}: {}; {}: {}; {}: {}; {}: {}",
            word("label-hits"),
            self.summary.hits,
            word("label-records"),
            counts.records,
            word("label-files"),
            self.found.inputs.len(),
            word("label-rules"),
            self.hunt.chosen(),
        )];
        let told = self.hunt.correlation_counts();
        let uncounted = counts.uncorrelated + told.early + told.overfull + told.evicted;
        let mut note = |count: u64, code: &str| {
            if count > 0 {
                lines.push(format!("{count} {}", word(code)));
            }
        };
        note(rules.refused.len() as u64, "hunt-refused");
        note(self.found.passed_over, "hunt-passed-over");
        note(counts.outside, "hunt-outside");
        note(counts.untimed, "hunt-untimed");
        note(counts.unknown_kind, "hunt-unknown-kind");
        note(uncounted, "hunt-uncorrelated");
        note(self.problems.total, "hunt-problems");
        for problem in self.problems.kept.iter().take(PROBLEMS_SHOWN_MAX) {
            lines.push(format!("  {}", printable(&problem.to_string()).replace('\n', "\n  ")));
        }
        if self.problems.total > PROBLEMS_SHOWN_MAX as u64 {
            let more = self.problems.total - PROBLEMS_SHOWN_MAX as u64;
            lines.push(format!("  + {more} (-o json)"));
        }
        lines
    }
}

fn tactic_row(tactic: TacticSummary) -> Vec<String> {
    vec![
        tactic.tactic,
        tactic.hits.to_string(),
        tactic.rules.to_string(),
        tactic.hosts.to_string(),
        tactic.techniques.join(" "),
    ]
}

fn rule_row(rule: RuleSummary) -> Vec<String> {
    vec![
        rule.rule.level.map_or_else(|| "-".to_owned(), |level| word(level.word())),
        rule.hits.to_string(),
        rule.hosts.to_string(),
        rule.rule.rule.clone(),
        rule.rule.author.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

fn host_row(host: HostSummary) -> Vec<String> {
    let of = |level: Level| host.levels.get(level.word()).copied().unwrap_or_default().to_string();
    vec![
        host.host.clone(),
        host.hits.to_string(),
        of(Level::Critical),
        of(Level::High),
        host.rules.to_string(),
        host.first.clone().unwrap_or_else(|| "-".to_owned()),
        host.last.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}
