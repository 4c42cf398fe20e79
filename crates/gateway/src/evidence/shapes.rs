//! What personal data looks like: pure checks on digits, with the source of each rule.

/// A Korean resident (or foreigner) registration number by its 13 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rrn {
    /// Date and century digit fit, and so does the check digit.
    Checked,
    /// Date and century digit fit. Numbers given since October 2020 have six random digits and no
    /// check digit (Resident Registration Act, enforcement rule of 2020-05), so this may be one.
    Plausible,
}

/// Judges `YYMMDDGNNNNNC`. `G` 1 to 4 are citizens, 5 to 8 foreigners (both by century and sex);
/// 9 and 0 (born in the 1800s) are out of use.
pub(super) fn rrn(d: &[u8; 13]) -> Option<Rrn> {
    let [y1, y2, m1, m2, d1, d2, century, rest @ ..] = d;
    let (month, day) = (m1 * 10 + m2, d1 * 10 + d2);
    let leap = (u32::from(*y1) * 10 + u32::from(*y2)) % 4 == 0;
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=days).contains(&day) || !(1..=8).contains(century) {
        return None;
    }
    let weights = [2u32, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    let sum: u32 = d.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    let base = if *century >= 5 { 13 } else { 11 };
    let check = (base - sum % 11) % 10;
    let last = rest.last().copied().unwrap_or_default();
    Some(if u32::from(last) == check { Rrn::Checked } else { Rrn::Plausible })
}

/// A Japanese Individual Number by its 12 digits: check digit of the ministerial ordinance
/// no. 85 of 2014, article 5.
pub(super) fn my_number(d: &[u8; 12]) -> bool {
    let weights = [6u32, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2];
    let sum: u32 = d.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    let check = if sum % 11 <= 1 { 0 } else { 11 - sum % 11 };
    u32::from(d.last().copied().unwrap_or_default()) == check
}

/// A payment card by its digits: Luhn (ISO/IEC 7812-1 annex B), and a length its issuer range uses.
pub(super) fn card(digits: &[u8]) -> bool {
    let head = |n: usize| digits.iter().take(n).fold(0u32, |sum, d| sum * 10 + u32::from(*d));
    let len = digits.len();
    let known = match (head(1), head(2), head(3), head(4)) {
        // Visa
        (4, ..) => matches!(len, 13 | 16 | 19),
        // Mastercard
        (_, 51..=55, ..) | (_, _, _, 2221..=2720) => len == 16,
        // American Express
        (_, 34 | 37, ..) => len == 15,
        // Diners Club
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305, _) => (14..=19).contains(&len),
        // JCB
        (_, _, _, 3528..=3589) => (16..=19).contains(&len),
        // Discover, UnionPay
        (_, 65 | 62, ..) | (_, _, 644..=649, _) | (_, _, _, 6011) => (16..=19).contains(&len),
        // Korean domestic (BC and others)
        (9, ..) => len == 16,
        // Maestro
        (_, 50 | 56..=58 | 63 | 67 | 68, ..) => matches!(len, 16 | 18 | 19),
        _ => false,
    };
    known && luhn(digits) && digits.iter().any(|d| Some(d) != digits.first())
}

fn luhn(digits: &[u8]) -> bool {
    let mut sum = 0u32;
    for (i, digit) in digits.iter().rev().enumerate() {
        let doubled = u32::from(*digit) * if i % 2 == 1 { 2 } else { 1 };
        sum += if doubled > 9 { doubled - 9 } else { doubled };
    }
    sum.is_multiple_of(10)
}

/// A national telephone number in two or three groups, or one, by their digits.
///
/// Korea: mobile 010, 011, 016 to 019; Seoul 02; areas 031 to 064; 050x, 070, 080. Japan: 0A-B-CDEF
/// with ten digits, mobile 070/080/090 with eleven. North America: 3-3-4 with NANP's `[2-9]XX-[2-9]XX`.
pub(super) fn phone(groups: &[&[u8]]) -> bool {
    match groups {
        [all] => match all {
            [0, 1, 0, ..] | [0, 7..=9, 0, ..] => all.len() == 11,
            [0, 1, 1 | 6..=9, ..] => matches!(all.len(), 10 | 11),
            _ => false,
        },
        [area, middle, last] => {
            let total = area.len() + middle.len() + last.len();
            match area {
                [0, rest @ ..] => {
                    last.len() == 4
                        && (1..=4).contains(&rest.len())
                        && (1..=4).contains(&middle.len())
                        && rest.first() != Some(&0)
                        && (9..=11).contains(&total)
                        // 9 digits is Seoul's oldest form only.
                        && (total > 9 || rest.len() == 1)
                }
                [2..=9, _, _] => matches!(middle, [2..=9, _, _]) && last.len() == 4,
                _ => false,
            }
        }
        _ => false,
    }
}

/// A passport number: one or two letters, then seven or eight digits, the fourth of which may be a
/// letter (Korea since 2021: `M123A4567`).
pub(super) fn passport(text: &str) -> bool {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (1..=2).contains(&letters)
        && (8..=10).contains(&text.len())
        && digits >= 6
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether `text` can be the value of a field named for such a thing: digits enough, and nothing but
/// digits, separators and a few letters.
pub(super) fn numberish(text: &str, digits_min: usize) -> bool {
    let digits = text.chars().filter(|c| c.is_numeric()).count();
    digits >= digits_min && text.chars().count() <= digits * 2 + 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect()
    }

    #[test]
    fn a_registration_number_needs_a_date_and_a_century() {
        let judge = |text: &str| rrn(&digits(text).try_into().unwrap());
        assert_eq!(judge("900101-1234568"), Some(Rrn::Checked));
        assert_eq!(judge("900101-1234567"), Some(Rrn::Plausible));
        assert_eq!(judge("210229-3000000"), None, "no leap year");
        assert_eq!(judge("900101-9234568"), None);
        assert_eq!(judge("901301-1234568"), None);
    }

    #[test]
    fn an_individual_number_needs_its_check_digit() {
        let judge = |text: &str| my_number(&digits(text).try_into().unwrap());
        assert!(judge("1234 5678 9018"));
        assert!(!judge("1234 5678 9012"));
    }

    #[test]
    fn a_card_needs_luhn_and_an_issuer() {
        let judge = |text: &str| card(&digits(text));
        for real in ["4111111111111111", "5555555555554444", "378282246310005", "3530111333300000"]
        {
            assert!(judge(real), "{real}");
        }
        assert!(!judge("4111111111111112"), "Luhn");
        assert!(!judge("1234567812345670"), "no such issuer");
        assert!(!judge("0000000000000000"));
    }

    #[test]
    fn phones_of_three_countries() {
        let judge = |text: &str| {
            let groups: Vec<Vec<u8>> = text.split('-').map(digits).collect();
            phone(&groups.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        for real in [
            "010-1234-5678",
            "01012345678",
            "02-123-4567",
            "031-123-4567",
            "070-1234-5678",
            "03-1234-5678",
            "090-1234-5678",
            "0475-12-3456",
            "415-555-0100",
            "011-123-4567",
        ] {
            assert!(judge(real), "{real}");
        }
        for other in ["01-02-2024", "2024-01-0203", "110-123-4567", "00-1234-5678", "12345678901"] {
            assert!(!judge(other), "{other}");
        }
    }

    #[test]
    fn passports() {
        assert!(passport("M12345678") && passport("M123A4567") && passport("TK1234567"));
        assert!(!passport("ORDER1234") && !passport("M1234"));
    }
}
