//! The values that a path selects.

use super::{Attribute, Element, XML_VALUES_MAX, Xml, piece};
use crate::bag::Bag;
use crate::body::xpath::XPATH_STEPS_MAX;
use crate::variable::{XmlPart, XmlPath, XmlStep};

/// What one path selects at most, so many times what the document holds: elements inside each other repeat their text.
pub const XML_SELECTED_FACTOR: usize = 4;

/// And this much of any document.
pub const XML_SELECTED_BYTES_MIN: usize = 64 * 1024;

/// How far into the path an element is: bit n says that the first n steps end at it.
type Reached = u64;

const _: () = assert!(XPATH_STEPS_MAX < Reached::BITS as usize);

impl Xml {
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Adds what `path` selects to `out`, in document order, named as the element or attribute.
    ///
    /// An element's value is all text inside it. `false` if there was more than [`XML_VALUES_MAX`] or
    /// [`XML_SELECTED_FACTOR`] allows.
    pub fn select(&self, path: &XmlPath, out: &mut Bag) -> bool {
        let (start, first) = (out.bytes(), out.len());
        let holds = self.text.len() + self.names.len();
        let most = holds.saturating_mul(XML_SELECTED_FACTOR).max(XML_SELECTED_BYTES_MIN);
        let mut add = |name: &str, value: &str| {
            let fits = out.bytes() - start + name.len() + value.len() <= most
                && out.len() - first < XML_VALUES_MAX;
            if fits {
                out.push(name.as_bytes(), value.as_bytes());
            }
            fits
        };
        let Some((last, before)) = path.steps.split_last() else {
            return self.is_empty() || add("", &self.text);
        };
        let steps = path.steps.get(..XPATH_STEPS_MAX).unwrap_or(&path.steps);
        let all: Reached = 1 << steps.len();
        // The element step before an attribute or a text.
        let owner: Reached = 1 << before.len();
        let is_owner = |(here, above): (Reached, Reached)| {
            here & owner != 0 || last.anywhere && above & owner != 0
        };

        // From the document to the current element: reached there, and reached there or above.
        let mut line: Vec<(Reached, Reached)> = vec![(1, 1)];
        let mut owners = Vec::new();
        for element in &self.elements {
            line.truncate(element.depth as usize);
            let parent = line.last().copied().unwrap_or_default();
            let here = self.reached(element, parent, steps);
            let above = parent.1 | here;
            line.push((here, above));
            let complete = match &last.part {
                XmlPart::Element(_) if here & all != 0 => {
                    add(piece(&self.names, element.name), piece(&self.text, element.text))
                }
                XmlPart::Attribute(name) if is_owner((here, above)) => {
                    self.attributes_of(element).iter().all(|attribute| {
                        let local = piece(&self.names, attribute.name);
                        !matches_name(name.as_deref(), local)
                            || add(local, piece(&self.names, attribute.value))
                    })
                }
                XmlPart::Text => {
                    owners.push(is_owner((here, above)));
                    true
                }
                _ => true,
            };
            if !complete {
                return false;
            }
        }
        if last.part != XmlPart::Text {
            return true;
        }
        self.runs.iter().all(|run| {
            let index = run.element as usize;
            let name =
                self.elements.get(index).map_or("", |element| piece(&self.names, element.name));
            !owners.get(index).copied().unwrap_or_default()
                || add(name, piece(&self.text, run.text))
        })
    }

    fn reached(&self, element: &Element, parent: (Reached, Reached), steps: &[XmlStep]) -> Reached {
        let mut here = 0;
        for (at, step) in steps.iter().enumerate() {
            let from = if step.anywhere { parent.1 } else { parent.0 };
            if let XmlPart::Element(name) = &step.part
                && from & (1 << at) != 0
                && matches_name(name.as_deref(), piece(&self.names, element.name))
            {
                here |= 1 << (at + 1);
            }
        }
        here
    }

    fn attributes_of(&self, element: &Element) -> &[Attribute] {
        let (from, to) = element.attributes;
        self.attributes.get(from as usize..to as usize).unwrap_or_default()
    }
}

fn matches_name(wanted: Option<&str>, name: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == name)
}
