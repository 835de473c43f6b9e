//! Rows that go wrong on purpose, to see what becomes of a job that has some. Only builds with the feature `test-hooks` read
//! them; to others the table is an unknown key.

use super::source::Table;
use crate::error::ContractError;
use crate::judge::Record;

const KEY: &str = "test_hooks";

/// What the contract may have besides.
pub(super) const KEYS: &[&str] = if cfg!(feature = "test-hooks") { &[KEY] } else { &[] };

/// The table `[test_hooks]` of a contract.
#[derive(Debug, Clone, Default)]
pub struct TestHooks {
    /// Judging a row panics where a field is this text.
    panic_on: Option<String>,
    /// Judging a row ends the process where a field is this text.
    abort_on: Option<String>,
}

impl TestHooks {
    pub(super) fn parse(root: &Table<'_>) -> Result<Self, ContractError> {
        let Some(field) = root.get(KEY) else { return Ok(Self::default()) };
        let table = field.table("[test_hooks]".to_owned())?;
        table.allow(["panic_on", "abort_on"].into_iter())?;
        let text = |key| table.get(key).map(|field| field.string().map(str::to_owned)).transpose();
        Ok(Self { panic_on: text("panic_on")?, abort_on: text("abort_on")? })
    }

    #[inline]
    pub(crate) fn fire(&self, record: &Record<'_>) {
        if cfg!(feature = "test-hooks") {
            self.go_wrong(record);
        }
    }

    fn go_wrong(&self, record: &Record<'_>) {
        let has = |text: &Option<String>| {
            let Some(text) = text else { return false };
            record.fields.iter().any(|span| span.of(record.bytes) == text.as_bytes())
        };
        if has(&self.abort_on) {
            std::process::abort();
        }
        assert!(!has(&self.panic_on), "a test hook of the contract");
    }
}
