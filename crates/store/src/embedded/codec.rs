//! How records are laid out as keys and values.
//!
//! Keys are big-endian, so that their order is the order of what they name. Values begin with what is looked at most
//! and end with what is longest, which then needs no length.

mod cursor;
mod records;
mod silver;
#[cfg(test)]
mod tests;

pub(super) use cursor::{Cursor, Damaged, put_bytes, put_varint};
pub(super) use records::{
    cell_key, cell_value, cell_view_bounds, dead_letter_key, dead_letter_value, decode_cell, decode_dead_letter,
    decode_document, document_key, document_value, kind_bounds, shard_key, split_stamp,
};
pub(super) use silver::{decode_doc, decode_live_stamp, put_doc, silver_key, silver_key_text};

/// The longest key that the database can hold.
pub(super) const MAX_KEY: usize = u16::MAX as usize;
