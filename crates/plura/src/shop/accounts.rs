//! Who shops here. Accounts are a formula, so a story can name any of them without a list.

/// One customer. Everything about it is made up; phone numbers are from ranges set aside for fiction
/// or invalid in practice, addresses end in `.example` (RFC 2606).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub number: u32,
    /// Login name, `user0042`.
    pub name: String,
    pub password: String,
    pub full_name: String,
    pub email: String,
    pub phone: String,
}

const ACCOUNTS: u32 = 2_000;
const FULL_NAMES: [&str; 6] =
    ["Kim Minji", "Lee Jisoo", "Tanaka Yui", "Sato Ren", "Alex Morgan", "Park Dohyun"];

pub fn account_count() -> u32 {
    ACCOUNTS
}

pub fn account(number: u32) -> Option<Account> {
    (number < ACCOUNTS).then(|| {
        let index = usize::try_from(number).unwrap_or(0) % FULL_NAMES.len();
        Account {
            number,
            name: format!("user{number:04}"),
            password: format!("spring-{number:04}!"),
            full_name: FULL_NAMES.get(index).copied().unwrap_or("Kim Minji").to_owned(),
            email: format!("user{number:04}@mail.example"),
            phone: format!("010-0{:03}-{:04}", number % 1000, (number * 37 + 1234) % 10_000),
        }
    })
}

pub fn by_name(name: &str) -> Option<Account> {
    let digits = name.strip_prefix("user").filter(|d| d.len() == 4)?;
    account(digits.parse().ok()?)
}

/// The API key of customer `number` of the model API.
pub fn api_key(number: u32) -> String {
    let digest = schema::sha256(format!("demo model api key {number}").as_bytes()).to_hex();
    format!("sk-demo{number:02}{}", digest.chars().take(32).collect::<String>())
}
