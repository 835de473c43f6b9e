//! Catalogues of tracks that never existed, in the form of a published data set of a million: CSV of 20 columns.
//!
//! A catalogue is a function of its description alone: the same on every platform, and every row can be made without
//! those before it.

mod genres;
mod names;
mod random;
mod row;
mod text;
mod words;

use std::io;

use self::{
    random::{Random, chance, mix},
    row::{Fault, RowWriter, Track},
};

/// The header line. The first column has no name: it is the row's number.
pub const HEADER: &str = ",artist_name,track_name,track_id,popularity,year,genre,danceability,energy,key,loudness,mode,\
                          speechiness,acousticness,instrumentalness,liveness,valence,tempo,duration_ms,time_signature\n";

/// How many bytes are collected for one write.
const CHUNK_BYTES: usize = 64 * 1024;

/// A catalogue's description.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackCatalogue {
    /// How many rows there are, the header not counted.
    pub rows: u64,
    /// The share of rows, 0 to 1, that list an earlier row's track again: the same id, names and sound, another genre
    /// and popularity. The first row never does.
    pub duplicates: f64,
    /// The share of rows, 0 to 1, that break a rule: mostly a tempo of 0; also empty names, an energy of 1.2, a text for
    /// a number, a popularity of 101, a duration of 0.
    pub bad: f64,
    /// How many genres there are; 0 counts as 1. The first 82 have names, the others are `genre-83` and so on.
    pub genres: u32,
    /// Another seed is another catalogue.
    pub seed: u64,
}

/// The streams of random numbers that one row needs, so that no draw of one depends on another.
#[derive(Clone, Copy)]
enum Stream {
    Track = 0,
    Repeat = 1,
    Listing = 2,
    Fault = 3,
}

impl TrackCatalogue {
    /// Writes the header and all rows, with LF line ends, in pieces of about 64 KiB. Takes the same memory whatever the
    /// number of rows.
    ///
    /// # Errors
    /// Those of `out`; what was written before stays.
    pub fn write_to(&self, out: &mut impl io::Write) -> io::Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 4096);
        chunk.extend_from_slice(HEADER.as_bytes());
        let (repeats, faults) = (chance(self.duplicates), chance(self.bad));
        let mut writer = RowWriter::default();
        for number in 0..self.rows {
            self.write_row(&mut writer, &mut chunk, number, (repeats, faults));
            if chunk.len() >= CHUNK_BYTES {
                out.write_all(&chunk)?;
                chunk.clear();
            }
        }
        out.write_all(&chunk)?;
        out.flush()
    }

    fn write_row(&self, writer: &mut RowWriter, out: &mut Vec<u8>, number: u64, (repeats, faults): (u64, u64)) {
        let original = self.original(number, repeats);
        let mut random = self.random(original, Stream::Track);
        let mut track = Track::draw(&mut random, self.genres);
        writer.name(&mut random);
        if original != number {
            track = track.listed_again(&mut self.random(number, Stream::Listing), self.genres);
        }
        let mut random = self.random(number, Stream::Fault);
        let fault = random.hits(faults).then(|| Fault::draw(&mut random));
        writer.write(out, number, self.id(original), &track, fault);
    }

    /// The row whose track row `number` lists: itself, or an earlier one that is no repeat.
    fn original(&self, mut number: u64, repeats: u64) -> u64 {
        while number > 0 {
            let mut random = self.random(number, Stream::Repeat);
            if !random.hits(repeats) {
                break;
            }
            number = random.below(number);
        }
        number
    }

    /// The bits of a track's id. The first half alone tells all rows apart, since `mix` is a bijection.
    fn id(&self, original: u64) -> [u64; 2] {
        let first = mix(original.wrapping_add(mix(self.seed)));
        [first, mix(first ^ self.seed)]
    }

    fn random(&self, number: u64, stream: Stream) -> Random {
        Random::new(self.seed ^ mix(stream as u64), number)
    }
}

#[cfg(test)]
mod tests;
