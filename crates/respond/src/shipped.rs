use crate::PolicySet;
use schema::Diagnostic;

/// The policy files of `packs/respond/`, by file name.
pub const SHIPPED: [(&str, &str); 12] = [
    ("account-bruteforce.yaml", include_str!("../../../packs/respond/account-bruteforce.yaml")),
    ("account-takeover.yaml", include_str!("../../../packs/respond/account-takeover.yaml")),
    ("credential-stuffing.yaml", include_str!("../../../packs/respond/credential-stuffing.yaml")),
    ("credential-theft.yaml", include_str!("../../../packs/respond/credential-theft.yaml")),
    ("l7-flood.yaml", include_str!("../../../packs/respond/l7-flood.yaml")),
    ("object-enumeration.yaml", include_str!("../../../packs/respond/object-enumeration.yaml")),
    ("password-spraying.yaml", include_str!("../../../packs/respond/password-spraying.yaml")),
    (
        "prompt-injection-probing.yaml",
        include_str!("../../../packs/respond/prompt-injection-probing.yaml"),
    ),
    ("response-leakage.yaml", include_str!("../../../packs/respond/response-leakage.yaml")),
    ("reverse-shell.yaml", include_str!("../../../packs/respond/reverse-shell.yaml")),
    ("web-attack.yaml", include_str!("../../../packs/respond/web-attack.yaml")),
    ("web-shell.yaml", include_str!("../../../packs/respond/web-shell.yaml")),
];

impl PolicySet {
    /// The policies Plura ships, as every new tenant starts with them (in observe mode).
    ///
    /// They are part of the binary and a test reads them, so an error here means a broken build.
    pub fn shipped() -> Result<PolicySet, Vec<Diagnostic>> {
        let mut set = PolicySet::default();
        for (file, text) in SHIPPED {
            set = set.join(PolicySet::parse(file, text)?).map_err(|diagnostic| vec![diagnostic])?;
        }
        Ok(set)
    }
}
