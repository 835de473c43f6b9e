//! One track: drawn, and where it must be broken, and written.

use super::{
    genres::{GENRES, Genre},
    names,
    random::Random,
    text::{put_base62, put_decimal, put_field, put_int},
};

/// What a track's numbers are; floats in thousandths but for the last three.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    pub(super) popularity: i64,
    year: i64,
    genre: u32,
    danceability: i64,
    pub(super) energy: i64,
    key: i64,
    loudness: i64,
    mode: i64,
    liveness: i64,
    valence: i64,
    pub(super) tempo: i64,
    pub(super) duration_ms: i64,
    time_signature: i64,
    /// In ten-thousandths.
    speechiness: i64,
    /// A mantissa of three digits and its scale.
    acousticness: (i64, u32),
    instrumentalness: (i64, u32),
}

impl Track {
    /// Draws a track of one of `genres` genres.
    pub(super) fn draw(r: &mut Random, genres: u32) -> Self {
        let genre = r.below(u64::from(genres.max(1))) as u32;
        let sound = sound(genre);
        let energy = r.around(sound.energy * 10, 350).clamp(1, 1000);
        let year = r.between(2000, 2023);
        // Quiet tracks are far quieter than loud ones are loud.
        let quiet = 1000 - energy;
        let loudness = -3_500 - quiet * 9 - quiet * quiet / 80 + r.around(0, 2_800);
        Self {
            popularity: popularity(r, year),
            year,
            genre,
            danceability: r.around(sound.danceability * 10, 330).clamp(0, 985),
            energy,
            key: r.between(0, 11),
            loudness: loudness.clamp(-55_000, 4_500),
            mode: i64::from(r.percent(63)),
            liveness: 35 + r.between(0, 110) + if r.percent(35) { r.between(0, 850) } else { 0 },
            valence: r.around(sound.valence * 10, 480).clamp(10, 990),
            tempo: r.around(sound.tempo * 1_000, 70_000).clamp(40_000, 230_000),
            duration_ms: duration_ms(r),
            time_signature: match r.below(100) {
                0..87 => 4,
                87..97 => 3,
                97..99 => 5,
                _ => 1,
            },
            speechiness: 230 + r.below(400) as i64 + if r.percent(20) { r.between(0, 4_500) } else { 0 },
            acousticness: share(r, sound.acousticness),
            instrumentalness: if r.percent(25) { (0, 1) } else { share(r, sound.instrumentalness) },
        }
    }

    /// Gives the track what differs where a catalogue lists it again.
    pub(super) fn listed_again(self, r: &mut Random, genres: u32) -> Self {
        let genre = r.below(u64::from(genres.max(1))) as u32;
        Self { genre, popularity: popularity(r, self.year), ..self }
    }
}

fn sound(genre: u32) -> &'static Genre {
    &GENRES[genre as usize % GENRES.len()]
}

/// Most tracks are hardly known, and newer ones a little better.
fn popularity(r: &mut Random, year: i64) -> i64 {
    if r.percent(10) {
        return 0;
    }
    let skewed = r.between(0, 85).min(r.between(0, 85)) * r.between(30, 100) / 100;
    (skewed + (year - 2000) / 3).clamp(0, 100)
}

fn duration_ms(r: &mut Random) -> i64 {
    match r.below(100) {
        0..2 => r.between(600_000, 1_800_000),
        2..8 => r.between(30_000, 120_000),
        8..20 => r.between(240_000, 600_000),
        _ => r.around(225_000, 120_000),
    }
}

/// A share whose average is about `percent`: mostly near 0 or near 1, down to millionths.
fn share(r: &mut Random, percent: i64) -> (i64, u32) {
    if r.percent(percent as u64) {
        return (r.between(550, 996), 3);
    }
    match r.below(4) {
        0 => (r.between(100, 999), 8),
        1 => (r.between(100, 999), 6),
        2 => (r.between(100, 999), 5),
        _ => (r.between(10, 300), 3),
    }
}

/// What is wrong with a row, as it is in real catalogues: mostly a tempo of 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    ZeroTempo,
    NoNames,
    EnergyAboveOne,
    TextForNumber,
    PopularityAboveHundred,
    ZeroDuration,
}

impl Fault {
    pub(super) fn draw(r: &mut Random) -> Self {
        match r.below(100) {
            0..70 => Self::ZeroTempo,
            70..78 => Self::NoNames,
            78..85 => Self::EnergyAboveOne,
            85..91 => Self::TextForNumber,
            91..96 => Self::PopularityAboveHundred,
            _ => Self::ZeroDuration,
        }
    }
}

/// Writes rows; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct RowWriter {
    artist: Vec<u8>,
    title: Vec<u8>,
}

impl RowWriter {
    /// Draws the names of the track from its stream.
    pub(super) fn name(&mut self, r: &mut Random) {
        names::artist_of(r, &mut self.artist);
        names::title_of(r, &mut self.title);
    }

    /// Appends row `number` with the id of the given bits.
    pub(super) fn write(&self, out: &mut Vec<u8>, number: u64, id: [u64; 2], track: &Track, fault: Option<Fault>) {
        put_int(out, number as i64);
        out.push(b',');
        if fault == Some(Fault::NoNames) {
            out.push(b',');
        } else {
            put_field(out, &self.artist);
            out.push(b',');
            put_field(out, &self.title);
        }
        out.push(b',');
        id.into_iter().for_each(|half| put_base62(out, half));
        put_number(out, if fault == Some(Fault::PopularityAboveHundred) { 101 } else { track.popularity });
        put_number(out, track.year);
        out.push(b',');
        put_genre(out, track.genre);
        write_sound(out, track, fault);
        out.push(b'\n');
    }
}

fn write_sound(out: &mut Vec<u8>, track: &Track, fault: Option<Fault>) {
    put_float(out, (track.danceability, 3));
    put_float(out, (if fault == Some(Fault::EnergyAboveOne) { 1_200 } else { track.energy }, 3));
    put_number(out, track.key);
    if fault == Some(Fault::TextForNumber) {
        out.extend_from_slice(b",loud");
    } else {
        put_float(out, (track.loudness, 3));
    }
    put_number(out, track.mode);
    put_float(out, (track.speechiness, 4));
    put_float(out, track.acousticness);
    put_float(out, track.instrumentalness);
    put_float(out, (track.liveness, 3));
    put_float(out, (track.valence, 3));
    put_float(out, (if fault == Some(Fault::ZeroTempo) { 0 } else { track.tempo }, 3));
    put_number(out, if fault == Some(Fault::ZeroDuration) { 0 } else { track.duration_ms });
    put_number(out, track.time_signature);
}

fn put_genre(out: &mut Vec<u8>, genre: u32) {
    match GENRES.get(genre as usize) {
        Some(genre) => out.extend_from_slice(genre.name.as_bytes()),
        None => {
            out.extend_from_slice(b"genre-");
            put_int(out, i64::from(genre) + 1);
        }
    }
}

fn put_number(out: &mut Vec<u8>, value: i64) {
    out.push(b',');
    put_int(out, value);
}

fn put_float(out: &mut Vec<u8>, (mantissa, scale): (i64, u32)) {
    out.push(b',');
    put_decimal(out, mantissa, scale);
}
