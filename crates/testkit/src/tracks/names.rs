//! Names of artists and tracks: mostly plain, some with everything that breaks a careless reader.

use super::{
    random::Random,
    text::put_int,
    words::{
        ADJECTIVES, FIRST, FOREIGN, FORMS, HAN_FIRST, HAN_LAST, HAN_TITLE_FIRST, HAN_TITLE_LAST, KEYS, LAST, NOUNS,
        TEMPI, VERBS,
    },
};

/// How many artists there are; a few of them have most of the tracks.
const ARTISTS: u64 = 60_000;

/// Replaces `out` by a name that was drawn for a track.
pub(super) fn artist_of(random: &mut Random, out: &mut Vec<u8>) {
    let number = random.below(ARTISTS).min(random.below(ARTISTS));
    artist(number, out);
}

/// Replaces `out` by the name of artist `number`, the same in every catalogue.
fn artist(number: u64, out: &mut Vec<u8>) {
    out.clear();
    let r = &mut Random::new(0x0061_7274_6973_7473, number);
    let (first, last) = (r.pick(&FIRST), r.pick(&LAST));
    let (adjective, noun) = (r.pick(&ADJECTIVES), r.pick(&NOUNS));
    match r.below(100) {
        0..38 => put(out, &[first, " ", last]),
        38..56 => put(out, &["The ", adjective, " ", noun]),
        56..68 => put(out, &[adjective, " ", noun]),
        68..76 => put(out, &[noun]),
        76..82 => put(out, &[first, " & The ", noun]),
        82..87 => put(out, &[first, ", The ", noun]),
        87..90 => put(out, &[first, " \"", adjective, "\" ", last]),
        90..93 => put(out, &["DJ ", first]),
        93..95 => put(out, &[last, ", ", first, " & ", r.pick(&FIRST)]),
        95..97 => put(out, &[noun, " N' ", r.pick(&NOUNS)]),
        _ => put(out, &[r.pick(&HAN_FIRST), r.pick(&HAN_LAST)]),
    }
}

/// Replaces `out` by a track's title.
pub(super) fn title_of(r: &mut Random, out: &mut Vec<u8>) {
    out.clear();
    let (adjective, noun, verb) = (r.pick(&ADJECTIVES), r.pick(&NOUNS), r.pick(&VERBS));
    match r.below(100) {
        0..26 => put(out, &[adjective, " ", noun]),
        26..38 => put(out, &[noun]),
        38..46 => put(out, &[verb, " Me"]),
        46..54 => put(out, &[verb, " the ", noun]),
        54..60 => put(out, &["Don't ", verb, " My ", noun]),
        60..66 => put(out, &[noun, " of ", r.pick(&NOUNS)]),
        66..71 => put(out, &[noun, " (feat. ", r.pick(&FIRST), " ", r.pick(&LAST), ")"]),
        71..75 => put(out, &[noun, ", ", r.pick(&NOUNS), " & ", r.pick(&NOUNS)]),
        75..78 => put(out, &["\"", noun, "\" ", adjective]),
        78..83 => put(out, &[r.pick(&FOREIGN), noun]),
        83..87 => put(out, &[r.pick(&HAN_TITLE_FIRST), r.pick(&HAN_TITLE_LAST)]),
        87..91 => classical(r, out),
        91..94 => put(out, &[verb, ", ", verb, ", ", verb, "!"]),
        94..97 => put(out, &["'", noun, "' / ", adjective, " Hours"]),
        _ => put(out, &[adjective, "\u{a0}", noun, " ♥"]),
    }
    match r.below(100) {
        0..6 => {
            put(out, &[" - Remastered "]);
            put_int(out, r.between(1995, 2023));
        }
        6..10 => put(out, &[" - Live at The ", r.pick(&NOUNS)]),
        10..13 => put(out, &[" (", r.pick(&LAST), " Remix)"]),
        13..15 => put(out, &[" - Original Mix"]),
        _ => {}
    }
}

/// `Nocturne No. 3 in D Minor, Op. 12: II. Andante`
fn classical(r: &mut Random, out: &mut Vec<u8>) {
    put(out, &[r.pick(&FORMS), " No. "]);
    put_int(out, r.between(1, 24));
    put(out, &[" in ", r.pick(&KEYS), ", Op. "]);
    put_int(out, r.between(1, 130));
    put(out, &[": ", r.pick(&["I", "II", "III", "IV"]), ". ", r.pick(&TEMPI)]);
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}
