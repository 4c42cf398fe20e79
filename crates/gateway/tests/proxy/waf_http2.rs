//! Rules and HTTP/2: what clients may write that HTTP/1 could not.

use crate::common::{Naive, start, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/waf/own.conf");

/// What a client of HTTP/2 may put into `:path` that no URI has. What the library lets pass is what the rules
/// and the upstream see.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn odd_targets_in_http2_are_refused_or_seen() {
    let (upstream, naive) = Naive::start().await;
    let top = format!(
        "rule_sets: {{own: {{files: ['{OWN}']}}}}\nlisteners: [{{address: '127.0.0.1:0', h2c: true}}]"
    );
    let gateway = start(upstream, "    waf: [{rules: own, stage: enforce}]", &top);
    let paths: [(&[u8], Answered); 9] = [
        (b"/?q=<1%20or%201=1>", Answered::Reset),
        (b"/a<b>", Answered::Reset),
        (b"/?q=\"a\"", Answered::Reset),
        (b"/a b", Answered::Reset),
        (b"/\x7f", Answered::Reset),
        (b"/?q=\xff\xfe", Answered::Gone),
        // What is allowed is looked at.
        (b"/?q={1%20or%201=1}", Answered::Blocked),
        ("/?q=한글".as_bytes(), Answered::Passed),
        // A fragment ends here, for both.
        (b"/?q=shoes#1%20or%201=1", Answered::Passed),
    ];
    for (path, expected) in paths {
        let mut socket = TcpStream::connect(gateway.addr).await.unwrap();
        socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        socket.write_all(&get_frame(1, path)).await.unwrap();
        let answered = within(answer_on(&mut socket, 1)).await;
        assert_eq!(answered, expected, "{}", path.escape_ascii());
    }
    let seen = naive.text();
    assert_eq!(naive.requests(), 2, "{seen}");
    assert!(seen.contains("GET /?q=한글 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("GET /?q=shoes HTTP/1.1\r\n"), "{seen}");
}

#[derive(Debug, PartialEq)]
enum Answered {
    /// The stream alone ended.
    Reset,
    /// The connection ended.
    Gone,
    Passed,
    Blocked,
}

/// A GET in one HEADERS frame (RFC 9113 §6.2), its fields as RFC 7541 writes them without Huffman's code.
fn get_frame(stream: u32, path: &[u8]) -> Vec<u8> {
    let mut fields = vec![0x82, 0x86, 0x01, 12];
    fields.extend_from_slice(b"shop.example");
    fields.extend_from_slice(&[0x04, u8::try_from(path.len()).unwrap()]);
    fields.extend_from_slice(path);
    let length = u32::try_from(fields.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], 0x01, 0x05];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(&fields);
    frame
}

/// What comes back on a stream: RST_STREAM, GOAWAY, or HEADERS whose first field is `:status`.
async fn answer_on(socket: &mut TcpStream, stream: u32) -> Answered {
    loop {
        let mut head = [0u8; 9];
        socket.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0u8; length];
        socket.read_exact(&mut payload).await.unwrap();
        let on = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match head[3] {
            0x03 if on == stream => return Answered::Reset,
            0x01 if on == stream => {
                // `:status: 200` stands in the static table; of the others here there is one.
                return if payload[0] == 0x88 { Answered::Passed } else { Answered::Blocked };
            }
            0x07 => return Answered::Gone,
            _ => {}
        }
    }
}
