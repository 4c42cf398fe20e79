use super::lists::*;
use super::*;

#[track_caller]
fn check(class: Class, names: &[&str]) {
    let known = Names::new(["shoeSize"], [("home_address", Kind::Other)], ["device_token"]);
    for name in names {
        assert_eq!(known.classify(name), class, "`{name}`");
    }
}

#[test]
fn secrets_are_known_by_name_in_any_spelling() {
    check(
        Class::Secret,
        &[
            "password",
            "PASSWORD",
            "passWord",
            "pass_word",
            "pass-word",
            "user[password]",
            "newPassword",
            "password_confirmation",
            "password2",
            "passwordHash",
            "pwd",
            "user.pwd",
            "j_password",
            "apiKey",
            "API-KEY",
            "X-Api-Key",
            "access_token",
            "csrfmiddlewaretoken",
            "client_secret",
            "cvc",
            "CVC2",
            "card[cvc]",
            "otp",
            "sms_otp",
            "pin",
            "비밀번호",
            "새 비밀번호",
            "パスワード",
            "新しいパスワード",
            "shoe-size",
            "PHPSESSID",
            "p\u{0}assword",
            "private_key",
            "data[0][pwd]",
            "X-Auth-Token",
            "X-Amz-Security-Token",
            "login_pw",
        ],
    );
    check(Class::SecretText, &["auth", "session", "tokens", "apiKeys"]);
}

#[test]
fn near_misses_stay_readable() {
    check(
        Class::Plain,
        &[
            "tokenizer",
            "token_type",
            "tokenize",
            "nextPageToken",
            "next_token",
            "compass",
            "passenger",
            "password_changed_at",
            "passwordPolicy",
            "key",
            "sort_key",
            "primary_key",
            "idempotency_key",
            "author",
            "authors",
            "authority",
            "shipping",
            "shopping",
            "pinned",
            "session_count",
            "company",
            "keyword",
            "public_key",
            "account",
            "account_id",
            "card_type",
            "device_token",
            "hotel",
            "orderNumber",
            "code",
            "status_code",
            "secretary",
            "zip",
            "",
            "___",
            "grass",
            "japan",
            "hp_max",
        ],
    );
}

#[test]
fn personal_data_is_known_by_name() {
    check(
        Class::Personal(Kind::Rrn),
        &["ssn", "user_ssn", "jumin_no", "주민등록번호", "고객주민번호"],
    );
    check(
        Class::Personal(Kind::Phone),
        &["phone", "phoneNumber", "buyer_phone", "phone1", "전화번호", "hp"],
    );
    check(Class::Personal(Kind::Email), &["email", "emails", "contactEmail", "メール"]);
    check(Class::Personal(Kind::Card), &["card_number", "cardNo", "カード番号", "pan"]);
    check(
        Class::Personal(Kind::BankAccount),
        &["account_number", "계좌번호", "iban", "refundAccountNo"],
    );
    check(Class::Personal(Kind::Passport), &["passport_no", "여권번호"]);
    check(Class::Personal(Kind::MyNumber), &["my_number", "個人番号"]);
    check(Class::Personal(Kind::Other), &["homeAddress"]);
}

#[test]
fn every_name_contains_a_stem_the_scanner_looks_for() {
    let personal = PERSONAL.iter().chain(PERSONAL_ENDS).flat_map(|(_, names)| names.iter());
    let secret = [SECRET, SECRET_TEXT, STEMS, SECRET_ENDS, SECRET_WORDS].concat();
    for name in secret.iter().chain(personal) {
        assert!(NAME_STEMS.iter().any(|stem| name.contains(stem)), "`{name}` has no stem");
    }
}
