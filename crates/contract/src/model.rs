//! A contract as data: what the file says, checked.

use std::fmt;

/// A compiled contract file. Immutable; a job pins its text and hash.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The contract's name, `[a-z0-9_-]+`.
    pub name: String,
    /// Index into [`Contract::columns`] of the column whose value is silver's key.
    pub key: usize,
    /// Which of several rows with one key is live.
    pub keep: Keep,
    /// The silver collection's name.
    pub silver: String,
    /// The bronze collection's name.
    pub bronze: String,
    /// What happens to source columns that no contract column matches.
    pub unknown_columns: UnknownColumns,
    /// When a job gives up.
    pub limits: Limits,
    /// The columns, in the order of silver's fields and of the rules.
    pub columns: Vec<Column>,
    /// The gold views, in the file's order.
    pub views: Vec<View>,
    /// What goes wrong on purpose: nothing, unless the program is built with the feature `test-hooks`.
    pub hooks: crate::parse::TestHooks,
    /// The file's text, as read.
    pub text: String,
    /// Lower-case hex SHA-256 of [`Contract::text`].
    pub hash: String,
}

impl Contract {
    /// The name of the column whose value is silver's key.
    pub fn key_name(&self) -> &str {
        self.columns.get(self.key).map_or("", |column| column.name.as_str())
    }
}

/// Which row of a key is live in silver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The first row of the first file of the first job.
    First,
    /// The latest observation; within one observation the last row.
    Last,
}

/// What happens to a source column that the contract does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownColumns {
    /// It is left out of silver and named in the job's report.
    Ignore,
    /// Its text goes to the row's extra part, trimmed; not exported.
    Keep,
    /// The job fails before any row is written.
    Reject,
}

/// When a job gives up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The share of rejected rows, 0 to 1, that a job may reach; 1 is no limit.
    pub max_reject_ratio: f64,
    /// The ratio is judged once this many rows are settled.
    pub after_rows: u64,
}

/// One column of a contract.
#[derive(Debug, Clone)]
pub struct Column {
    /// The column's name in silver.
    pub name: String,
    /// What its values are.
    pub ty: ColumnType,
    /// Whether null breaks the rule `name.required`.
    pub required: bool,
    /// Bounds on numbers and years.
    pub range: Option<Range>,
    /// The standardised text has to match; anchored, so that the whole of it does.
    pub pattern: Option<regex::Regex>,
    /// The standardised value has to be one of these; of an int or a year, the decimal text.
    pub one_of: Option<Vec<String>>,
    /// The most characters (Unicode scalar values) that a text may have.
    pub max_length: Option<usize>,
    /// Header names, the preferred first; the column's own name where the file gives none.
    pub from: Vec<String>,
    /// What is done to the trimmed text before it is judged, in order.
    pub normalise: Vec<Normalise>,
    /// Texts that mean null.
    pub null_tokens: Vec<String>,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Any text.
    String,
    /// An exact decimal integer in 64 bits.
    Int,
    /// A finite double.
    Float,
    /// `true`, `false`, `1` or `0`, in any case.
    Bool,
    /// `YYYY`, `YYYY.0`, `YYYY-MM` or `YYYY-MM-DD`; the value is the year.
    Year,
    /// `YYYY-MM-DD`, a day that exists; the value is text.
    Date,
    /// RFC 3339; the value is text in UTC, `YYYY-MM-DDTHH:MM:SS[.fraction]Z`.
    Timestamp,
}

/// Bounds on a number. Bounds are inclusive unless `low_open`/`high_open`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The lower bound, exact.
    pub low: Option<Bound>,
    /// Whether the lower bound itself is outside.
    pub low_open: bool,
    /// The upper bound, exact.
    pub high: Option<Bound>,
    /// Whether the upper bound itself is outside.
    pub high_open: bool,
}

/// A bound in both of the number types that it may be compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Compared with doubles.
    pub float: f64,
    /// In billionths, exact: compared with integers and used to size gold's sums.
    pub nano: i128,
}

/// What is done to a text before it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalise {
    /// Removes white space at both ends (always done first anyway).
    Trim,
    /// First character of each word upper, the rest lower.
    TitleCase,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// Each run of white space becomes one space.
    CollapseSpaces,
    /// Removes a leading `spotify:track:`.
    SpotifyId,
}

/// A gold view as the contract declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The collection's name.
    pub name: String,
    /// What rows are grouped by; empty for one cell over everything.
    pub by: Vec<GroupBy>,
    /// Indexes of the columns that are summed.
    pub measures: Vec<usize>,
    /// Indexes of the columns that are correlated in pairs; empty for no correlations. Excludes `measures`.
    pub correlate: Vec<usize>,
}

/// One part of a view's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupBy {
    /// Index of the column.
    pub column: usize,
    /// The width of a bin in billionths for `field/width`; `None` groups by the value itself.
    pub bin_nano: Option<i128>,
}

impl Contract {
    /// The index of the column with this name.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }
}

impl ColumnType {
    /// Every type, by the name that contracts give it.
    pub(crate) const NAMED: [(&'static str, Self); 7] = [
        ("string", Self::String),
        ("int", Self::Int),
        ("float", Self::Float),
        ("bool", Self::Bool),
        ("year", Self::Year),
        ("date", Self::Date),
        ("timestamp", Self::Timestamp),
    ];

    /// The name that contracts give it.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Year => "year",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }

    /// Whether its values are numbers, which can have a range, be summed and be binned.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Year)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
