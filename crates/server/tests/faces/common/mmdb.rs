//! Writes small databases in MaxMind's format (MaxMind DB File Format Specification v2.0), IPv4 only.

/// A /24 and what is known of it.
pub struct Network {
    pub network: [u8; 3],
    pub country: &'static str,
    /// Latitude, longitude, radius in kilometres.
    pub position: Option<(f64, f64, u16)>,
}

/// What a half of a node holds.
#[derive(Clone, Copy)]
enum Slot {
    Nothing,
    Node(usize),
    Data(usize),
}

pub fn write(kind: &str, networks: &[Network]) -> Vec<u8> {
    let mut nodes = vec![[Slot::Nothing; 2]];
    let mut data = Vec::new();
    for known in networks {
        let offset = data.len();
        let mut record = vec![("country", map(&[("iso_code", text(known.country))]))];
        if let Some((latitude, longitude, radius_km)) = known.position {
            let location = [
                ("latitude", double(latitude)),
                ("longitude", double(longitude)),
                ("accuracy_radius", whole(5, &radius_km.to_be_bytes())),
            ];
            record.push(("location", map(&location)));
        }
        data.extend(map(&record));
        let [a, b, c] = known.network;
        let bits = u32::from_be_bytes([0, a, b, c]);
        let mut node = 0;
        for depth in (0..24).rev() {
            let side = (bits >> depth & 1) as usize;
            if depth == 0 {
                nodes[node][side] = Slot::Data(offset);
            } else if let Slot::Node(next) = nodes[node][side] {
                node = next;
            } else {
                nodes.push([Slot::Nothing; 2]);
                let next = nodes.len() - 1;
                nodes[node][side] = Slot::Node(next);
                node = next;
            }
        }
    }
    let mut out = Vec::new();
    for slot in nodes.iter().flatten() {
        let value = match slot {
            Slot::Nothing => nodes.len(),
            Slot::Node(node) => *node,
            Slot::Data(offset) => nodes.len() + 16 + offset,
        };
        // Records of 24 bits.
        out.extend_from_slice(&u32::try_from(value).unwrap().to_be_bytes()[1..]);
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let count = u32::try_from(nodes.len()).unwrap();
    out.extend(map(&[
        ("binary_format_major_version", whole(5, &2u16.to_be_bytes())),
        ("binary_format_minor_version", whole(5, &0u16.to_be_bytes())),
        // An extended type: the byte after the first tells which, less 7.
        ("build_epoch", [&[8, 2][..], &1_795_000_000u64.to_be_bytes()].concat()),
        ("database_type", text(kind)),
        ("description", map(&[])),
        ("ip_version", whole(5, &4u16.to_be_bytes())),
        ("languages", vec![0, 4]),
        ("node_count", whole(6, &count.to_be_bytes())),
        ("record_size", whole(5, &24u16.to_be_bytes())),
    ]));
    out
}

/// Type and size in one byte: sizes from 29 on would need more.
fn control(kind: u8, size: usize) -> u8 {
    assert!(size < 29);
    kind << 5 | u8::try_from(size).unwrap()
}

fn text(value: &str) -> Vec<u8> {
    [&[control(2, value.len())], value.as_bytes()].concat()
}

fn double(value: f64) -> Vec<u8> {
    [&[control(3, 8)][..], &value.to_be_bytes()].concat()
}

/// 5: 16 bits, 6: 32 bits.
fn whole(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[control(kind, bytes.len())], bytes].concat()
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![control(7, entries.len())];
    for (name, value) in entries {
        out.extend(text(name));
        out.extend_from_slice(value);
    }
    out
}
