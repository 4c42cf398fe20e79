//! Paths without detours.

/// `//`, `/./` and `/x/../` are taken out. With `windows`, `\` is a separator too and becomes `/`.
///
/// A step as libmodsecurity takes it, odd ends included: `ab..` is a way back from `ab`. Every `\` becomes
/// `/`, also the last of a run, which libmodsecurity leaves as it was.
pub fn normalize(input: &[u8], out: &mut Vec<u8>, windows: bool) -> bool {
    let Some(end) = input.len().checked_sub(1) else {
        return false;
    };
    let has_separator = memchr::memchr(b'/', input).is_some()
        || (windows && memchr::memchr(b'\\', input).is_some());
    if !has_separator && input.last() != Some(&b'.') {
        return false;
    }
    let read = |at: usize| match input.get(at) {
        Some(b'\\') if windows => b'/',
        Some(byte) => *byte,
        None => 0,
    };
    let relative = read(0) != b'/';
    let trailing = read(end) == b'/';
    let mut root_hit = false;
    let mut done = false;
    let mut from = 0;
    while !done && from <= end {
        done = from == end;
        let mut step = read(from);
        if done || read(from + 1) == b'/' {
            // The end of a segment.
            match step {
                b'/' if !done => {}
                b'.' if out.last() == Some(&b'.') => {
                    if relative && (root_hit || out.len() <= 2) {
                        root_hit = true;
                    } else {
                        root_hit |= drop_segment(out);
                        if out.is_empty() && !relative && done {
                            out.push(b'/');
                        }
                        if done {
                            break;
                        }
                        from += 1;
                        step = read(from);
                    }
                }
                b'.' if out.last().is_none_or(|last| *last == b'/') => {
                    if done {
                        break;
                    }
                    out.pop();
                    from += 1;
                    step = read(from);
                }
                b'.' => {}
                _ => root_hit &= out.is_empty(),
            }
        }
        if step == b'/' {
            while from < end && read(from + 1) == b'/' {
                from += 1;
            }
            if relative && out.is_empty() {
                from += 1;
                continue;
            }
        }
        out.push(step);
        from += 1;
    }
    if !trailing && out.last() == Some(&b'/') {
        out.pop();
    }
    true
}

/// Takes the first dot of `..` and the segment before it. Whether that was the first segment.
fn drop_segment(out: &mut Vec<u8>) -> bool {
    // The slash before the dots, or what stands there, is where the search for the slash before it starts.
    let before = out.len().saturating_sub(3);
    let at = out.get(..=before).and_then(|head| memchr::memrchr(b'/', head)).unwrap_or(0);
    out.truncate(at);
    at == 0
}
