//! Arguments to inputs.

use std::{
    collections::{HashMap, hash_map::Entry},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use ensemble_store::Position;
use glob::{MatchOptions, glob_with};

use super::{Input, SourceFile};
use crate::SourceError;

/// As a shell matches: `*` neither crosses directories nor takes hidden files.
const MATCH: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The inputs that a command line names, in its order.
///
/// An argument is `-` (standard input, which has to stand alone), the path of a file, or a pattern with `*`, `?` or
/// `[…]`, which stands for all its matches, sorted by bytes. A file whose name looks like a pattern is that file. Every
/// file has to be there and to be readable, and each only once.
pub fn resolve(args: &[String]) -> Result<Vec<Input>, SourceError> {
    if args.is_empty() {
        return Err(SourceError::NoInput);
    }
    if args.iter().any(|arg| arg == "-") {
        return if args.len() == 1 { Ok(vec![Input::Stdin]) } else { Err(SourceError::StdinNotAlone) };
    }
    let mut paths = Vec::new();
    for arg in args {
        expand(arg, &mut paths)?;
    }
    if paths.len() > Position::MAX_FILES {
        return Err(SourceError::TooManyFiles { count: paths.len(), most: Position::MAX_FILES });
    }
    let files = paths.iter().map(|path| SourceFile::inspect(path)).collect::<Result<Vec<_>, _>>()?;
    refuse_repeats(&files)?;
    Ok(files.into_iter().map(Input::File).collect())
}

fn expand(arg: &str, paths: &mut Vec<PathBuf>) -> Result<(), SourceError> {
    if !arg.contains(['*', '?', '[']) || Path::new(arg).exists() {
        paths.push(arg.into());
        return Ok(());
    }
    let matches =
        glob_with(arg, MATCH).map_err(|e| SourceError::BadPattern { pattern: arg.to_owned(), reason: e.msg })?;
    let mut found = Vec::new();
    for path in matches {
        found.push(
            path.map_err(|e| SourceError::Unreadable { path: e.path().display().to_string(), source: e.into() })?,
        );
    }
    if found.is_empty() {
        return Err(SourceError::NoMatch { pattern: arg.to_owned() });
    }
    found.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    paths.append(&mut found);
    Ok(())
}

fn refuse_repeats(files: &[SourceFile]) -> Result<(), SourceError> {
    let mut seen = HashMap::new();
    for file in files {
        match seen.entry(&file.canonical) {
            Entry::Vacant(entry) => {
                entry.insert(&file.path);
            }
            Entry::Occupied(entry) => {
                let first = entry.get().display().to_string();
                return Err(SourceError::Twice { first, second: file.path.display().to_string() });
            }
        }
    }
    Ok(())
}
