//! Hits as files that other tools read.

use crate::hit::Hit;
use sigma::Level;
use std::io::{self, Write};

/// What a timeline looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A JSON object on each line, with all there is.
    Jsonl,
    /// A table for people and spreadsheets.
    Csv,
    /// A table with the three columns that Timesketch asks for first.
    Timesketch,
}

const COLUMNS: &[&str] = &[
    "level",
    "rule",
    "rule_id",
    "status",
    "author",
    "host",
    "channel",
    "event_id",
    "record_id",
    "tactics",
    "techniques",
    "tags",
    "matched",
    "file",
    "record",
];

/// Writes hits one by one, in the order they come.
pub struct Timeline<W: Write> {
    form: Form,
    out: W,
}

impl<W: Write> Timeline<W> {
    pub fn begin(form: Form, mut out: W) -> io::Result<Self> {
        let first: &[&str] = match form {
            Form::Jsonl => return Ok(Timeline { form, out }),
            Form::Csv => &["time"],
            Form::Timesketch => &["message", "datetime", "timestamp_desc"],
        };
        let names = first.iter().chain(COLUMNS).map(|name| (*name).to_owned());
        row(&mut out, names)?;
        Ok(Timeline { form, out })
    }

    pub fn write(&mut self, hit: &Hit) -> io::Result<()> {
        let time = hit.time.map(schema::format_time);
        let first = match self.form {
            Form::Jsonl => {
                serde_json::to_writer(&mut self.out, hit)?;
                return self.out.write_all(b"\n");
            }
            Form::Csv => vec![time.unwrap_or_default()],
            // Timesketch refuses rows without a time: those that have none say so beside it.
            Form::Timesketch => {
                let about = if time.is_some() { "Sigma rule fired" } else { "time unknown" };
                let time = time.unwrap_or_else(|| schema::format_time(0));
                vec![message(hit), time, about.to_owned()]
            }
        };
        row(&mut self.out, first.into_iter().chain(columns(hit)))
    }

    /// The writer, with everything in it.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

fn message(hit: &Hit) -> String {
    let mut text = hit.rule.rule.clone();
    if let Some(host) = &hit.host {
        text.push_str(&format!(" on {host}"));
    }
    for pair in &hit.matched {
        text.push_str(&format!("; {}: {}", pair.field, pair.value));
    }
    text
}

fn columns(hit: &Hit) -> Vec<String> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let rule = &hit.rule;
    let pairs = hit.matched.iter().map(|pair| format!("{}: {}", pair.field, pair.value));
    let events = hit.correlation.as_ref().map(|correlation| correlation.events.join(" "));
    vec![
        rule.level.map_or("", Level::word).to_owned(),
        rule.rule.clone(),
        text(&rule.rule_id),
        rule.status.map(|status| status.word().to_owned()).unwrap_or_default(),
        text(&rule.author),
        text(&hit.host),
        text(&hit.channel),
        text(&hit.event_id),
        text(&hit.record_id),
        rule.tactics.join(" "),
        rule.techniques.join(" "),
        rule.tags.join(" "),
        pairs.collect::<Vec<_>>().join("; "),
        hit.file.as_deref().map(str::to_owned).or(events).unwrap_or_default(),
        hit.record.map(|record| record.to_string()).unwrap_or_default(),
    ]
}

fn row(out: &mut impl Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let cells: Vec<String> = cells.map(|text| cell(&text)).collect();
    out.write_all(cells.join(",").as_bytes())?;
    out.write_all(b"\r\n")
}

/// A cell as RFC 4180 writes it. What a spreadsheet would take for a formula begins with an apostrophe.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if formula { "'" } else { "" };
    // A null ends the text for many readers.
    let text = text.replace('\0', "\u{fffd}");
    match formula || text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{guard}{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::details::Details;
    use crate::hit::{RuleInfo, Value};
    use std::sync::Arc;

    fn hit() -> Hit {
        let meta = sigma::Meta {
            title: "=cmd|' /C calc'!A0".to_owned(),
            author: Some("A, B".to_owned()),
            tags: vec!["attack.execution".to_owned(), "attack.t1059".to_owned()],
            level: Some(Level::High),
            ..sigma::Meta::default()
        };
        let details = Details { time: Some(0), host: Some("-h".to_owned()), ..Details::default() };
        let mut hit = Hit::new(Arc::new(RuleInfo::of(&meta)), details);
        hit.matched = vec![Value { field: "A".to_owned(), value: "say \"x\"\n".to_owned() }];
        hit.file = Some(Arc::from("f.evtx"));
        hit.record = Some(7);
        hit
    }

    #[track_caller]
    fn check(form: Form, wanted: &str) {
        let mut timeline = Timeline::begin(form, Vec::new()).unwrap();
        timeline.write(&hit()).unwrap();
        assert_eq!(String::from_utf8(timeline.finish().unwrap()).unwrap(), wanted);
    }

    #[test]
    fn timelines_are_safe_to_open() {
        let rest = "high,\"'=cmd|' /C calc'!A0\",,,\"A, B\",\"'-h\",,,,execution,T1059,\
                    attack.execution attack.t1059,\"A: say \"\"x\"\"\n\",f.evtx,7\r\n";
        let names = COLUMNS.join(",");
        check(Form::Csv, &format!("time,{names}\r\n1970-01-01T00:00:00.000Z,{rest}"));
        check(
            Form::Timesketch,
            &format!(
                "message,datetime,timestamp_desc,{names}\r\n\"'=cmd|' /C calc'!A0 on -h; A: say \
                 \"\"x\"\"\n\",1970-01-01T00:00:00.000Z,Sigma rule fired,{rest}"
            ),
        );
    }
}
