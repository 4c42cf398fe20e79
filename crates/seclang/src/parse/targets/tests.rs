use super::{TARGETS_MAX, Targets, parse};
use crate::variable::{Collection, Selector};

fn parsed(text: &str) -> Targets {
    parse(text).unwrap()
}

/// Each as it would be written: `&ARGS:name`, `!ARGS:/regex/`.
fn shown(text: &str) -> Vec<String> {
    let targets = parsed(text);
    let show = |sign: &str, collection: Collection, selector: &Selector| {
        let part = match selector {
            Selector::All => String::new(),
            Selector::Name(name) => format!(":{}", String::from_utf8_lossy(name)),
            Selector::Pattern(regex) => format!(":/{}/", regex.as_str()),
            Selector::Path(path) => format!(":{} in {} steps", path.text, path.steps.len()),
        };
        format!("{sign}{}{part}", collection.name())
    };
    let included = targets.included.iter().map(|target| {
        show(if target.count { "&" } else { "" }, target.collection, &target.selector)
    });
    let excluded =
        targets.excluded.iter().map(|(collection, selector)| show("!", *collection, selector));
    included.chain(excluded).collect()
}

fn wrong(text: &str) -> String {
    let problem = parse(text).unwrap_err();
    format!("`{}`: {}; {}", problem.subject, problem.problem, problem.hint.unwrap_or_default())
}

#[test]
fn variables_stand_between_pipes() {
    assert_eq!(shown("ARGS"), ["ARGS"]);
    assert_eq!(
        shown("args|REQUEST_HEADERS:User-Agent|&tx:Score|!ARGS:Token"),
        ["ARGS", "REQUEST_HEADERS:user-agent", "&TX:score", "!ARGS:token"]
    );
    assert_eq!(shown("ARGS:a.b:c|ARGS.d"), ["ARGS:a.b:c", "ARGS:d"]);
    assert_eq!(shown("!ARGS:a,!ARGS:b"), ["!ARGS:a", "!ARGS:b"]);
    assert_eq!(shown(" ARGS | ARGS_NAMES "), ["ARGS", "ARGS_NAMES"]);
}

#[test]
fn selectors_may_be_regexes() {
    assert_eq!(
        shown("!REQUEST_COOKIES:/__utm/|ARGS:/^a|b,c{1,2}$/|ARGS:/x/"),
        ["ARGS:/^a|b,c{1,2}$/", "ARGS:/x/", "!REQUEST_COOKIES:/__utm/"]
    );
    assert_eq!(shown("ARGS:'/a|b c/'|FILES"), ["ARGS:/a|b c/", "FILES"]);
    assert_eq!(shown(r"ARGS:/a\/|b/"), [r"ARGS:/a\/|b/"]);
    let targets = parsed(r"TX:/^MSC_|\x22?\x24V./");
    let Some(Selector::Pattern(regex)) = targets.included.first().map(|target| &target.selector)
    else {
        panic!("something else")
    };
    assert!(regex.is_match(b"msc_pcre"), "case is of no account");
    assert!(regex.is_match(b"a\nMSC_x"), "`^` is at each line");
    assert!(regex.is_match(b"$V\n"), "`.` is any byte");
}

#[test]
fn selectors_may_be_quoted() {
    assert_eq!(shown("ARGS:'a|b'|FILES:'x y'"), ["ARGS:a|b", "FILES:x y"]);
    assert_eq!(shown("ARGS:it's"), ["ARGS:it's"]);
}

#[test]
fn xml_is_asked_by_path() {
    assert_eq!(
        shown("XML:/*|XML://@*|XML:/soap:Envelope/Body//item/@id|XML:/a/text()"),
        [
            "XML:/* in 1 steps",
            "XML://@* in 1 steps",
            "XML:/soap:Envelope/Body//item/@id in 4 steps",
            "XML:/a/text() in 1 steps",
        ]
    );
    assert_eq!(parse("ARGS|!XML").unwrap().excluded.len(), 1);
    for path in [
        "XML",
        "&XML",
        "XML:a",
        "XML:/a[1]",
        "XML:/a/..",
        "XML:/@a/b",
        "XML:/",
        "XML://",
        "XML:/text()",
    ] {
        assert!(parse(path).is_err(), "{path}");
    }
}

#[test]
fn what_is_wrong_is_told() {
    assert_eq!(wrong("ARGZ"), "`ARGZ`: unknown variable; did you mean `ARGS`?");
    assert_eq!(
        wrong("PERF_ALL"),
        "`PERF_ALL`: unknown variable; it is of ModSecurity v2: leave it out of the rule"
    );
    assert_eq!(wrong("ARGS||FILES"), "``: unknown variable; name a variable between two `|`");
    assert_eq!(wrong(""), "``: no variable; name one, such as `ARGS`");
    assert_eq!(
        wrong("REQUEST_URI:x"),
        "`REQUEST_URI:`: `REQUEST_URI` has one value, no parts; write `REQUEST_URI`"
    );
    assert_eq!(wrong("RULE"), "`RULE`: `RULE` is asked for by part; write `RULE:id`");
    assert_eq!(
        wrong("ARGS:/a"),
        "`ARGS:/a`: the regex is not closed; end it with `/`; a `|` or `,` may follow"
    );
    assert_eq!(
        wrong("ARGS:/(a/"),
        "`ARGS:(a`: the regex does not compile: unclosed group; look-around and back references \
         are not supported in selectors"
    );
    assert_eq!(wrong("ARGS:'a"), "`ARGS:'a`: the `'` is not closed; end the selector with `'`");
    assert_eq!(
        wrong("ARGS:|FILES"),
        "`ARGS:`: no name after `:`; name a part, or leave out the `:` for all"
    );
    assert_eq!(wrong("!&ARGS"), "`ARGS`: both `!` and `&`; leave one of them out");
    assert_eq!(
        wrong("ARGS FILES"),
        "`FILES`: does not belong to the variable before it; put `|` between variables"
    );
    let many = vec!["ARGS"; TARGETS_MAX + 1].join("|");
    assert_eq!(wrong(&many), "`ARGS`: over 128 variables; split the rule");
}
