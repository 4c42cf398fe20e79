//! What a story must lead to: `expected.json` beside it.

use super::play::Outcome;
use crate::output::Failure;
use serde_json::Value;
use std::path::Path;

pub fn write(file: &Path, outcome: &Outcome) -> Result<(), Failure> {
    let text = pretty(outcome)?;
    std::fs::write(file, text)
        .map_err(|error| Failure::input(format!("cannot write `{}`: {error}", file.display())))
}

/// Every place where the outcome is not what was expected, as JSON pointers.
pub fn compare(file: &Path, outcome: &Outcome) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::input(format!("cannot read `{}`: {error}", file.display()))
            .hint("run it once with --bless and review what it wrote")
    })?;
    let expected: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::input(format!("`{}` is not JSON: {error}", file.display())))?;
    let came: Value = serde_json::from_str(&pretty(outcome)?)
        .map_err(|error| Failure::input(format!("the outcome is not JSON: {error}")))?;
    let mut differences = Vec::new();
    differ("", &expected, &came, &mut differences);
    Ok(differences)
}

fn pretty(outcome: &Outcome) -> Result<String, Failure> {
    serde_json::to_string_pretty(outcome)
        .map(|text| text + "\n")
        .map_err(|error| Failure::input(format!("cannot write the outcome: {error}")))
}

fn differ(place: &str, expected: &Value, came: &Value, differences: &mut Vec<String>) {
    match (expected, came) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in a {
                differ(
                    &format!("{place}/{name}"),
                    value,
                    b.get(name).unwrap_or(&Value::Null),
                    differences,
                );
            }
            for (name, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                differences.push(format!("{place}/{name}: expected nothing, came {value}"));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (left, right)) in a.iter().zip(b).enumerate() {
                differ(&format!("{place}/{index}"), left, right, differences);
            }
        }
        _ if expected == came => {}
        _ => differences.push(format!("{place}: expected {expected}, came {came}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_name_their_place() {
        let mut found = Vec::new();
        differ("", &json!({"a": [1, 2], "b": 3}), &json!({"a": [1, 5], "c": 4}), &mut found);
        assert_eq!(
            found,
            [
                "/a/1: expected 2, came 5",
                "/b: expected 3, came null",
                "/c: expected nothing, came 4"
            ]
        );
    }
}
