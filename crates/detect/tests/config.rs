//! Configuration as YAML.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

use detect::{DetectConfig, GroupConfig, LearningConfig};

#[test]
fn what_is_left_out_is_default_and_what_is_unknown_is_refused() {
    let config: DetectConfig = serde_saphyr::from_str(
        "learning:\n  sample_secs: 60\nsites:\n  shop:\n    devices: [web-1]\n",
    )
    .unwrap();
    assert_eq!(config.learning, LearningConfig { sample_secs: 60, ..LearningConfig::default() });
    assert_eq!(
        (config.sites["shop"].devices.as_slice(), &config.login),
        (&["web-1".to_owned()][..], &DetectConfig::default().login)
    );
    let error = serde_saphyr::from_str::<DetectConfig>("login:\n  acounts_min: 3\n")
        .unwrap_err()
        .to_string();
    assert!(error.contains("acounts_min"), "{error}");
    assert!(serde_saphyr::from_str::<GroupConfig>("link_seconds: 3\n").is_err());
}

#[test]
fn the_defaults_survive_being_written_and_read() {
    let text = serde_saphyr::to_string(&DetectConfig::default()).unwrap();
    assert_eq!(serde_saphyr::from_str::<DetectConfig>(&text).unwrap(), DetectConfig::default());
    let text = serde_saphyr::to_string(&GroupConfig::default()).unwrap();
    assert_eq!(serde_saphyr::from_str::<GroupConfig>(&text).unwrap(), GroupConfig::default());
}
