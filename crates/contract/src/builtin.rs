//! The contracts that come with the program.

const BUILTIN: [(&str, &str); 1] = [("tracks", include_str!("../../../config/contracts/tracks.toml"))];

/// The text of the built-in contract with this name; `None` where there is none.
pub fn builtin(name: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// The names that [`builtin`] knows.
pub fn builtin_names() -> impl ExactSizeIterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}
