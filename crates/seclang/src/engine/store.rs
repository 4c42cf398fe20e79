//! What a transaction has to look at: each value once, with what the transformations make of it.

use super::plan::{Chains, Plan};
use crate::byteset::ByteSet;
use crate::transform::Transformation;
use crate::variable::Collection;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What a transaction keeps for sure: this much, and [`STORE_FACTOR`] times what was sent.
///
/// Beyond that, what transformations made of a value is let go when its rules have looked at it, and made again
/// when another one does: nothing is missed.
pub const STORE_BYTES_MIN: usize = 1024 * 1024;
pub const STORE_FACTOR: usize = 4;

/// What a transaction holds at any time: [`STORE_BYTES_MIN`], and so many times what was sent. It takes some fifty
/// different things that transformations make of one value of all the body. [`crate::Limit::Work`] tells of it.
pub const STORE_FACTOR_MAX: usize = 64;

/// The place of a collection without cells.
const NOWHERE: (usize, usize) = (usize::MAX, 0);

/// A piece of the transaction's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub from: u32,
    pub to: u32,
}

/// One value: where it came from, what it is called, what it holds.
#[derive(Clone, Debug)]
pub struct Cell {
    pub collection: Collection,
    /// Of an XML value: which path of the rule set selected it.
    pub path: u16,
    pub name: Span,
    pub value: Span,
    /// Which places of the plan look here.
    pub class: u16,
    /// What transformations made of it, filled as needed.
    made: Vec<Made>,
}

/// What some chains of transformations make of a value: all of them the same.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub chains: Chains,
    pub text: Span,
    pub bytes: ByteSet,
}

/// All values of a transaction, in one piece of memory.
#[derive(Clone, Debug, Default)]
pub struct Store {
    text: Vec<u8>,
    cells: Vec<Cell>,
    /// By collection: where its first cell is, and its last.
    places: Vec<(usize, usize)>,
    unicode_map: Option<Arc<BTreeMap<u32, u8>>>,
    /// What was made of the texts of the cell that is being made.
    known: Vec<Known>,
    /// Kept between uses.
    scratch: Vec<u8>,
    /// What came from outside so far, in bytes.
    sent: usize,
    /// What transformations read and wrote so far, in bytes.
    worked: u64,
    /// Cells for which something was made since the last [`Mark`].
    journal: Vec<usize>,
    /// Something did not fit.
    is_full: bool,
}

/// Where the store was before something was made that need not stay.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    text: usize,
}

/// What a transformation makes of a text, and what bytes that has. `None`: it changes nothing.
#[derive(Clone, Copy, Debug)]
struct Known {
    transformation: Transformation,
    text: Span,
    changed: Option<(Span, ByteSet)>,
}

impl Store {
    /// With room for about so many bytes. `unicode_map` is that of `SecUnicodeMapFile`.
    pub fn with_room(bytes: usize, unicode_map: Option<Arc<BTreeMap<u32, u8>>>) -> Self {
        Self { text: Vec::with_capacity(bytes), unicode_map, ..Self::default() }
    }

    pub fn add(&mut self, collection: Collection, name: &[u8], value: &[u8], plan: &Plan) -> usize {
        let name_span = self.keep(name);
        let value_span = self.keep(value);
        self.add_spans(collection, 0, name_span, value_span, plan)
    }

    /// A cell over text that is here already.
    pub fn add_spans(
        &mut self,
        collection: Collection,
        path: u16,
        name: Span,
        value: Span,
        plan: &Plan,
    ) -> usize {
        let class = plan.class_of(collection, path, self.text(name));
        let at = self.cells.len();
        self.cells.push(Cell { collection, path, name, value, class, made: Vec::new() });
        let number = collection as usize;
        if self.places.len() <= number {
            self.places.resize(number + 1, NOWHERE);
        }
        if let Some((first, last)) = self.places.get_mut(number) {
            *first = at.min(*first);
            *last = at;
        }
        at
    }

    /// Where the cells of these collections are; others may stand between them.
    pub fn range_of(&self, collections: &[Collection]) -> Range<usize> {
        let places = collections.iter().filter_map(|one| self.places.get(*one as usize));
        let (first, last) =
            places.fold(NOWHERE, |(first, last), (from, to)| (first.min(*from), last.max(*to)));
        if first == usize::MAX { 0..0 } else { first..last + 1 }
    }

    /// The cells of these collections, in order.
    pub fn cells_of<'s>(&'s self, collections: &'s [Collection]) -> impl Iterator<Item = &'s Cell> {
        let cells = self.cells.get(self.range_of(collections)).unwrap_or_default();
        cells.iter().filter(|cell| collections.contains(&cell.collection))
    }

    /// So much more came from outside: there is room for it, and for what is made of it.
    pub fn allow(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes);
    }

    /// What is held now, in bytes.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.text.len()
    }

    /// Whether something did not fit: it is empty where it should be.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Bytes that transformations read and wrote.
    pub fn worked(&self) -> u64 {
        self.worked
    }

    /// Where the store is, to go back to with [`release`](Self::release).
    pub fn mark(&mut self) -> Mark {
        self.journal.clear();
        Mark { text: self.text.len() }
    }

    /// Lets go of what was made since, if the store holds more than it keeps for sure. Spans of that are gone.
    pub fn release(&mut self, mark: Mark) {
        let kept = self.sent.saturating_mul(STORE_FACTOR).saturating_add(STORE_BYTES_MIN);
        if self.text.len() <= kept {
            return;
        }
        for index in std::mem::take(&mut self.journal) {
            if let Some(cell) = self.cells.get_mut(index) {
                cell.made.retain(|made| made.text.to as usize <= mark.text);
            }
        }
        self.text.truncate(mark.text);
    }

    pub fn keep(&mut self, part: &[u8]) -> Span {
        let from = self.text.len();
        let most = self.sent.saturating_mul(STORE_FACTOR_MAX).saturating_add(STORE_BYTES_MIN);
        let to = from.saturating_add(part.len());
        match (u32::try_from(from), u32::try_from(to)) {
            (Ok(from), Ok(to)) if to as usize <= most => {
                self.text.extend_from_slice(part);
                Span { from, to }
            }
            _ => {
                self.is_full = true;
                Span::default()
            }
        }
    }

    pub fn text(&self, span: Span) -> &[u8] {
        self.text.get(span.from as usize..span.to as usize).unwrap_or_default()
    }

    pub fn cell(&self, index: usize) -> Option<&Cell> {
        self.cells.get(index)
    }

    /// What is already known of a value.
    pub fn made(&self, index: usize) -> &[Made] {
        self.cells.get(index).map_or(&[], |cell| cell.made.as_slice())
    }

    /// What chain number `chain` makes of the value, worked out now if it has not been.
    pub fn result(&mut self, index: usize, chain: u8, plan: &Plan) -> Span {
        let wanted = Chains::one(chain);
        match self.made(index).iter().find(|made| made.chains.meets(wanted)) {
            Some(made) => made.text,
            None => {
                self.make(index, wanted, plan);
                self.made(index)
                    .iter()
                    .find(|made| made.chains.meets(wanted))
                    .map_or_else(Span::default, |made| made.text)
            }
        }
    }

    /// Works out what `wanted` chains make of a value.
    ///
    /// The bytes a value has tell which transformations leave it alone, so most values have one or two
    /// results for dozens of chains, and equal results are one.
    pub fn make(&mut self, index: usize, wanted: Chains, plan: &Plan) {
        let Some(cell) = self.cells.get(index) else { return };
        let known = cell.made.iter().fold(Chains::NONE, |all, made| all.union(made.chains));
        let wanted = wanted.without(known);
        if wanted.is_empty() {
            return;
        }
        let value = cell.value;
        let mut made = match self.cells.get_mut(index) {
            Some(cell) => std::mem::take(&mut cell.made),
            None => return,
        };
        let bytes = ByteSet::of(self.text(value));
        let settled = plan.settled(wanted, bytes);
        if !settled.is_empty() {
            self.note(settled, value, bytes, &mut made);
        }
        let rest = wanted.without(settled);
        if !rest.is_empty() {
            self.known.clear();
            self.walk(plan, 0, value, bytes, rest, &mut made);
        }
        if let Some(cell) = self.cells.get_mut(index) {
            cell.made = made;
        }
        self.journal.push(index);
    }

    fn walk(
        &mut self,
        plan: &Plan,
        node: u16,
        text: Span,
        bytes: ByteSet,
        wanted: Chains,
        made: &mut Vec<Made>,
    ) {
        let Some(here) = plan.node(node) else { return };
        let ending = here.ending.and(wanted);
        if !ending.is_empty() {
            self.note(ending, text, bytes, made);
        }
        for (transformation, child) in &here.children {
            let below = plan.node(*child).map_or(Chains::NONE, |next| next.below);
            if !below.meets(wanted) {
                continue;
            }
            let (text, bytes) = if Plan::is_settled(*transformation, bytes) {
                (text, bytes)
            } else {
                self.transformed_once(*transformation, text).unwrap_or((text, bytes))
            };
            self.walk(plan, *child, text, bytes, wanted, made);
        }
    }

    /// As [`transformed`](Self::transformed), and what bytes that has. Chains that begin otherwise often come to
    /// the same text: what was made of it for one is there for all.
    fn transformed_once(
        &mut self,
        transformation: Transformation,
        text: Span,
    ) -> Option<(Span, ByteSet)> {
        let mut known = self.known.iter();
        if let Some(known) =
            known.find(|known| known.transformation == transformation && known.text == text)
        {
            return known.changed;
        }
        let changed = self.transformed(transformation, text);
        let changed = changed.map(|span| (span, ByteSet::of(self.text(span))));
        self.known.push(Known { transformation, text, changed });
        changed
    }

    fn note(&self, chains: Chains, text: Span, bytes: ByteSet, made: &mut Vec<Made>) {
        for known in made.iter_mut() {
            let same = known.text == text
                || (known.bytes == bytes && self.text(known.text) == self.text(text));
            if same {
                known.chains = known.chains.union(chains);
                return;
            }
        }
        made.push(Made { chains, text, bytes });
    }

    /// `None`: the transformation changes nothing.
    pub fn transformed(&mut self, transformation: Transformation, text: Span) -> Option<Span> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let page = |point| self.unicode_map.as_ref()?.get(&u32::from(point)).copied();
        let changed = transformation.apply_mapped(self.text(text), &mut scratch, &page);
        let read = u64::from(text.to.saturating_sub(text.from));
        self.worked += read + if changed { scratch.len() as u64 } else { 0 };
        let span = changed.then(|| self.keep(&scratch));
        self.scratch = scratch;
        span
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }
}
