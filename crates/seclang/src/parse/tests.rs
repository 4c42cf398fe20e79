use super::{did_you_mean, number, switch, unquoted};

#[test]
fn the_nearest_name_is_meant() {
    let known = ["ARGS", "ARGS_GET", "FILES"];
    let meant = |written| did_you_mean(written, known.into_iter());
    assert_eq!(meant("ARG").as_deref(), Some("did you mean `ARGS`?"));
    assert_eq!(meant("args_got").as_deref(), Some("did you mean `ARGS_GET`?"));
    assert_eq!(meant("SOMETHING"), None);
    assert_eq!(meant(""), None);
    assert_eq!(meant(&"A".repeat(10_000)), None);
}

#[test]
fn small_values_are_read_strictly() {
    assert_eq!(number::<u8>("x", "'7'"), Ok(7));
    for wrong in ["", "-1", "1.5", "300", "0x10", " "] {
        assert!(number::<u8>("x", wrong).is_err(), "{wrong}");
    }
    assert_eq!(switch("x", "\"On\""), Ok(true));
    assert_eq!(switch("x", "OFF"), Ok(false));
    assert!(switch("x", "yes").is_err());
    assert_eq!(unquoted("'a' "), "a");
    assert_eq!(unquoted("'a"), "'a");
}
