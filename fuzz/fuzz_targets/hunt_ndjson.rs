//! Any bytes as a file of events: read as what they look like, held against rules, hits written in each form.
#![no_main]

use hunt::read::{Told, read_from};
use hunt::{Choice, Form, Hunt, RuleFiles, Span, Timeline};
use libfuzzer_sys::fuzz_target;
use sigma::{LogSource, Options};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

const RULES: &str = "
title: Any
id: 11111111-1111-4111-8111-111111111111
level: low
logsource: {product: any}
detection:
  words: ['a']
  fields: {'a|contains': 'b'}
  condition: words or fields
---
title: Often
correlation:
  type: event_count
  rules: [11111111-1111-4111-8111-111111111111]
  group-by: [a]
  timespan: 1m
  condition: {gte: 2}
  generate: true
";

fuzz_target!(|data: &[u8]| {
    static OPTIONS: OnceLock<Options> = OnceLock::new();
    let options = OPTIONS.get_or_init(Options::shipped);
    let files = vec![("rules.yml".to_owned(), RULES.to_owned())];
    let files = RuleFiles { files, problems: Vec::new() };
    let said = LogSource::new(Some("any"), None, None);
    let mut hunt = Hunt::new(files, options, Choice::default(), Span::default(), Some(said));
    let file: Arc<str> = Arc::from("x");
    let mut hits = Vec::new();
    for texts in [false, true] {
        let _ = read_from("x", Box::new(data), texts, &mut |told| {
            if let Told::Record(item) = told {
                let _ = hunt.take(&file, &item, &mut hits);
            }
            ControlFlow::Continue(())
        });
    }
    hits.extend(hunt.finish());
    for form in [Form::Jsonl, Form::Csv, Form::Timesketch] {
        let mut timeline = Timeline::begin(form, std::io::sink()).expect("a sink takes all");
        hits.iter().for_each(|hit| timeline.write(hit).expect("a sink takes all"));
    }
});
