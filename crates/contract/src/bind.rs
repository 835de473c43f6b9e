//! A contract bound to the header of one file.

use std::fmt;

use crate::model::{Contract, UnknownColumns};
use crate::suggest::nearest_by_distance;
use crate::text::trim;

/// Which field of a record feeds which column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub(crate) width: usize,
    pub(crate) sources: Vec<Option<usize>>,
    pub(crate) extra: Vec<(usize, String)>,
    ignored: Vec<String>,
}

/// A header that a contract cannot be bound to. The file, or the contract's aliases, have to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// No header name matches these required columns.
    #[error("the header lacks {}", Listed(.0))]
    MissingColumns(Vec<MissingColumn>),
    /// Two header columns have the name that feeds one column.
    #[error("the header names \"{name}\" twice, and column {column} cannot take both; rename one of them")]
    DuplicateHeader {
        /// The header name.
        name: String,
        /// The contract's column.
        column: String,
    },
    /// The contract allows no columns but its own.
    #[error("the header has columns that the contract does not know: {}", Listed(.0))]
    UnknownColumns(Vec<String>),
}

/// A required column that no header name matches. Shown as `energy (or nrg; nearest is "enrgy")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingColumn {
    /// The contract's column.
    pub column: String,
    /// The header names that would have matched, the preferred first.
    pub aliases: Vec<String>,
    /// The header name that looks most like one of them.
    pub nearest: Option<String>,
}

impl Binding {
    /// Finds the field of each column. Header names are trimmed and compared exactly; of several aliases that are
    /// present, the first in the contract's order is taken. A column that is not required may be absent: it is null.
    ///
    /// # Errors
    /// Every required column that is missing; a name that matches and stands twice; columns that are unknown under a
    /// contract that rejects those.
    pub fn new(contract: &Contract, header: &[String]) -> Result<Self, BindError> {
        let names: Vec<&str> = header.iter().map(|name| trim(name)).collect();
        let mut sources = Vec::with_capacity(contract.columns.len());
        let mut missing = Vec::new();
        for column in &contract.columns {
            let source = column.from.iter().find_map(|alias| names.iter().position(|name| name == alias));
            match source.and_then(|at| names.get(at).map(|name| (at, name))) {
                Some((at, name)) if names.iter().skip(at + 1).any(|other| other == name) => {
                    let (name, column) = ((*name).to_owned(), column.name.clone());
                    return Err(BindError::DuplicateHeader { name, column });
                }
                None if column.required => missing.push(MissingColumn {
                    column: column.name.clone(),
                    aliases: column.from.clone(),
                    nearest: nearest_header(&column.from, &names),
                }),
                _ => {}
            }
            sources.push(source);
        }
        if !missing.is_empty() {
            return Err(BindError::MissingColumns(missing));
        }
        let mut binding = Self { width: names.len(), sources, extra: Vec::new(), ignored: Vec::new() };
        binding.sort_unmatched(contract, &names)?;
        Ok(binding)
    }

    /// The header names that feed nothing, trimmed, in the header's order: unknown ones unless the contract keeps
    /// them, and second aliases of columns that have their field already.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The number of fields that every record has to have.
    pub fn width(&self) -> usize {
        self.width
    }

    fn sort_unmatched(&mut self, contract: &Contract, names: &[&str]) -> Result<(), BindError> {
        let known = |name: &str| contract.columns.iter().any(|c| c.from.iter().any(|alias| alias == name));
        let mut unknown = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let name = (*name).to_owned();
            if self.sources.contains(&Some(at)) {
                continue;
            }
            match contract.unknown_columns {
                _ if known(&name) => self.ignored.push(name),
                UnknownColumns::Ignore => self.ignored.push(name),
                UnknownColumns::Keep => self.extra.push((at, name)),
                UnknownColumns::Reject => unknown.push(name),
            }
        }
        if unknown.is_empty() { Ok(()) } else { Err(BindError::UnknownColumns(unknown)) }
    }
}

fn nearest_header(aliases: &[String], names: &[&str]) -> Option<String> {
    aliases
        .iter()
        .filter_map(|alias| nearest_by_distance(alias, names.iter().copied()))
        .min_by_key(|(_, distance)| *distance)
        .map(|(name, _)| name.to_owned())
}

impl fmt::Display for MissingColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others: Vec<&str> = self.aliases.iter().map(String::as_str).filter(|a| *a != self.column).collect();
        f.write_str(&self.column)?;
        match (others.is_empty(), &self.nearest) {
            (true, None) => Ok(()),
            (true, Some(nearest)) => write!(f, " (nearest is \"{nearest}\")"),
            (false, None) => write!(f, " (or {})", others.join(", ")),
            (false, Some(nearest)) => write!(f, " (or {}; nearest is \"{nearest}\")", others.join(", ")),
        }
    }
}

/// Items with commas between them.
struct Listed<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, item) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{item}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
