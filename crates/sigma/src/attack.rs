//! What tags say of MITRE ATT&CK.

/// Tactics as tags spell them, in the order of an attack, with their ids. ATT&CK 19 made two of
/// `defense-evasion`, which older rules still name: `stealth`, under its id, and `defense-impairment`.
pub const TACTICS: [(&str, &str); 16] = [
    ("reconnaissance", "TA0043"),
    ("resource-development", "TA0042"),
    ("initial-access", "TA0001"),
    ("execution", "TA0002"),
    ("persistence", "TA0003"),
    ("privilege-escalation", "TA0004"),
    ("defense-evasion", "TA0005"),
    ("stealth", "TA0005"),
    ("defense-impairment", "TA0112"),
    ("credential-access", "TA0006"),
    ("discovery", "TA0007"),
    ("lateral-movement", "TA0008"),
    ("collection", "TA0009"),
    ("command-and-control", "TA0011"),
    ("exfiltration", "TA0010"),
    ("impact", "TA0040"),
];

/// The tactics among tags, by their words.
pub fn tactics(tags: &[String]) -> Vec<String> {
    tags.iter().filter_map(|tag| tactic(tag)).map(|(word, _)| word.to_owned()).collect()
}

/// The techniques and sub-techniques among tags: `T1059.001`.
pub fn techniques(tags: &[String]) -> Vec<String> {
    tags.iter().filter_map(|tag| technique(tag)).collect()
}

/// The tactic that a tag names, with its id.
pub fn tactic(tag: &str) -> Option<(&'static str, &'static str)> {
    let word = word(tag)?.replace('_', "-");
    TACTICS.into_iter().find(|(known, _)| *known == word)
}

/// The technique or sub-technique that a tag names.
pub fn technique(tag: &str) -> Option<String> {
    let word = word(tag)?;
    let digits = word.strip_prefix('t')?;
    let (main, sub) = digits.split_once('.').unwrap_or((digits, ""));
    let all = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    (main.len() == 4 && all(main) && all(sub)).then(|| word.to_uppercase())
}

fn word(tag: &str) -> Option<String> {
    tag.to_lowercase().strip_prefix("attack.").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tactics_and_techniques_are_told_apart() {
        let tags = ["attack.defense_evasion", "attack.t1059.001", "attack.T1003", "cve.2021-44228"];
        let tags = tags.map(str::to_owned);
        assert_eq!(tactics(&tags), ["defense-evasion"]);
        assert_eq!(techniques(&tags), ["T1059.001", "T1003"]);
        assert!(techniques(&["attack.t10".to_owned(), "attack.g0001".to_owned()]).is_empty());
    }
}
