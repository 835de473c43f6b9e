//! What can be wrong with a contract file.

use std::fmt;

use crate::model::ColumnType;

/// A contract file that does not say a valid contract. Shown as `file:line:column: problem`. Mending the file is the
/// only cure; trying again is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}:{line}:{column}: {problem}")]
pub struct ContractError {
    /// The file's name, or whatever else the text came from, as the caller gave it.
    pub origin: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Box<Problem>,
}

/// What is wrong at a place in a contract file. `place` says which part of the contract it is: `the contract`,
/// `[limits]`, `column energy`, `view mood_map`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant's message says what its fields are")]
pub enum Problem {
    #[error("not TOML: {0}")]
    Syntax(String),
    #[error("unknown key \"{key}\" in {place}{hint}")]
    UnknownKey { key: String, place: String, hint: Hint },
    #[error("{place} lacks \"{key}\"")]
    MissingKey { key: &'static str, place: String },
    #[error("\"{key}\" of {place} is {found}; it has to be {wanted}")]
    WrongKind { key: String, place: String, found: &'static str, wanted: &'static str },
    #[error("unknown {what} \"{word}\" of {place}{hint}")]
    UnknownWord { what: &'static str, word: String, place: String, hint: Hint },
    #[error("unknown column \"{name}\" in \"{key}\" of {place}{hint}")]
    UnknownColumn { name: String, key: &'static str, place: String, hint: Hint },
    #[error("\"{name}\" cannot be the name of {what}: {rule}")]
    BadName { name: String, what: &'static str, rule: &'static str },
    #[error("\"{name}\" is taken already, by {by}; every collection needs a name of its own")]
    NameTaken { name: String, by: &'static str },
    #[error("a contract needs at least one column")]
    NoColumns,
    #[error("bad range \"{text}\" of {place}: {reason}")]
    BadRange { text: String, place: String, reason: RangeProblem },
    #[error("bad pattern of {place}: {reason}")]
    BadPattern { place: String, reason: String },
    #[error("\"{rule}\" makes no sense for {place} of type {ty}; it is for {takes}")]
    Misplaced { rule: &'static str, place: String, ty: ColumnType, takes: &'static str },
    #[error("\"{value}\" in \"one_of\" of {place} is no {ty}")]
    BadChoice { value: String, place: String, ty: ColumnType },
    #[error("\"{key}\" of {place} is out of bounds; it has to be {wanted}")]
    OutOfBounds { key: &'static str, place: String, wanted: &'static str },
    #[error("\"{key}\" of {place} is empty; leave it out or name at least one")]
    Empty { key: &'static str, place: String },
    #[error("\"{value}\" stands twice in \"{key}\" of {place}")]
    Repeated { value: String, key: &'static str, place: String },
    #[error("header name \"{alias}\" of {place} is empty or has white space at its ends, so that no header matches it")]
    BadAlias { alias: String, place: String },
    #[error("columns {first} and {second} both take the header name \"{alias}\"; a header name feeds one column")]
    SharedAlias { alias: String, first: String, second: String },
    #[error("the key column {column} is not required; add \"required = true\", as a row without a key has no place")]
    KeyNotRequired { column: String },
    #[error("\"measures\" and \"correlate\" stand together in {place}; make two views of it")]
    MeasuresAndCorrelate { place: String },
    #[error("\"correlate\" of {place} needs at least two columns")]
    LonelyCorrelate { place: String },
    #[error("{place} cannot sum column {column} of type {ty}; \"{key}\" takes int, float and year")]
    NotNumeric { column: String, ty: ColumnType, key: &'static str, place: String },
    #[error("{place} needs bounds on column {column}; give the column a range with both ends, such as \"0..=100\"")]
    NoFiniteRange { column: String, place: String },
    #[error("{place} cannot sum column {column}: with its range, squares of 10^12 rows do not fit 128 bits; narrow it")]
    SumTooLarge { column: String, place: String },
    #[error("{place} groups by the float column {column} itself; group by bins, such as \"{column}/0.05\"")]
    UnbinnedFloat { column: String, place: String },
    #[error("bad bin \"{text}\" of {place}: the width has to be a positive decimal with at most nine places")]
    BadBin { text: String, place: String },
    #[error(
        "bad bin \"{text}\" of {place}: column {column} has more bins than 64 bits can number; give it wider bins or a range \
         with both ends"
    )]
    TooManyBins { text: String, column: String, place: String },
    #[error("{place} cannot bin column {column} of type {ty}; bins are for int, float and year")]
    BinOfText { column: String, ty: ColumnType, place: String },
}

/// What is wrong with a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeProblem {
    /// There is no `..` in it.
    #[error("write LOW..=HIGH, LOW..<HIGH or LOW.., with < before the dots where LOW itself is outside")]
    NoDots,
    /// `..` or `<..` with an upper bound.
    #[error("say whether the upper bound belongs to it: ..= or ..<")]
    UndecidedHigh,
    /// `..=` or `..<` without an upper bound.
    #[error("there is no upper bound behind the dots; without one write .. alone")]
    NoHigh,
    /// `<..` without a lower bound.
    #[error("there is no lower bound before the <")]
    NoLow,
    /// A bound that is no number, or needs more than nine decimal places.
    #[error("a bound is a decimal number with at most nine places")]
    BadBound,
    /// No value is inside.
    #[error("nothing is inside; the lower bound has to be below the upper one")]
    Nothing,
}

/// What was meant, where that can be told. Shown as `; did you mean "…"?`, as a list, or as nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Nothing comes near.
    None,
    /// The nearest valid name.
    Near(String),
    /// Nothing comes near, but there are few valid words.
    OneOf(Vec<String>),
}

impl Hint {
    /// The nearest of these names.
    pub(crate) fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Self {
        crate::nearest(wanted, names).map_or(Self::None, |name| Self::Near(name.to_owned()))
    }

    /// The nearest of these words, else all of them.
    pub(crate) fn near_or_all<'a>(wanted: &str, words: impl Iterator<Item = &'a str> + Clone) -> Self {
        match Self::near(wanted, words.clone()) {
            Self::None => Self::OneOf(words.map(str::to_owned).collect()),
            near => near,
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Near(name) => write!(f, "; did you mean \"{name}\"?"),
            Self::OneOf(words) => write!(f, "; it is one of {}", words.join(", ")),
        }
    }
}
