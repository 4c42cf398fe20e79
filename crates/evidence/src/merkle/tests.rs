use super::*;

/// The leaves and roots of the reference tests of Certificate Transparency (RFC 6962).
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

struct Leaves(Vec<Digest>);

impl Nodes for Leaves {
    type Error = std::convert::Infallible;
    fn node(&self, level: u32, index: u64) -> Result<Digest, Self::Error> {
        let start = usize::try_from(index << level).unwrap();
        Ok(root_of(&self.0[start..start + (1 << level)]))
    }
}

fn leaves(count: u32) -> Leaves {
    Leaves((0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect())
}

#[test]
fn roots_are_those_of_the_reference_tests() {
    let hashes: Vec<Digest> = LEAVES
        .iter()
        .map(|hex| leaf_hash(&data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()))
        .collect();
    assert_eq!(
        empty_root().to_hex(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let mut edge = Edge::default();
    assert_eq!(edge.root(), empty_root());
    for (n, expected) in ROOTS.iter().enumerate() {
        assert_eq!(root_of(&hashes[..=n]).to_hex(), *expected);
        edge.push(hashes[n], |_, _, _| panic!("no tile is full yet"));
        assert_eq!(edge.root().to_hex(), *expected);
    }
    // RFC 6962 reference: audit path of leaf 5 (counted from 0) in a tree of 8.
    let path = inclusion_path(&Leaves(hashes.clone()), 5, 8).unwrap();
    assert_eq!(
        path.iter().map(Digest::to_hex).collect::<Vec<_>>(),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    // And the consistency of 6 with 8.
    let path = consistency_path(&Leaves(hashes), 6, 8).unwrap();
    assert_eq!(
        path.iter().map(Digest::to_hex).collect::<Vec<_>>(),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn every_inclusion_proof_holds_and_a_wrong_one_does_not() {
    for size in 1..=40u64 {
        let all = leaves(u32::try_from(size).unwrap());
        let root = root_of(&all.0);
        for index in 0..size {
            let leaf = all.0[usize::try_from(index).unwrap()];
            let path = inclusion_path(&all, index, size).unwrap();
            assert_eq!(root_from_inclusion(index, size, leaf, &path), Some(root));
            assert_ne!(root_from_inclusion(index, size, leaf_hash(b"other"), &path), Some(root));
            assert_ne!(
                root_from_inclusion((index + 1) % size.max(2), size, leaf, &path),
                Some(root)
            );
            let mut longer = path.clone();
            longer.push(root);
            assert_eq!(root_from_inclusion(index, size, leaf, &longer), None);
            if let Some((_, shorter)) = path.split_last() {
                assert_eq!(root_from_inclusion(index, size, leaf, shorter), None);
            }
        }
    }
}

#[test]
fn every_consistency_proof_holds_and_a_wrong_one_does_not() {
    let all = leaves(40);
    let other = Leaves((0..40u32).map(|i| leaf_hash(&(i ^ 1).to_be_bytes())).collect());
    let root = |n: u64| root_of(&all.0[..usize::try_from(n).unwrap()]);
    for new in 1..=40u64 {
        for old in 0..=new {
            let path = consistency_path(&all, old, new).unwrap();
            assert!(consistency_holds(old, new, root(old), root(new), &path), "{old} to {new}");
            if old > 0 && old < new {
                let forged = root_of(&other.0[..usize::try_from(old).unwrap()]);
                assert!(!consistency_holds(old, new, forged, root(new), &path));
                assert!(!consistency_holds(old, new, root(old), leaf_hash(b"x"), &path));
            }
        }
    }
    assert!(!consistency_holds(5, 4, root(5), root(4), &[]));
}

#[test]
fn the_edge_agrees_with_the_whole_tree_across_tiles() {
    let all = leaves(70_000);
    let mut edge = Edge::default();
    let mut full = Vec::new();
    for (i, hash) in all.0.iter().enumerate() {
        edge.push(*hash, |level, index, hashes| full.push((level, index, root_of(hashes))));
        if [1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000].contains(&(i + 1)) {
            assert_eq!(edge.root(), root_of(&all.0[..=i]), "at {}", i + 1);
        }
    }
    // tlog-tiles §Partial Tiles: 273 full level 0 tiles, one full level 1 tile; 112, 17 and 1 left.
    assert_eq!(full.iter().filter(|(level, ..)| *level == 0).count(), 273);
    assert_eq!(full.iter().filter(|(level, ..)| *level == 1).count(), 1);
    assert_eq!([edge.level(0).len(), edge.level(1).len(), edge.level(2).len()], [112, 17, 1]);
}
