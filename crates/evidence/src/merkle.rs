//! The Merkle tree of RFC 6962 §2.1 (the same in RFC 9162 §2.1): hashes, roots and proofs.

use ring::digest::{Context, SHA256};
use schema::{Digest, sha256};

/// Hashes in a full tile (tlog-tiles: tile height 8).
pub(crate) const TILE_WIDTH: u64 = 256;
/// `log2` of [`TILE_WIDTH`].
pub(crate) const TILE_HEIGHT: u32 = 8;

/// The hash of one entry: the 0x00 keeps leaves and nodes apart.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    hash_parts(&[&[0], entry])
}

/// The hash of two subtrees.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    hash_parts(&[&[1], &left.0, &right.0])
}

/// The root of a tree with no leaves.
pub fn empty_root() -> Digest {
    sha256(b"")
}

/// The root over leaf hashes.
pub fn root_of(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => empty_root(),
        [one] => *one,
        many => {
            let middle = usize::try_from(split_point(many.len() as u64)).unwrap_or(1);
            let (left, right) = many.split_at_checked(middle).unwrap_or((many, &[]));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// The root that `path` leads to from a leaf (RFC 9162 §2.1.3.2); none when the path cannot belong
/// to that place in a tree of that size.
pub fn root_from_inclusion(index: u64, size: u64, leaf: Digest, path: &[Digest]) -> Option<Digest> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut root) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(sibling, &root);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(&root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// Whether `path` proves that the tree of `new_size` begins with that of `old_size` (RFC 9162 §2.1.4.2).
pub fn consistency_holds(
    old_size: u64,
    new_size: u64,
    old_root: Digest,
    new_root: Digest,
    path: &[Digest],
) -> bool {
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return path.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return path.is_empty() && old_root == empty_root();
    }
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // A whole subtree proves itself: its root stands at the head of the path unsaid.
    let mut rest = path.iter();
    let first = if old_size.is_power_of_two() { Some(&old_root) } else { rest.next() };
    let Some(first) = first else { return false };
    let (mut old, mut new) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == old_root && new == new_root
}

/// Where the roots of whole subtrees come from.
pub(crate) trait Nodes {
    type Error;
    /// The root over leaves `index << level .. (index + 1) << level`.
    fn node(&self, level: u32, index: u64) -> Result<Digest, Self::Error>;
}

/// RFC 6962 §2.1.1.
pub(crate) fn inclusion_path<N: Nodes>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, N::Error> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split_point(end - start);
        if index < middle {
            path.push(range_root(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(nodes, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// RFC 6962 §2.1.2.
pub(crate) fn consistency_path<N: Nodes>(
    nodes: &N,
    old: u64,
    new: u64,
) -> Result<Vec<Digest>, N::Error> {
    let mut path = Vec::new();
    if old == 0 || old >= new {
        return Ok(path);
    }
    let (mut start, mut end, mut known) = (0, new, true);
    while old != end {
        let middle = start + split_point(end - start);
        if old <= middle {
            path.push(range_root(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(nodes, start, middle)?);
            start = middle;
            known = false;
        }
    }
    if !known {
        path.push(range_root(nodes, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// The root over leaves `start..end`, where `start` is a multiple of the greatest power of two in
/// the length, as every range in a proof is.
pub(crate) fn range_root<N: Nodes>(nodes: &N, start: u64, end: u64) -> Result<Digest, N::Error> {
    let count = end - start;
    if count == 0 {
        return Ok(empty_root());
    }
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return nodes.node(level, start >> level);
    }
    let middle = start + split_point(count);
    Ok(node_hash(&range_root(nodes, start, middle)?, &range_root(nodes, middle, end)?))
}

/// The greatest power of two below `count`, which is at least 2.
fn split_point(count: u64) -> u64 {
    1 << (63 - (count.max(2) - 1).leading_zeros())
}

fn hash_parts(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Digest(out)
}

/// The right edge of a growing tree: per tile level the hashes of its last, partial tile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    levels: Vec<Vec<Digest>>,
    size: u64,
}

impl Edge {
    /// An edge put together from the partial tiles of a tree of `size` leaves.
    pub fn from_parts(size: u64, levels: Vec<Vec<Digest>>) -> Edge {
        Edge { levels, size }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the partial tile at `level`.
    pub fn level(&self, level: usize) -> &[Digest] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }

    /// Adds a leaf; `on_full` gets every tile it completes: level, index, hashes.
    pub fn push(&mut self, leaf: Digest, mut on_full: impl FnMut(u8, u64, &[Digest])) {
        let mut carry = leaf;
        let mut count = self.size + 1;
        self.size = count;
        for level in 0u8.. {
            let index = usize::from(level);
            if self.levels.len() <= index {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(index) else { return };
            hashes.push(carry);
            if (hashes.len() as u64) < TILE_WIDTH {
                return;
            }
            count /= TILE_WIDTH;
            carry = root_of(hashes);
            on_full(level, count - 1, hashes);
            hashes.clear();
        }
    }

    /// The root of the whole tree.
    pub fn root(&self) -> Digest {
        let mut root: Option<Digest> = None;
        for hashes in &self.levels {
            // Within a partial tile the whole subtrees are the ones in its width, smallest last.
            let mut end = hashes.len();
            while end > 0 {
                let count = 1 << end.trailing_zeros();
                let subtree = root_of(hashes.get(end - count..end).unwrap_or(&[]));
                root = Some(root.map_or(subtree, |right| node_hash(&subtree, &right)));
                end -= count;
            }
        }
        root.unwrap_or_else(empty_root)
    }
}

#[cfg(test)]
mod tests;
