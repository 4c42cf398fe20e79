//! Keys that no test of the schema has: told of, and otherwise passed over, as go-ftw does.

use super::{Fault, place};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Options, Spanned};
use std::fmt;

/// Unknown keys that are told of in one file.
const FAULTS_MAX: usize = 20;

/// The keys of a mapping, and those of the mappings below it. `Any`: what is below is nobody's business.
pub(super) enum Keys {
    Any,
    Known(&'static [(&'static str, Keys)]),
}

const OUTPUT: Keys = Keys::Known(&[
    ("status", Keys::Any),
    ("response_contains", Keys::Any),
    ("log_contains", Keys::Any),
    ("no_log_contains", Keys::Any),
    (
        "log",
        Keys::Known(&[
            ("expect_id", Keys::Any),
            ("no_expect_id", Keys::Any),
            ("expect_ids", Keys::Any),
            ("no_expect_ids", Keys::Any),
            ("match_regex", Keys::Any),
            ("no_match_regex", Keys::Any),
        ]),
    ),
    ("expect_error", Keys::Any),
    ("retry_once", Keys::Any),
    ("isolated", Keys::Any),
]);

const INPUT: Keys = Keys::Known(&[
    ("dest_addr", Keys::Any),
    ("port", Keys::Any),
    ("protocol", Keys::Any),
    ("uri", Keys::Any),
    ("uris", Keys::Any),
    ("follow_redirect", Keys::Any),
    ("version", Keys::Any),
    ("method", Keys::Any),
    ("headers", Keys::Any),
    ("ordered_headers", Keys::Any),
    ("data", Keys::Any),
    ("encoded_data", Keys::Any),
    ("save_cookie", Keys::Any),
    ("stop_magic", Keys::Any),
    ("autocomplete_headers", Keys::Any),
    ("encoded_request", Keys::Any),
    ("virtual_host_mode", Keys::Any),
]);

pub(super) const TESTS: Keys = Keys::Known(&[
    ("meta", Keys::Any),
    ("rule_id", Keys::Any),
    (
        "tests",
        Keys::Known(&[
            ("test_id", Keys::Any),
            ("test_title", Keys::Any),
            ("desc", Keys::Any),
            ("tags", Keys::Any),
            (
                "stages",
                Keys::Known(&[("description", Keys::Any), ("input", INPUT), ("output", OUTPUT)]),
            ),
        ]),
    ),
]);

pub(super) const OVERRIDES: Keys = Keys::Known(&[
    ("version", Keys::Any),
    ("meta", Keys::Any),
    (
        "test_overrides",
        Keys::Known(&[
            ("rule_id", Keys::Any),
            ("test_ids", Keys::Any),
            ("stage_ids", Keys::Any),
            ("reason", Keys::Any),
            ("retry_once", Keys::Any),
            ("output", OUTPUT),
        ]),
    ),
]);

/// The keys of `text` that are not among `keys`.
pub(super) fn unknown(file: &str, text: &str, keys: &Keys) -> Vec<Fault> {
    let options: Options = serde_saphyr::options! { with_snippet: false };
    let mut faults = Vec::new();
    if let Ok(tree) = serde_saphyr::from_str_with_options::<Tree>(text, options) {
        look(file, &tree, keys, &mut faults);
    }
    faults
}

fn look(file: &str, tree: &Tree, keys: &Keys, faults: &mut Vec<Fault>) {
    let Keys::Known(known) = keys else { return };
    match tree {
        Tree::Map(entries) => {
            for (key, value) in entries {
                match known.iter().find(|(name, _)| name == key) {
                    Some((_, below)) => look(file, &value.value, below, faults),
                    None if faults.len() < FAULTS_MAX => {
                        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                        faults.push(Fault {
                            place: place(file, Some(value.referenced)),
                            problem: format!("unknown key `{key}` is passed over"),
                            hint: format!("use one of {}", names.join(", ")),
                        });
                    }
                    None => {}
                }
            }
        }
        Tree::List(items) => items.iter().for_each(|item| look(file, item, keys, faults)),
        Tree::Leaf => {}
    }
}

/// What is where; the values are not kept.
enum Tree {
    Map(Vec<(String, Spanned<Tree>)>),
    List(Vec<Tree>),
    Leaf,
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("YAML")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Tree::Map(entries))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Tree::List(items))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }

            fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }

            fn visit_bytes<E>(self, _: &[u8]) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }

            fn visit_none<E>(self) -> Result<Tree, E> {
                Ok(Tree::Leaf)
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Tree, D::Error> {
                IgnoredAny::deserialize(inner).map(|_| Tree::Leaf)
            }
        }
        deserializer.deserialize_any(Shape)
    }
}
