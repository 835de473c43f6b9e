//! When it pays to compress what is appended to a segment.

use lz4_flex::block;

/// How much is compressed to see whether the rest is worth it.
const PROBE_BYTES: usize = 16 << 10;

/// `plain` as an LZ4 block, behind `room` zero bytes for a header; `None` where that does not save a third.
///
/// Rows of ids and measurements shrink by a third at most, and compressing them costs several times what writing them
/// does. So a part in the middle is tried before the whole.
pub fn compress_if_it_pays(plain: &[u8], room: usize) -> Option<Vec<u8>> {
    if plain.len() > 2 * PROBE_BYTES {
        let middle = plain.len() / 2;
        compress(plain.get(middle..middle + PROBE_BYTES)?, 0)?;
    }
    compress(plain, room)
}

fn compress(plain: &[u8], room: usize) -> Option<Vec<u8>> {
    let length = room + block::get_maximum_output_size(plain.len());
    // Not `vec![0; length]`: the allocator has the system zero what is large, page by page, and this is done for each
    // shard.
    let mut out: Vec<u8> = std::iter::repeat_n(0, length).collect();
    let packed = block::compress_into(plain, out.get_mut(room..)?).ok()?;
    out.truncate(room + packed);
    (packed <= plain.len() / 3 * 2).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shrinks_by_a_third_is_compressed_behind_its_header() {
        let plain = b"the same words again; ".repeat(10_000);
        let packed = compress_if_it_pays(&plain, 7).unwrap();
        assert_eq!(packed[..7], [0; 7]);
        assert_eq!(block::decompress(&packed[7..], plain.len()).unwrap(), plain);
    }

    #[test]
    fn what_does_not_is_left_alone_whatever_its_middle_is() {
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let mut plain: Vec<u8> = std::iter::repeat_with(&mut noise).take(300_000).collect();
        assert_eq!(compress_if_it_pays(&plain, 0), None);
        plain[140_000..190_000].fill(b'x');
        assert_eq!(compress_if_it_pays(&plain, 0), None);
        assert_eq!(compress_if_it_pays(b"", 0).map(|p| p.len()), None);
    }
}
