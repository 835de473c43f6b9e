use proptest::prelude::*;

use super::*;

/// Word by word over a list of characters, as the definition reads.
fn slow_title_case(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let word = |i: usize| chars.get(i).is_some_and(|c| in_word(*c));
    let (mut out, mut i) = (String::new(), 0);
    while i < chars.len() {
        if !word(i) {
            out.push(chars[i]);
            i += 1;
            continue;
        }
        let mut end = i + 1;
        while end < chars.len() && (word(end) || matches!(chars[end], '\'' | '’') && word(end + 1)) {
            end += 1;
        }
        out.push_str(&chars[i].to_uppercase().collect::<String>());
        out.push_str(&chars[i + 1..end].iter().collect::<String>().to_lowercase());
        i = end;
    }
    out
}

#[test]
fn title_case_lifts_the_first_character_of_each_word() {
    for (text, cased) in [
        ("", ""),
        ("gen hoshino", "Gen Hoshino"),
        ("AC/DC", "Ac/Dc"),
        ("p!nk", "P!Nk"),
        ("guns n' roses", "Guns N' Roses"),
        ("sinéad o'connor", "Sinéad O'connor"),
        ("o’connor's", "O’connor's"),
        ("rock''n'roll", "Rock''N'roll"),
        ("'tis", "'Tis"),
        ("2pac", "2pac"),
        ("50 CENT", "50 Cent"),
        ("ΟΔΥΣΣΕΥΣ ΣΑΣ", "Οδυσσευς Σας"),
        ("ǆ ŉ ß", "Ǆ ʼN SS"),
        ("ÉMILIE", "Émilie"),
        ("e\u{301}MILIE", "E\u{301}milie"),
        ("東京 x", "東京 X"),
        ("ⓐbc", "ⓐBc"),
        ("a-b_c;d", "A-B_C;D"),
        ("İSTANBUL", "İstanbul"),
        ("DİYAR", "Di\u{307}yar"),
    ] {
        assert_eq!(title_case(text), cased, "{text}");
        assert_eq!(slow_title_case(text), cased, "{text}");
    }
}

#[test]
fn trimming_removes_unicode_white_space_and_nothing_else() {
    let spaces = "\t\n\u{b}\u{c}\r \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\
                  \u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";
    for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
        let padded = format!("{c}a{c}");
        let trimmed = if spaces.contains(c) { "a" } else { padded.as_str() };
        assert_eq!(trim(&padded), trimmed, "{c:?}");
        assert_eq!(trim_bytes(padded.as_bytes()), Some(trimmed.as_bytes()), "{c:?}");
    }
    assert_eq!(trim_bytes(b""), Some(&b""[..]));
    assert_eq!(trim_bytes(b" "), Some(&b""[..]));
    assert_eq!(trim_bytes(b" \xff"), None);
}

#[test]
fn normalisers_run_in_order() {
    use Normalise::{CollapseSpaces, Lower, SpotifyId, TitleCase, Trim, Upper};
    let run = |steps: &[Normalise], text: &str| {
        let normaliser = Normaliser::new(steps);
        let cut = std::str::from_utf8(normaliser.cut(text.as_bytes())).unwrap();
        let rewritten = normaliser.rewrite(cut).into_owned();
        if let Some(change) = normaliser.in_place() {
            let mut bytes = cut.as_bytes().to_vec();
            assert_eq!(change(&mut bytes), text.is_ascii());
            assert!(!text.is_ascii() || bytes == rewritten.as_bytes(), "{steps:?} {text}");
        }
        rewritten
    };
    assert_eq!(run(&[SpotifyId], "spotify:track:spotify:track:x"), "spotify:track:x");
    assert_eq!(run(&[SpotifyId], "spotify:album:x"), "spotify:album:x");
    assert_eq!(run(&[SpotifyId], "spotify:track: x"), " x");
    assert_eq!(run(&[SpotifyId, Trim], "spotify:track: x"), "x");
    assert_eq!(run(&[SpotifyId, Upper], "spotify:track:x"), "X");
    assert_eq!(run(&[Upper, SpotifyId], "spotify:track:x"), "SPOTIFY:TRACK:X");
    assert_eq!(run(&[Lower, SpotifyId], "SPOTIFY:track:X"), "x");
    assert_eq!(run(&[CollapseSpaces], "a \t\u{a0} b  c"), "a b c");
    assert_eq!(run(&[Lower], "ΟΔΟΣ"), "οδος");
    assert_eq!(run(&[Lower], "A-Z"), "a-z");
    assert_eq!(run(&[Upper], "a-z"), "A-Z");
    assert_eq!(run(&[TitleCase], "o'NEIL & co"), "O'neil & Co");
    assert_eq!(run(&[Upper, TitleCase], "straße"), "Strasse");
    assert_eq!(run(&[], "A"), "A");
}

proptest! {
    #[test]
    fn title_case_agrees_with_its_definition(text in prop_oneof!["[a-cA-C0-9'’ΣσςŉǆİÉé \u{301}.-]{0,16}", any::<String>()]) {
        let cased = title_case(&text);
        prop_assert_eq!(&cased, &slow_title_case(&text));
        let (ascii, mut bytes) = (text.is_ascii(), text.into_bytes());
        prop_assert_eq!(title_case_ascii(&mut bytes), ascii);
        prop_assert!(!ascii || bytes == cased.into_bytes());
    }
}
