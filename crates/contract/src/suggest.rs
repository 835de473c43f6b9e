//! "Did you mean": the nearest of several names.

/// The name that `wanted` was most likely meant to be: the least edit distance, where a swap of neighbours counts as
/// one edit and case does not count. `None` where even the nearest differs in more than a third of its characters.
/// The earlier of two equally near names wins.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest_by_distance(wanted, names).map(|(name, _)| name)
}

/// The end of a sentence that says that there is no such name: `; did you mean "…"?`, or a full stop where what was meant
/// cannot be told.
pub fn did_you_mean<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    nearest(wanted, names).map_or_else(|| ".".to_owned(), |name| format!("; did you mean {name:?}?"))
}

/// As [`nearest`], with the distance.
pub(crate) fn nearest_by_distance<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<(&'a str, usize)> {
    let wanted = folded(wanted);
    let limit = wanted.len().max(3) / 3;
    names
        .filter_map(|name| {
            let candidate = folded(name);
            // The distance is at least the difference in length; this also bounds the work for absurdly long names.
            if candidate.len().abs_diff(wanted.len()) > limit {
                return None;
            }
            let distance = edit_distance(&wanted, &candidate);
            (distance <= limit).then_some((name, distance))
        })
        .min_by_key(|(_, distance)| *distance)
}

fn folded(name: &str) -> Vec<char> {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut current = Vec::with_capacity(b.len() + 1);
        current.push(i + 1);
        for (j, &to) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(from != to)).min(last[j + 1] + 1).min(current[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                best = best.min(before_last[j - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_slip_finds_its_name() {
        let types = ["string", "int", "float", "bool"];
        for (wanted, found) in [
            ("flaot", Some("float")),
            ("Strng", Some("string")),
            ("INT", Some("int")),
            ("boolean", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(wanted, types.into_iter()), found, "{wanted}");
        }
        assert_eq!(nearest("Track-ID", ["name", "track_id"].into_iter()), Some("track_id"));
    }
}
