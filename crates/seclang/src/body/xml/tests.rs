#![allow(clippy::unwrap_used)]

use super::*;
use crate::bag::Bag;
use crate::body::tests::shown;
use crate::variable::XmlPath;

fn selected(document: &Xml, path: &str) -> String {
    let mut out = Bag::default();
    assert!(document.select(&XmlPath::parse(path).unwrap(), &mut out));
    shown(&out)
}

/// The document's text and attributes.
fn check(body: impl AsRef<[u8]>, text: &str, attributes: &str) {
    let body = body.as_ref();
    let (document, error) = parse(body);
    assert_eq!(error, None, "{}", body.escape_ascii());
    let values = (selected(&document, "/*"), selected(&document, "//@*"));
    assert_eq!(values, (text.to_owned(), attributes.to_owned()), "{}", body.escape_ascii());
}

fn check_error(body: impl AsRef<[u8]>, text: &str, error: &str) {
    let body = body.as_ref();
    let (document, found) = parse(body);
    let found = found.map(|error| error.to_string()).unwrap_or_default();
    assert!(
        found.starts_with("XML parsing error: ") && found.contains(error),
        "{}: {found}",
        body.escape_ascii()
    );
    assert_eq!(selected(&document, "/*"), text, "{}", body.escape_ascii());
}

#[test]
fn the_text_of_the_root_is_all_text() {
    check("<a>1</a>", "a=1", "");
    check("<a><b>1</b> <c>2<d/></c>3</a>", "a=1 23", "");
    check("<a b='1' c=\"2\"><d b='3'/></a>", "a=", "b=1 c=2 b=3");
    check("<?xml version='1.0'?>\n<!-- x --><?x y?><a/>\n<!-- x -->", "a=", "");
    check("<a>1\r\n2\r3</a>", "a=1\\n2\\n3", "");
    check("<a b='1\n2\t3'/>", "a=", "b=1 2 3");
    check("<x:a xmlns:x='http://x' xmlns='http://y' x:b='1'/>", "a=", "b=1");
}

#[test]
fn what_an_application_puts_together_is_put_together() {
    check("<a>&lt;script&gt; &amp;&quot;&apos;</a>", "a=<script> &\\\"\\'", "");
    check("<a>&#60;&#x73;cript</a>", "a=<script", "");
    check("<a b='&#60;&lt;&quot;&#x27;'/>", "a=", "b=<<\\\"\\'");
    check("<a><![CDATA[<scr]]><![CDATA[ipt>]]>&amp;lt;</a>", "a=<script>&lt;", "");
    check("<a>se<!-- -->le<?x?>ct</a>", "a=select", "");
    check("<a>se<b>le</b>ct</a>", "a=select", "");
}

#[test]
fn paths() {
    let body = "<shop><book id='1'><price>10</price>x</book>y<book id='2' n:lang='en' xmlns:n='n'><price>20</price>\
        <note><price>30</price></note></book></shop>";
    let (document, error) = parse(body.as_bytes());
    assert_eq!(error, None);
    for (path, expected) in [
        ("/", "=10xy2030"),
        ("/shop", "shop=10xy2030"),
        ("/book", ""),
        ("/shop/book", "book=10x book=2030"),
        ("/shop/book/price", "price=10 price=20"),
        ("//price", "price=10 price=20 price=30"),
        ("/shop//price", "price=10 price=20 price=30"),
        ("//book//price", "price=10 price=20 price=30"),
        ("/*/*/*", "price=10 price=20 note=30"),
        ("/shop/book/@id", "id=1 id=2"),
        ("//@lang", "lang=en"),
        ("/@id", ""),
        ("/shop//@*", "id=1 id=2 lang=en"),
        ("/shop/text()", "shop=y"),
        ("/shop/book/text()", "book=x"),
        ("//note//text()", "price=30"),
        ("//*[local-name()='note']", "note=30"),
        ("//Price", ""),
    ] {
        assert_eq!(selected(&document, path), expected, "{path}");
    }
    assert_eq!(selected(&Xml::default(), "/*"), "");
    assert_eq!(selected(&Xml::default(), "/"), "");
}

#[test]
fn entities_are_not_expanded_and_what_stands_around_them_is_read() {
    check("<!DOCTYPE a SYSTEM 'a.dtd'><a>1</a>", "a=1", "");
    check("<!DOCTYPE a [<!ELEMENT a ANY>]><a>1</a>", "a=1", "");
    check_error(
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>1&x;2</a>",
        "a=12",
        "entity",
    );
    check_error("<!DOCTYPE a [<!ENTITY x 'y'>]><a>1</a>", "a=1", "declares entities");
    check_error(
        "<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://x'> %x;]><a>1</a>",
        "a=1",
        "declares entities",
    );
    check_error("<!DOCTYPE a [<!ATTLIST a b CDATA 'evil'>]><a>1</a>", "a=1", "declares entities");
    check_error("<a>1&nbsp;2</a>", "a=12", "entity");
    check_error("<a b='&x;'>1</a>", "a=", "x");
    check_error("<a>1</a><!DOCTYPE a>", "a=1", "DOCTYPE");
    let laughs: String = (1..10)
        .map(|n| format!("<!ENTITY l{n} '{}'>", format!("&l{};", n - 1).repeat(10)))
        .collect();
    check_error(format!("<!DOCTYPE a [<!ENTITY l0 'lol'>{laughs}]><a>&l9;</a>"), "a=", "entity");
}

#[test]
fn what_is_not_xml_is_an_error_and_what_came_before_stays() {
    check_error("", "", "no element");
    check_error("  ", "", "no element");
    check_error("a=1", "", "outside of the root");
    check_error("{\"a\":1}", "", "outside of the root");
    check_error("<a>1", "a=1", "inside an element");
    check_error("<a>1<b>2</a>", "a=12", "expected");
    check_error("<a>1</b>", "a=1", "expected");
    check_error("<a>1</a><b>2</b>", "a=1", "second root");
    check_error("<a>1</a>2", "a=1", "outside of the root");
    check_error("<a>1</a>&lt;", "a=1", "outside of the root");
    check_error("<a>1</a><![CDATA[2]]>", "a=1", "outside of the root");
    check_error("<a b>1</a>", "a=", "");
    check_error("<a b=1>1</a>", "a=", "");
    check_error("<a b='1' b='2'>1</a>", "a=", "duplicate");
    check_error("<a b='<'>1</a>", "a=", "`<`");
    check_error("<1>1</1>", "", "valid name");
    check_error("<a 1='2'/>", "a=", "valid name");
    check_error("<a>1]]>2</a>", "a=", "]]>");
    check_error("<a>1<!-- -- --></a>", "a=1", "");
    check_error("<a>1 & 2</a>", "a=1 ", "");
    check_error("<a>1&#0;</a>", "a=1", "");
    check_error("<a>1&#8;</a>", "a=1", "U+0008");
    check_error("<a>1&#xD800;</a>", "a=1", "");
    check_error("<a>1<b>\x01</b></a>", "a=1", "U+0001");
    check_error("<a>1\0</a>", "a=", "U+0000");
    check_error(" <?xml version='1.0'?><a/>", "", "declaration");
    check_error("<?x<a>1</a>", "", "");
}

#[test]
fn encodings() {
    let utf_16 = |text: &str, big: bool| -> Vec<u8> {
        let units = text.encode_utf16();
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    check("\u{feff}<a>\u{e9}</a>", "a=\\xc3\\xa9", "");
    for big in [false, true] {
        check(utf_16("\u{feff}<a>select</a>", big), "a=select", "");
        check(utf_16("<a>select</a>", big), "a=select", "");
    }
    check(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", "a=\\xc3\\xa9", "");
    check(
        b"<?xml version=\"1.0\" encoding = \"Shift_JIS\" ?><a>\x83\x65</a>",
        "a=\\xe3\\x83\\x86",
        "",
    );
    check_error(b"<a>\xc0\xbcscript</a>", "", "UTF-8");
    check_error(b"<a>\xe9</a>", "", "UTF-8");
    check_error("<?xml version='1.0' encoding='UTF-7'?><a>+ADw-</a>", "", "unknown encoding");
    check_error("<?xml version='1.0' encoding='UTF-16'?><a/>", "", "wrong encoding");
    check_error("<?xml version='1.0' encoding='x'?><a/>", "", "unknown encoding");
    check_error(b"\0\0\xfe\xff\0\0\0<", "", "UTF-32");
    check_error(
        utf_16("\u{feff}<a>", false).into_iter().chain([0, 0xd8]).collect::<Vec<_>>(),
        "",
        "not UTF-16LE",
    );
}

#[test]
fn limits() {
    let deep = |depth: usize| format!("{}1{}", "<a>".repeat(depth), "</a>".repeat(depth));
    check(deep(XML_DEPTH_MAX), "a=1", "");
    check_error(deep(XML_DEPTH_MAX + 1), "a=", "nested");
    check_error(format!("<a>{}</a>", "<b/>".repeat(XML_ELEMENTS_MAX)), "a=", "elements");
    let attributes: String =
        (0..=XML_ATTRIBUTES_MAX).map(|number| format!(" a{number}=''")).collect();
    check_error(format!("<a{attributes}/>"), "a=", "attributes");

    let text = "x".repeat(1024 * 1024);
    let (document, _) =
        parse(format!("{}{text}{}", "<a>".repeat(200), "</a>".repeat(200)).as_bytes());
    let mut out = Bag::default();
    assert!(!document.select(&XmlPath::parse("//*").unwrap(), &mut out));
    assert!(out.bytes() <= (text.len() + 200) * select::XML_SELECTED_FACTOR);
    // What an ordinary path selects fits.
    out.clear();
    assert!(document.select(&XmlPath::parse("/*").unwrap(), &mut out));
    assert_eq!(out.bytes(), text.len() + 1);
}
