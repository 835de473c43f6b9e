//! The bytes that mean something in CSV: delimiters, quotes and line ends, found 64 bytes at a time.

use super::{CR, LF, QUOTE};

const BLOCK: usize = 64;

/// Walks over the marks of a slice, in order. The slice is given at each call, always the same one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    delimiter: u8,
    block: usize,
    /// One bit for each byte of the block, the lowest for the first: a mark that was not given yet.
    pending: u64,
}

impl Marks {
    /// Begins at `start`.
    pub(super) fn new(bytes: &[u8], delimiter: u8, start: usize) -> Self {
        let mut marks = Self { delimiter, block: 0, pending: 0 };
        marks.seek(bytes, start);
        marks
    }

    /// Goes on at `start`.
    pub(super) fn seek(&mut self, bytes: &[u8], start: usize) {
        self.block = start - start % BLOCK;
        self.pending = self.marks_of_block(bytes) & (u64::MAX << (start % BLOCK));
    }

    /// The index of the next mark; the slice's length behind the last one.
    #[inline]
    pub(super) fn next(&mut self, bytes: &[u8]) -> usize {
        while self.pending == 0 {
            if self.block + BLOCK >= bytes.len() {
                return bytes.len();
            }
            self.block += BLOCK;
            self.pending = self.marks_of_block(bytes);
        }
        let at = self.block + self.pending.trailing_zeros() as usize;
        self.pending &= self.pending - 1;
        at
    }

    #[inline]
    fn marks_of_block(&self, bytes: &[u8]) -> u64 {
        let rest = bytes.get(self.block..).unwrap_or_default();
        match rest.first_chunk() {
            Some(block) => self.marks_of(block),
            None => {
                let mut block = [0; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                self.marks_of(&block)
            }
        }
    }

    #[inline]
    fn marks_of(&self, block: &[u8; BLOCK]) -> u64 {
        // The compiler makes vector instructions of this loop.
        let mut flags = [0u8; BLOCK];
        for (flag, &byte) in flags.iter_mut().zip(block) {
            *flag = u8::from((byte == self.delimiter) | (byte == QUOTE) | (byte == CR) | (byte == LF));
        }
        let (words, _) = flags.as_chunks::<8>();
        // Each product has the lowest bits of the word's eight bytes, in order, in its highest byte.
        words
            .iter()
            .rev()
            .fold(0, |mask, word| (mask << 8) | (u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56))
    }
}
