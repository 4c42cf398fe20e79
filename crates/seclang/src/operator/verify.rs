//! `@verify…`: a pattern finds candidates, arithmetic decides.

use super::{Captures, Effort, Pattern};

/// Candidates of one value that are looked at. Where there are more, [`Effort::gave_up`] says so.
pub const CANDIDATES_MAX: usize = 1024;

/// Whether a match of `pattern` passes `check`. It is caught.
///
/// libmodsecurity starts anew at every byte; here the next search starts behind the first byte of the last
/// match, which finds the same.
pub fn find(
    pattern: &Pattern,
    value: &[u8],
    check: impl Fn(&[u8]) -> bool,
    captures: Option<&mut Captures>,
    effort: &mut Effort,
) -> bool {
    let Some(regex) = pattern.regex() else {
        effort.gave_up = true;
        return false;
    };
    let mut from = 0;
    for _ in 0..CANDIDATES_MAX {
        let found = regex.find_at(value, from);
        let end = found.map_or(value.len(), |found| found.end());
        effort.bytes += end.saturating_sub(from) as u64;
        let Some(found) = found else {
            return false;
        };
        if check(found.as_bytes()) {
            if let Some(captures) = captures {
                captures.push(found.as_bytes());
            }
            return true;
        }
        from = found.start() + 1;
        if from >= value.len() {
            return false;
        }
    }
    effort.gave_up = true;
    false
}

fn digits(candidate: &[u8]) -> impl Iterator<Item = u32> {
    candidate.iter().filter_map(|byte| char::from(*byte).to_digit(10))
}

/// Luhn's sum.
pub fn is_card(candidate: &[u8]) -> bool {
    let count = digits(candidate).count();
    let sum: u32 = digits(candidate)
        .enumerate()
        .map(|(at, digit)| match (count - at) % 2 {
            1 => digit,
            _ if digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .fold(0, u32::wrapping_add);
    count > 0 && sum.is_multiple_of(10)
}

/// Brazil's taxpayer number: eleven digits, the last two are sums.
pub fn is_cpf(candidate: &[u8]) -> bool {
    let number: Vec<u32> = digits(candidate).take(11).collect();
    let Ok::<[u32; 11], _>(number) = number.try_into() else {
        return false;
    };
    let [first, .., given_first, given_second] = number;
    if number.iter().all(|digit| *digit == first) {
        return false;
    }
    let check = |count: u32| {
        let sum: u32 =
            number.iter().zip((2..=count + 1).rev()).map(|(digit, weight)| digit * weight).sum();
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    given_first == check(9) && given_second == check(10)
}

/// A social security number of the United States: nine digits, no field zero, neither all in order nor all
/// the same.
pub fn is_ssn(candidate: &[u8]) -> bool {
    if digits(candidate).count() != 9 {
        return false;
    }
    let pairs = || digits(candidate).zip(digits(candidate).skip(1));
    if pairs().all(|(a, b)| b == a + 1) || pairs().all(|(a, b)| a == b) {
        return false;
    }
    let field = |from: usize, count: usize| {
        digits(candidate).skip(from).take(count).fold(0, |value, digit| value * 10 + digit)
    };
    let (area, group, serial) = (field(0, 3), field(3, 2), field(5, 4));
    area > 0 && group > 0 && serial > 0 && area < 740 && area != 666
}

/// Austria's social security number: ten digits, the fourth is a sum.
pub fn is_svnr(candidate: &[u8]) -> bool {
    const WEIGHTS: [u32; 10] = [3, 7, 9, 0, 5, 8, 4, 2, 1, 6];
    let number: Vec<u32> = digits(candidate).take(10).collect();
    let (Some(first), Some(given)) = (number.first(), number.get(3)) else {
        return false;
    };
    if number.len() != WEIGHTS.len() || number.iter().all(|digit| digit == first) {
        return false;
    }
    let sum: u32 = number.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    sum % 11 % 10 == *given
}
