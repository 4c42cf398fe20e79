//! What the name of a field says about its value.
//!
//! Names are compared without case and separators, so `apiKey`, `API-KEY` and `api_key` are one.
//! English, Korean and Japanese; a site adds its own and exempts others.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// Personal data we know by its shape or its field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Korean resident or foreigner registration number.
    Rrn,
    /// Japanese Individual Number.
    MyNumber,
    Card,
    BankAccount,
    Passport,
    Phone,
    Email,
    /// Named by the site: `address`, `birthday`…
    Other,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Rrn,
        Kind::MyNumber,
        Kind::Card,
        Kind::BankAccount,
        Kind::Passport,
        Kind::Phone,
        Kind::Email,
        Kind::Other,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Rrn => "rrn",
            Kind::MyNumber => "my-number",
            Kind::Card => "card",
            Kind::BankAccount => "bank-account",
            Kind::Passport => "passport",
            Kind::Phone => "phone",
            Kind::Email => "email",
            Kind::Other => "other",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Plain,
    /// Everything below the name is destroyed.
    Secret,
    /// Text directly below is destroyed; objects and numbers are looked into (`auth`, `tokens`).
    SecretText,
    Personal(Kind),
}

/// Longest name looked at; of a longer one, its end.
const NAME_CHARS_MAX: usize = 128;

pub(super) struct Names {
    exact: HashMap<String, Class>,
}

/// Names that are secret as a whole.
const SECRET: &[&str] = &[
    "pass",
    "pw",
    "pwd",
    "pswd",
    "passwd",
    "password",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "xapikey",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "privatekey",
    "authkey",
    "authorization",
    "proxyauthorization",
    "authcode",
    "bearer",
    "credential",
    "cvc",
    "cvc2",
    "cvv",
    "cvv2",
    "csc",
    "cardcode",
    "cardcvc",
    "cardcvv",
    "securitycode",
    "cardsecuritycode",
    "otp",
    "otpcode",
    "totp",
    "totpcode",
    "onetimecode",
    "mfacode",
    "2facode",
    "smscode",
    "verificationcode",
    "verifycode",
    "authenticationcode",
    "pin",
    "pincode",
    "pinnumber",
    "sid",
    "ssid",
    "sessid",
    "sessionid",
    "jsessionid",
    "phpsessid",
    "aspnetsessionid",
    "connectsid",
    "sessionkey",
    "jwt",
    "sig",
    "xamzsignature",
    "xgoogsignature",
    "cookie",
    "setcookie",
    "recoverycode",
    "backupcode",
    "seedphrase",
    "mnemonic",
    "accesscode",
    // Korean
    "비밀번호",
    "비번",
    "암호",
    "패스워드",
    "인증번호",
    "인증코드",
    "보안코드",
    "토큰",
    "비밀키",
    "핀번호",
    "인증키",
    "접근토큰",
    "카드비밀번호",
    "세션키",
    // Japanese
    "パスワード",
    "暗証番号",
    "認証コード",
    "認証番号",
    "セキュリティコード",
    "トークン",
    "秘密鍵",
    "合言葉",
    // Chinese, seen in imported software
    "密码",
    "密碼",
];

/// Names whose text is secret, but which also name harmless structures and counts.
const SECRET_TEXT: &[&str] = &[
    "auth",
    "session",
    "credentials",
    "tokens",
    "secrets",
    "passwords",
    "apikeys",
    "cookies",
    "recoverycodes",
    "backupcodes",
    "otpcodes",
];

/// A name that contains one of these is secret, unless what follows is in [`ABOUT`].
const STEMS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "비밀번호",
    "패스워드",
    "パスワード",
    "暗証番号",
];

/// What may follow a stem in a name that tells about the secret, and not the secret.
const ABOUT: &[&str] = &[
    "age",
    "attempts",
    "changed",
    "changedat",
    "changeddate",
    "changerequired",
    "count",
    "enabled",
    "error",
    "errors",
    "expired",
    "expires",
    "expiresat",
    "expiresin",
    "expiry",
    "field",
    "label",
    "lastchanged",
    "length",
    "maxlength",
    "message",
    "minlength",
    "mismatch",
    "placeholder",
    "policy",
    "required",
    "reset",
    "resetat",
    "resetrequired",
    "rules",
    "strength",
    "type",
    "updatedat",
    "url",
    "valid",
    "변경일",
    "만료일",
    "정책",
];

/// A name that ends with one of these is secret (`csrfmiddlewaretoken`, `clientSecret`).
const SECRET_ENDS: &[&str] = &[
    "token",
    "secret",
    "apikey",
    "secretkey",
    "privatekey",
    "accesskey",
    "signingkey",
    "masterkey",
    "encryptionkey",
    "authkey",
    "passkey",
    "credential",
    "authorization",
    "sessionid",
    "sessid",
    "securitycode",
    "verificationcode",
    "otpcode",
    "recoverycode",
    "cvc",
    "cvv",
    "cvc2",
    "cvv2",
    "인증번호",
    "인증코드",
    "토큰",
    "トークン",
];

/// A name whose last word is one of these is secret (`user_pw`, `card.pin`), `shopping` is not.
const SECRET_WORDS: &[&str] =
    &["pass", "passcode", "pw", "pwd", "pswd", "otp", "totp", "pin", "csc", "jwt", "sid"];

/// Ends that look secret and are cursors or vocabulary.
const PLAIN_ENDS: &[&str] = &[
    "pagetoken",
    "nexttoken",
    "continuationtoken",
    "synctoken",
    "cursortoken",
    "stoptoken",
    "eostoken",
    "bostoken",
    "padtoken",
    "unktoken",
    "starttoken",
    "endtoken",
];

const PERSONAL: &[(Kind, &[&str])] = &[
    (
        Kind::Rrn,
        &[
            "ssn",
            "rrn",
            "jumin",
            "juminno",
            "juminnumber",
            "jumindeungrok",
            "juminbunho",
            "residentno",
            "residentnumber",
            "residentregistrationnumber",
            "residentregno",
            "foreignerno",
            "foreignernumber",
            "alienregistrationnumber",
            "socialsecuritynumber",
            "nationalid",
            "주민등록번호",
            "주민번호",
            "외국인등록번호",
        ],
    ),
    (Kind::MyNumber, &["mynumber", "individualnumber", "kojinbango", "マイナンバー", "個人番号"]),
    (
        Kind::Card,
        &[
            "cardnumber",
            "cardno",
            "cardnum",
            "creditcard",
            "creditcardnumber",
            "ccnumber",
            "ccno",
            "ccnum",
            "debitcard",
            "pan",
            "카드번호",
            "신용카드번호",
            "カード番号",
            "クレジットカード番号",
        ],
    ),
    (
        Kind::BankAccount,
        &[
            "accountnumber",
            "accountno",
            "accountnum",
            "acctno",
            "acctnum",
            "acctnumber",
            "bankaccount",
            "bankaccountnumber",
            "iban",
            "routingnumber",
            "계좌번호",
            "계좌",
            "입금계좌",
            "환불계좌",
            "口座番号",
            "銀行口座",
        ],
    ),
    (
        Kind::Passport,
        &[
            "passport",
            "passportno",
            "passportnumber",
            "passportnum",
            "여권번호",
            "여권",
            "旅券番号",
            "パスポート番号",
        ],
    ),
    (
        Kind::Phone,
        &[
            "phone",
            "phoneno",
            "phonenumber",
            "phonenum",
            "mobile",
            "mobileno",
            "mobilenumber",
            "mobilephone",
            "cellphone",
            "cell",
            "tel",
            "telno",
            "telephone",
            "hp",
            "hpno",
            "handphone",
            "fax",
            "전화번호",
            "전화",
            "휴대폰",
            "휴대폰번호",
            "휴대전화",
            "휴대전화번호",
            "핸드폰",
            "연락처",
            "電話番号",
            "電話",
            "携帯",
            "携帯番号",
            "携帯電話",
        ],
    ),
    (Kind::Email, &["email", "emailaddress", "mail", "이메일", "메일", "メール", "メールアドレス"]),
];

/// A name that ends with one of these (and does not equal it) is personal as well.
const PERSONAL_ENDS: &[(Kind, &[&str])] = &[
    (Kind::Rrn, &["주민등록번호", "주민번호", "juminno", "ssn", "rrn"]),
    (Kind::MyNumber, &["マイナンバー", "個人番号", "mynumber"]),
    (Kind::Card, &["cardnumber", "cardno", "카드번호", "カード番号"]),
    (
        Kind::BankAccount,
        &["accountnumber", "accountno", "acctno", "bankaccount", "계좌번호", "口座番号"],
    ),
    (Kind::Passport, &["passportno", "passportnumber", "여권번호", "旅券番号"]),
    (
        Kind::Phone,
        &[
            "phone",
            "phonenumber",
            "phoneno",
            "mobile",
            "mobileno",
            "telno",
            "전화번호",
            "휴대폰",
            "電話番号",
        ],
    ),
    (Kind::Email, &["email", "emailaddress", "이메일", "メールアドレス"]),
];

/// What every name above contains at least one of, in any spelling with separators: the scanner looks
/// for these first, and asks [`Names::classify`] only where one stands.
pub(super) const NAME_STEMS: &[&str] = &[
    "pass",
    "pwd",
    "pw",
    "pswd",
    "secret",
    "token",
    "key",
    "auth",
    "bearer",
    "cred",
    "cvc",
    "cvv",
    "csc",
    "code",
    "otp",
    "pin",
    "sid",
    "sess",
    "jwt",
    "sig",
    "cookie",
    "seed",
    "mnemonic",
    "ssn",
    "rrn",
    "jumin",
    "resident",
    "foreigner",
    "registration",
    "national",
    "number",
    "bango",
    "card",
    "ccn",
    "cc_n",
    "cc-n",
    "pan",
    "account",
    "acct",
    "bank",
    "iban",
    "phone",
    "mobile",
    "cell",
    "tel",
    "hp",
    "fax",
    "mail",
    "비밀",
    "비번",
    "암호",
    "패스워드",
    "인증",
    "보안",
    "토큰",
    "핀번호",
    "접근",
    "세션",
    "주민",
    "외국인",
    "카드",
    "계좌",
    "여권",
    "전화",
    "휴대",
    "핸드폰",
    "연락처",
    "메일",
    "パスワード",
    "暗証",
    "認証",
    "セキュリティ",
    "トークン",
    "秘密",
    "合言葉",
    "密码",
    "密碼",
    "マイナンバー",
    "個人番号",
    "カード",
    "口座",
    "旅券",
    "パスポート",
    "電話",
    "携帯",
    "メール",
];

impl Names {
    pub(super) fn new<'a>(
        secret: impl IntoIterator<Item = &'a str>,
        personal: impl IntoIterator<Item = (&'a str, Kind)>,
        exempt: impl IntoIterator<Item = &'a str>,
    ) -> Names {
        let mut exact = HashMap::new();
        for (kind, names) in PERSONAL {
            exact.extend(names.iter().map(|n| ((*n).to_owned(), Class::Personal(*kind))));
        }
        exact.extend(SECRET_TEXT.iter().map(|n| ((*n).to_owned(), Class::SecretText)));
        exact.extend(SECRET.iter().map(|n| ((*n).to_owned(), Class::Secret)));
        // The site's word is the last: first what it adds, then what it exempts.
        exact.extend(personal.into_iter().map(|(n, kind)| (joined(n), Class::Personal(kind))));
        exact.extend(secret.into_iter().map(|n| (joined(n), Class::Secret)));
        exact.extend(exempt.into_iter().map(|n| (joined(n), Class::Plain)));
        Names { exact }
    }

    /// What the value of a field called `name` is.
    pub(super) fn classify(&self, name: &str) -> Class {
        let (joined, last_word) = split(name);
        self.classify_joined(&joined, last_word)
    }

    fn classify_joined(&self, joined: &str, last_word: usize) -> Class {
        if joined.is_empty() {
            return Class::Plain;
        }
        if let Some(class) = self.exact.get(joined) {
            return *class;
        }
        for stem in STEMS {
            if let Some(at) = joined.find(stem) {
                let after = joined.get(at + stem.len()..).unwrap_or_default();
                if !ABOUT.contains(&after) {
                    return Class::Secret;
                }
            }
        }
        if PLAIN_ENDS.iter().any(|end| joined.ends_with(end)) {
            return Class::Plain;
        }
        let last = joined.get(last_word..).unwrap_or_default();
        if SECRET_WORDS.contains(&last) || SECRET_ENDS.iter().any(|end| joined.ends_with(end)) {
            return Class::Secret;
        }
        // The last word alone decides for `user[phone]`, `buyer.card_number` by its end.
        match self.exact.get(last) {
            Some(Class::Plain) | None => {}
            Some(class @ (Class::Secret | Class::Personal(_))) if last.len() >= 3 => return *class,
            Some(class @ Class::SecretText)
                if matches!(last, "tokens" | "secrets" | "passwords" | "apikeys") =>
            {
                return *class;
            }
            Some(_) => {}
        }
        for (kind, ends) in PERSONAL_ENDS {
            if ends.iter().any(|end| joined.ends_with(end)) {
                return Class::Personal(*kind);
            }
        }
        // `password2`, `phone1`, `emails`.
        let base = joined.trim_end_matches(|c: char| c.is_ascii_digit());
        if base.len() < joined.len() {
            return self.classify_joined(base, last_word.min(base.len()));
        }
        match joined.strip_suffix('s') {
            Some(single) if single.len() >= 4 => {
                match self.classify_joined(single, last_word.min(single.len())) {
                    Class::Secret => Class::SecretText,
                    class => class,
                }
            }
            _ => Class::Plain,
        }
    }
}

/// The name in lower case without separators.
pub(super) fn joined(name: &str) -> String {
    split(name).0
}

/// The same, with where its last word begins.
fn split(name: &str) -> (String, usize) {
    let skip = name.len().saturating_sub(NAME_CHARS_MAX);
    let skip = (skip..=name.len()).find(|i| name.is_char_boundary(*i)).unwrap_or(0);
    let mut out = String::with_capacity(name.len() - skip);
    let mut last_word = 0;
    let mut before = ' ';
    for c in name.get(skip..).unwrap_or_default().chars() {
        if c.is_alphanumeric() || c == 'ー' {
            let camel = c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
            if camel || !(before.is_alphanumeric() || before == 'ー') {
                // `user[0]` still has the word `user`: a bare number is not a word.
                if !c.is_ascii_digit() {
                    last_word = out.len();
                }
            }
            out.extend(c.to_lowercase());
        }
        before = c;
    }
    (out, last_word)
}

#[cfg(test)]
mod tests {
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
}
