//! Texts: white space, case and the other normalisers.

use std::borrow::Cow;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::model::Normalise;

/// The prefix that turns a track's id into its URI.
const SPOTIFY_TRACK: &str = "spotify:track:";

/// Removes Unicode `White_Space` at both ends.
pub fn trim(text: &str) -> &str {
    text.trim()
}

/// As [`trim`], of a field's bytes; `None` where they are not UTF-8 and that matters here.
#[inline]
pub(crate) fn trim_bytes(bytes: &[u8]) -> Option<&[u8]> {
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) if first.is_ascii_graphic() && last.is_ascii_graphic() => Some(bytes),
        (None, _) => Some(bytes),
        _ => trim_slowly(bytes),
    }
}

#[inline(never)]
fn trim_slowly(bytes: &[u8]) -> Option<&[u8]> {
    std::str::from_utf8(bytes).ok().map(|text| text.trim().as_bytes())
}

/// First character of each word upper case, the rest lower. A word is a run of letters, marks and numbers (general
/// categories L, M, N) with single apostrophes (`'` or `’`) inside. The rest of a word is lower-cased as one text, so
/// that a final sigma comes out right.
pub fn title_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let tail = &rest[first.len_utf8()..];
        if in_word(first) {
            let (word, behind) = tail.split_at(word_length(tail));
            out.extend(first.to_uppercase());
            push_lower(&mut out, word);
            rest = behind;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

/// [`title_case`] of ASCII, in place. Of any other text nothing is to be used.
fn title_case_ascii(text: &mut [u8]) -> bool {
    // 0 outside of words, 1 inside, 2 behind an apostrophe that followed a word. That apostrophe need not look ahead: if
    // no word goes on behind it, nothing depends on where it was.
    let (mut place, mut all) = (0, 0);
    for byte in text {
        all |= *byte;
        let Character { outside, inside, in_word, apostrophe } = CHARACTERS[usize::from(*byte)];
        *byte = if place == 0 { outside } else { inside };
        place = in_word | ((apostrophe & place) << 1);
    }
    all.is_ascii()
}

/// What becomes of an ASCII character, and of those behind it. Flags are 0 or 1.
#[derive(Clone, Copy)]
struct Character {
    /// Its form where it begins a word.
    outside: u8,
    /// Its form inside a word.
    inside: u8,
    in_word: u8,
    apostrophe: u8,
}

static CHARACTERS: [Character; 256] = {
    let mut characters = [Character { outside: 0, inside: 0, in_word: 0, apostrophe: 0 }; 256];
    let mut at = 0;
    while at < characters.len() {
        let byte = at as u8;
        characters[at] = Character {
            outside: byte.to_ascii_uppercase(),
            inside: byte.to_ascii_lowercase(),
            in_word: byte.is_ascii_alphanumeric() as u8,
            apostrophe: (byte == b'\'') as u8,
        };
        at += 1;
    }
    characters
};

fn lower_ascii(text: &mut [u8]) -> bool {
    text.make_ascii_lowercase();
    text.is_ascii()
}

fn upper_ascii(text: &mut [u8]) -> bool {
    text.make_ascii_uppercase();
    text.is_ascii()
}

fn in_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    matches!(
        c.general_category_group(),
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark | GeneralCategoryGroup::Number
    )
}

/// How many bytes of `tail`, which follows a word's first character, still belong to the word.
fn word_length(tail: &str) -> usize {
    let mut chars = tail.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let joins = matches!(c, '\'' | '\u{2019}') && chars.peek().is_some_and(|(_, next)| in_word(*next));
        if !joins && !in_word(c) {
            return at;
        }
    }
    tail.len()
}

fn push_lower(out: &mut String, word: &str) {
    if word.is_ascii() {
        out.extend(word.chars().map(|c| c.to_ascii_lowercase()));
    } else {
        out.push_str(&word.to_lowercase());
    }
}

/// Each run of white space becomes one space.
fn collapse_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_run = false;
    for c in text.chars() {
        let space = c.is_whitespace();
        if !space {
            out.push(c);
        } else if !in_run {
            out.push(' ');
        }
        in_run = space;
    }
    out
}

/// Changes a text without changing its length, and says whether it was ASCII; another text is spoilt, and has to be
/// rewritten from what it was.
pub(crate) type InPlace = fn(&mut [u8]) -> bool;

/// A column's `normalise` list, split into the part that only cuts and the part that rewrites.
#[derive(Debug, Default)]
pub(crate) struct Normaliser {
    cuts: Vec<Normalise>,
    rewrites: Vec<Normalise>,
}

impl Normaliser {
    pub(crate) fn new(steps: &[Normalise]) -> Self {
        // The text comes trimmed, so a leading `trim` is done already.
        let steps: Vec<_> = steps.iter().copied().skip_while(|s| *s == Normalise::Trim).collect();
        let cuts = steps.iter().take_while(|s| matches!(s, Normalise::Trim | Normalise::SpotifyId)).count();
        let (cuts, rewrites) = steps.split_at(cuts);
        Self { cuts: cuts.to_vec(), rewrites: rewrites.to_vec() }
    }

    /// Whether cutting is all there is to do.
    #[inline]
    pub(crate) fn only_cuts(&self) -> bool {
        self.rewrites.is_empty()
    }

    /// Does the steps that only cut. To be called once, before the others. UTF-8 stays UTF-8.
    #[inline]
    pub(crate) fn cut<'t>(&self, mut text: &'t [u8]) -> &'t [u8] {
        for step in &self.cuts {
            text = cut(*step, text);
        }
        text
    }

    /// How to do the other steps in place; `None` where that cannot be.
    pub(crate) fn in_place(&self) -> Option<InPlace> {
        match self.rewrites.as_slice() {
            [Normalise::TitleCase] => Some(title_case_ascii),
            [Normalise::Lower] => Some(lower_ascii),
            [Normalise::Upper] => Some(upper_ascii),
            _ => None,
        }
    }

    /// Does the other steps.
    #[inline]
    pub(crate) fn rewrite<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for step in &self.rewrites {
            text = Cow::Owned(match step {
                Normalise::TitleCase => title_case(&text),
                Normalise::Lower => text.to_lowercase(),
                Normalise::Upper => text.to_uppercase(),
                Normalise::CollapseSpaces => collapse_spaces(&text),
                Normalise::Trim => text.trim().to_owned(),
                Normalise::SpotifyId => text.strip_prefix(SPOTIFY_TRACK).unwrap_or(&text).to_owned(),
            });
        }
        text
    }
}

fn cut(step: Normalise, text: &[u8]) -> &[u8] {
    match step {
        Normalise::SpotifyId => text.strip_prefix(SPOTIFY_TRACK.as_bytes()).unwrap_or(text),
        _ => trim_bytes(text).unwrap_or(text),
    }
}

#[cfg(test)]
mod tests;
