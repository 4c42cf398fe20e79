use super::*;

#[test]
fn rule_files_are_found_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let names = |path: &Path| {
        let found = read_rules(&[path.to_owned()]);
        let names = found.files.iter().map(|(name, _)| name.rsplit('/').next().unwrap().to_owned());
        (names.collect::<Vec<_>>(), found.problems)
    };
    put("rules/a/one.yml", b"title: one");
    put("rules/a/one.test.yml", b"[]");
    put("rules/a/two.yaml", b"title: two");
    put("rules-threat-hunting/three.yml", b"title: three");
    put("deprecated/four.yml", b"title: four");
    put("rules/readme.md", b"no");
    put("odd/bad.yml", b"\xff");
    assert_eq!(names(folder.path()).0, ["one.yml", "two.yaml", "three.yml"]);
    assert_eq!(names(&folder.path().join("deprecated")).0, ["four.yml"]);
    let (none, problems) = names(&folder.path().join("odd"));
    assert!(none.is_empty() && problems[0].code == "not-utf8");
    assert_eq!(names(&folder.path().join("nothing")).1[0].code, "unreadable-file");
    let long = vec![b'#'; FILE_BYTES_MAX + 1];
    put("odd/bad.yml", &long);
    assert_eq!(names(&folder.path().join("odd")).1[0].code, "long-file");
}

#[test]
fn placeholders_are_one_value_or_several() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yml");
    fs::write(&path, "admins: [root, 7]\ndomain: example.org\n").unwrap();
    let options = options(&[], Some(&path)).unwrap();
    assert_eq!(options.placeholders["admins"], ["root", "7"]);
    assert_eq!(options.placeholders["domain"], ["example.org"]);
    fs::write(&path, "admins: {a: b}\n").unwrap();
    assert_eq!(super::options(&[], Some(&path)).unwrap_err()[0].code, "bad-placeholders");
}

#[test]
fn rules_are_chosen_by_what_they_say_of_themselves() {
    let meta = Meta {
        title: "One".to_owned(),
        id: Some("id-1".to_owned()),
        level: Some(Level::Medium),
        status: Some(Status::Test),
        tags: vec!["attack.t1059.001".to_owned()],
        ..Meta::default()
    };
    let check = |choice: Choice, wanted: bool| {
        assert_eq!(choice.takes(&meta), wanted, "{choice:?}");
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    check(Choice::default(), true);
    check(Choice { level_min: Some(Level::High), ..Choice::default() }, false);
    check(Choice { level_min: Some(Level::Medium), ..Choice::default() }, true);
    check(Choice { statuses: vec![Status::Stable], ..Choice::default() }, false);
    check(Choice { statuses: vec![Status::Stable, Status::Test], ..Choice::default() }, true);
    check(Choice { tags: words(&["attack.T1059"]), ..Choice::default() }, true);
    check(Choice { tags: words(&["attack.t10"]), ..Choice::default() }, false);
    check(Choice { excluded: words(&["id-1"]), ..Choice::default() }, false);
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("out.txt");
    fs::write(&list, "# noisy\nid-1 # since May\n\n").unwrap();
    let mut choice = Choice::default();
    choice.exclude(list.to_str().unwrap()).unwrap();
    assert_eq!(choice.excluded, ["id-1"]);
}
