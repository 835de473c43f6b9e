//! Dead letters as readers see them: with the job's name and the file's, page by page.

use ensemble_store::{DeadLetter, JobNumber, Position, ShardId, Store};
use serde_json::{Map, Value};

use crate::{
    base64,
    catalogue::Catalogue,
    exit::Failure,
    tabular::{Column, Field, Kind},
};

/// How many letters are read at once; each keeps at most 64 KiB of its row.
const PAGE: usize = 128;

/// Reads dead letters in the order of their jobs and places.
pub(crate) struct Letters<'a> {
    store: &'a dyn Store,
    catalogue: &'a Catalogue,
    job: Option<JobNumber>,
    after: Option<(ShardId, Position)>,
    left: usize,
}

/// One dead letter and where it comes from.
pub(crate) struct Letter {
    pub(crate) job: String,
    pub(crate) file: String,
    pub(crate) letter: DeadLetter,
}

impl<'a> Letters<'a> {
    /// The letters of one job or of all; at most `limit`.
    pub(crate) fn new(
        store: &'a dyn Store,
        catalogue: &'a Catalogue,
        job: Option<JobNumber>,
        limit: Option<usize>,
    ) -> Self {
        Self { store, catalogue, job, after: None, left: limit.unwrap_or(usize::MAX) }
    }

    /// The next letters; none at the end.
    pub(crate) async fn next_page(&mut self) -> Result<Vec<Letter>, Failure> {
        let limit = self.left.min(PAGE);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let page = self.store.scan_dead_letters(self.job, self.after, limit).await.map_err(Failure::failed)?;
        self.left = if page.len() < limit { 0 } else { self.left - page.len() };
        self.after = page.last().map(|letter| (letter.shard, letter.position));
        Ok(page.into_iter().map(|letter| self.place(letter)).collect())
    }

    fn place(&self, letter: DeadLetter) -> Letter {
        let job = self.catalogue.numbered(letter.shard.job);
        let file = job.and_then(|job| job.files().get(letter.position.file() as usize));
        Letter {
            job: job.map(|job| job.id.to_string()).unwrap_or_default(),
            file: file.map(|file| file.name.clone()).unwrap_or_default(),
            letter,
        }
    }
}

impl Letter {
    /// Whether the row is longer than what is kept of it here.
    fn is_truncated(&self) -> bool {
        self.letter.length > self.letter.raw.len() as u64
    }

    /// The letter as scripts read it.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let letter = &self.letter;
        let mut json = Map::new();
        let mut put = |name: &str, value: Value| json.insert(name.to_owned(), value);
        put("job", self.job.as_str().into());
        put("file", self.file.as_str().into());
        put("line", letter.line.into());
        put("offset", letter.position.offset().into());
        put("rule", letter.rule.as_str().into());
        put("rules", letter.rules.clone().into());
        put("column", letter.column.clone().into());
        base64::put(&mut json, "value", letter.value.as_deref());
        base64::put(&mut json, "raw", Some(&letter.raw));
        if self.is_truncated() {
            json.insert("raw_truncated".to_owned(), true.into());
            json.insert("length".to_owned(), letter.length.into());
        }
        json
    }

    /// The columns of [`Letter::with_fields`].
    pub(crate) fn columns() -> Vec<Column> {
        use Kind::{Bool, Int, Text};
        let columns = [
            ("job", Text),
            ("file", Text),
            ("line", Int),
            ("offset", Int),
            ("rule", Text),
            ("rules", Text),
            ("column", Text),
            ("value", Text),
            ("value_base64", Text),
            ("raw", Text),
            ("raw_base64", Text),
            ("raw_truncated", Bool),
            ("length", Int),
        ];
        columns.map(|(name, kind)| Column::new(name, kind)).into()
    }

    /// Gives the letter as a row of a table to `take`. Rules have spaces between them; bytes that are no UTF-8 stand in
    /// the column of their base64.
    pub(crate) fn with_fields<T>(&self, take: impl FnOnce(&[Field<'_>]) -> T) -> T {
        let letter = &self.letter;
        let rules = letter.rules.join(" ");
        let value = letter.value.as_deref().map(TextOrBase64::new);
        let raw = TextOrBase64::new(&letter.raw);
        take(&[
            Field::Text(&self.job),
            Field::Text(&self.file),
            int(letter.line),
            int(letter.position.offset()),
            Field::Text(&letter.rule),
            Field::Text(&rules),
            optional(letter.column.as_deref()),
            optional(value.as_ref().and_then(TextOrBase64::text)),
            optional(value.as_ref().and_then(TextOrBase64::base64)),
            optional(raw.text()),
            optional(raw.base64()),
            Field::Bool(self.is_truncated()),
            int(letter.length),
        ])
    }
}

enum TextOrBase64<'a> {
    Text(&'a str),
    Base64(String),
}

impl<'a> TextOrBase64<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        std::str::from_utf8(bytes).map_or_else(|_| Self::Base64(base64::encode(bytes)), Self::Text)
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Base64(_) => None,
        }
    }

    fn base64(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::Base64(text) => Some(text),
        }
    }
}

fn int(value: u64) -> Field<'static> {
    Field::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn optional(text: Option<&str>) -> Field<'_> {
    text.map_or(Field::Null, Field::Text)
}
