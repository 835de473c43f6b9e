//! Line ends: LF, CRLF (one) and a bare CR.

use memchr::{memchr, memchr_iter, memchr2};

use super::{CR, LF};

/// How many line ends `bytes` holds. A CR at the very end counts unless `next`, the byte behind, is its LF.
pub(super) fn count(bytes: &[u8], next: Option<u8>) -> u64 {
    let feeds = memchr_iter(LF, bytes).count();
    let Some(first) = memchr(CR, bytes) else { return feeds as u64 };
    let rest = &bytes[first..];
    let followed_by = |i: usize| rest.get(i + 1).copied().or(next);
    let bare = memchr_iter(CR, rest).filter(|&i| followed_by(i) != Some(LF)).count();
    (feeds + bare) as u64
}

/// The index of the first line end's first byte.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    memchr2(CR, LF, bytes)
}

/// The index of the first byte of the line that `before` others precede; `bytes.len()` for one that would begin where
/// they end, `None` for any behind that.
pub fn line_start(bytes: &[u8], before: u64) -> Option<usize> {
    let mut start = 0;
    for _ in 0..before {
        let end = start + find(bytes.get(start..)?)?;
        start = end + if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
    }
    Some(start)
}

/// Where the line end that begins at `at` ends; `None` where that hangs on a byte that is still to come.
pub(super) fn end_of(bytes: &[u8], at: usize, whole: bool) -> Option<usize> {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(&CR), Some(&LF)) => Some(at + 2),
        (Some(&CR), None) if !whole => None,
        _ => Some(at + 1),
    }
}

/// The length of the line end that `bytes` ends with: 0, 1 or 2.
pub fn line_end_bytes(bytes: &[u8]) -> usize {
    match bytes {
        [.., CR, LF] => 2,
        [.., CR | LF] => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::line_start;

    #[test]
    fn lines_begin_behind_each_kind_of_line_end() {
        let starts: Vec<_> = (0..6).map(|before| line_start(b"a\r\n\rbc\nd", before)).collect();
        assert_eq!(starts, [Some(0), Some(3), Some(4), Some(7), None, None]);
        assert_eq!([0, 1, 2].map(|before| line_start(b"a\n", before)), [Some(0), Some(2), None]);
        assert_eq!([0, 1].map(|before| line_start(b"", before)), [Some(0), None]);
    }
}
