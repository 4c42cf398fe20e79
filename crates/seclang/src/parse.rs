//! What stands in a rule: variables, operators, actions.

pub(crate) mod actions;
pub(crate) mod controls;
pub(crate) mod operators;
pub(crate) mod targets;
mod xpath;

/// What is wrong with a part of a directive. The loader adds the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// As written.
    pub subject: String,
    pub problem: String,
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(subject: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { subject: subject.into(), problem: problem.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn hint_maybe(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

/// The known name that is nearest to `written`, as a hint. `None` when none is near.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<String> {
    /// No name is longer; what is longer is no misspelt name.
    const NAME_BYTES_MAX: usize = 64;
    if written.is_empty() || written.len() > NAME_BYTES_MAX {
        return None;
    }
    let wanted = written.to_ascii_lowercase();
    let near = wanted.len() / 4 + 1;
    known
        .map(|name| (distance(wanted.as_bytes(), name.to_ascii_lowercase().as_bytes()), name))
        .filter(|(distance, _)| *distance <= near)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Letters to add, leave out or replace, to come from one to the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, left) in a.iter().enumerate() {
        let mut diagonal = index;
        let mut last = index + 1;
        if let Some(first) = row.first_mut() {
            *first = last;
        }
        for (cell, right) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(left != right);
            diagonal = *cell;
            last = replaced.min(diagonal + 1).min(last + 1);
            *cell = last;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Without the quotes around it, if it has any.
pub(crate) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['\'', '"']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

/// Decimal digits and nothing else.
pub(crate) fn number<N: std::str::FromStr>(subject: &str, written: &str) -> Result<N, Problem> {
    let written = unquoted(written);
    let digits = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| written.parse().ok()).flatten().ok_or_else(|| {
        Problem::new(subject, format!("`{written}` is no number that fits"))
            .hint("write it in decimal digits")
    })
}

/// `On` or `Off`.
pub(crate) fn switch(subject: &str, written: &str) -> Result<bool, Problem> {
    let written = unquoted(written);
    if written.eq_ignore_ascii_case("on") {
        Ok(true)
    } else if written.eq_ignore_ascii_case("off") {
        Ok(false)
    } else {
        Err(Problem::new(subject, format!("`{written}` is neither `On` nor `Off`"))
            .hint("write `On` or `Off`"))
    }
}

#[cfg(test)]
mod tests;
