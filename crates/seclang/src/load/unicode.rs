//! `SecUnicodeMapFile`: which byte stands for a letter that a code page does not have.

use crate::parse::Problem;
use std::collections::BTreeMap;

/// The letters of `code_page`: a line that starts with its number, then `hex:hex` between spaces.
pub(super) fn parse(
    subject: &str,
    bytes: &[u8],
    code_page: u32,
) -> Result<BTreeMap<u32, u8>, Problem> {
    let text = String::from_utf8_lossy(bytes);
    let mut found = None::<BTreeMap<u32, u8>>;
    let mut inside = false;
    for line in
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let pairs = line.split_ascii_whitespace().next().is_some_and(|word| word.contains(':'));
        if !pairs {
            let number = line.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
            inside = number == Some(code_page);
            if inside {
                found.get_or_insert_default();
            }
        } else if inside && let Some(map) = found.as_mut() {
            for pair in line.split_ascii_whitespace() {
                let numbers = pair.split_once(':').and_then(|(letter, byte)| {
                    Some((
                        u32::from_str_radix(letter, 16).ok()?,
                        u8::from_str_radix(byte, 16).ok()?,
                    ))
                });
                let Some((letter, byte)) = numbers.filter(|(letter, _)| *letter <= 0xffff) else {
                    return Err(Problem::new(
                        subject,
                        format!("`{pair}` is no pair of hex numbers"),
                    )
                    .hint("write pairs such as `00a0:20`"));
                };
                map.insert(letter, byte);
            }
        }
    }
    found.ok_or_else(|| {
        Problem::new(subject, format!("the file has no code page {code_page}"))
            .hint("name one that stands in the file")
    })
}
