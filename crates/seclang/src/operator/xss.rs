//! Whether a browser might run a value as a script, judged as libinjection 3.9.2 judges it.
//!
//! A value is read as HTML from five places: from text, from between attributes, and from within a
//! value in single quotes, double quotes and backticks. Time is linear in the value and nothing is
//! allocated.

mod html;
mod names;

use html::{Html, Piece, State};
use memchr::{memchr, memchr2};
use names::Attribute;

pub fn is_xss(value: &[u8]) -> bool {
    // Without an end of the quote, all of the value is in it; without a tag or an attribute's value
    // there is nothing to run.
    memchr2(b'<', b'=', value).is_some()
        && (memchr(b'<', value).is_some() && runs(value, State::Text)
            || runs(value, State::BeforeName)
            || [b'\'', b'"', b'`']
                .into_iter()
                .any(|quote| memchr(quote, value).is_some() && runs(value, State::InQuotes(quote))))
}

fn runs(value: &[u8], start: State) -> bool {
    let mut attribute = Attribute::Harmless;
    let mut html = Html::new(value, start);
    while let Some(piece) = html.next() {
        let before = std::mem::take(&mut attribute);
        let found = match piece {
            Piece::Doctype => true,
            Piece::TagName(name) => names::is_dangerous_tag(name),
            Piece::AttributeName(name) => {
                attribute = names::attribute(name);
                false
            }
            Piece::AttributeValue(value) => match before {
                Attribute::Harmless => false,
                Attribute::Dangerous => true,
                Attribute::Url => names::is_dangerous_url(value),
                Attribute::Name => names::attribute(value) != Attribute::Harmless,
            },
            Piece::Comment(text) => names::is_dangerous_comment(text),
            Piece::Other => false,
        };
        if found {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
