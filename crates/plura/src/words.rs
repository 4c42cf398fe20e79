//! Codes become sentences in the reader's language. The server sends codes; this is one of the two
//! places that choose words (the console is the other).

use serde_json::Value;
use std::sync::OnceLock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Korean,
    Japanese,
}

/// From `PLURA_LANG`, `LC_ALL`, `LC_MESSAGES` or `LANG`, the first that is set.
pub fn language() -> Language {
    let set = ["PLURA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    match set.as_deref().and_then(|value| value.get(..2)) {
        Some("ko") => Language::Korean,
        Some("ja") => Language::Japanese,
        _ => Language::English,
    }
}

/// The words for `code`; the code itself where there are none, so that nothing is hidden.
pub fn word(code: &str) -> String {
    word_in(language(), code)
}

fn word_in(language: Language, code: &str) -> String {
    let lookup = |language| table(language).get(code).and_then(Value::as_str).map(str::to_owned);
    lookup(language).or_else(|| lookup(Language::English)).unwrap_or_else(|| code.to_owned())
}

fn table(language: Language) -> &'static Value {
    static TABLES: OnceLock<[Value; 3]> = OnceLock::new();
    let [english, korean, japanese] = TABLES.get_or_init(|| {
        [
            include_str!("words/en.json"),
            include_str!("words/ko.json"),
            include_str!("words/ja.json"),
        ]
        .map(|text| serde_json::from_str(text).unwrap_or_default())
    });
    match language {
        Language::English => english,
        Language::Korean => korean,
        Language::Japanese => japanese,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_word() {
        let keys =
            |language| table(language).as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let english = keys(Language::English);
        assert!(english.len() > 20);
        assert_eq!(english, keys(Language::Korean));
        assert_eq!(english, keys(Language::Japanese));
    }

    #[test]
    fn an_unknown_code_is_shown_as_it_is() {
        assert_eq!(word_in(Language::Korean, "no-such-code"), "no-such-code");
        assert_eq!(word_in(Language::Korean, "block"), "차단");
    }
}
