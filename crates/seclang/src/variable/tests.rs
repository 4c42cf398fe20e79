use super::{Collection, Parts, TABLE};

#[test]
fn every_name_leads_back_to_its_variable() {
    for (index, (collection, name, _)) in TABLE.iter().enumerate() {
        assert_eq!(*collection as usize, index, "{name} stands out of order");
        assert_eq!(collection.name(), *name);
        assert_eq!(Collection::parse(name), Some(*collection));
        assert_eq!(Collection::parse(&name.to_lowercase()), Some(*collection));
    }
}

#[test]
fn names_are_the_manuals() {
    let names = [
        (Collection::FilesTmpNames, "FILES_TMPNAMES"),
        (Collection::SessionId, "SESSIONID"),
        (Collection::UserId, "USERID"),
        (Collection::WebAppId, "WEBAPPID"),
        (Collection::UrlencodedError, "URLENCODED_ERROR"),
        (Collection::TimeWday, "TIME_WDAY"),
        (Collection::MultipartCrlfLfLines, "MULTIPART_CRLF_LF_LINES"),
        (Collection::ReqbodyProcessorErrorMsg, "REQBODY_PROCESSOR_ERROR_MSG"),
    ];
    for (collection, name) in names {
        assert_eq!(collection.name(), name);
    }
    assert_eq!(
        Collection::parse("multipart_semicolon_missing"),
        Some(Collection::MultipartMissingSemicolon)
    );
    assert_eq!(Collection::parse("ARGZ"), None);
}

#[test]
fn parts_say_what_may_follow() {
    assert_eq!(Collection::Args.parts(), Parts::Named);
    assert_eq!(Collection::RequestUri.parts(), Parts::None);
    assert_eq!(Collection::Xml.parts(), Parts::Path);
    assert_eq!(Collection::Rule.parts(), Parts::Needed);
    assert!(Collection::Tx.is_written_by_rules() && !Collection::Env.is_written_by_rules());
}
