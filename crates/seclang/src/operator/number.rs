//! Numbers as C reads them.

/// The whole number `text` begins with, as `atoll`: spaces, a sign, digits; without digits 0. What is too
/// large is the largest there is.
///
/// `@eq` of libmodsecurity takes 0 for what does not fit 32 bits; here it compares as the others do.
pub fn parse(text: &[u8]) -> i64 {
    let mut rest = text;
    while let [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, tail @ ..] = rest {
        rest = tail;
    }
    let (negative, digits) = match rest {
        [b'-', tail @ ..] => (true, tail),
        [b'+', tail @ ..] => (false, tail),
        digits => (false, digits),
    };
    digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0i64, |value, digit| {
        let digit = i64::from(digit.wrapping_sub(b'0'));
        let value = value.saturating_mul(10);
        if negative { value.saturating_sub(digit) } else { value.saturating_add(digit) }
    })
}
