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
