//! Arguments to inputs.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path,
};

use ensemble_store::Position;
use glob::{MatchOptions, glob_with};

use super::{Input, SourceFile};
use crate::{Location, SourceError, objects};

/// What makes an argument a pattern.
pub(crate) const WILD: [char; 3] = ['*', '?', '['];
/// As a shell matches: `*` neither crosses directories nor takes hidden files.
pub(crate) const MATCH: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The inputs that a command line names, in its order.
///
/// An argument is `-` (standard input, which has to stand alone), the path of a file, the URL of an object (`s3://…`), or
/// a pattern of either with `*`, `?` or `[…]`, which stands for all its matches, sorted by bytes. A file whose name looks
/// like a pattern is that file. Every file has to be there and to be readable, and each only once. Blocking.
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

fn expand(arg: &str, paths: &mut Vec<String>) -> Result<(), SourceError> {
    let is_url = Location::is_url(arg);
    if !arg.contains(WILD) || (!is_url && Path::new(arg).exists()) {
        paths.push(arg.to_owned());
        return Ok(());
    }
    let mut found = if is_url { matching_objects(arg)? } else { matching_files(arg)? };
    if found.is_empty() {
        return Err(SourceError::NoMatch { pattern: arg.to_owned() });
    }
    paths.append(&mut found);
    Ok(())
}

fn matching_objects(pattern: &str) -> Result<Vec<String>, SourceError> {
    Ok(objects::list(pattern)?.iter().map(ToString::to_string).collect())
}

fn matching_files(pattern: &str) -> Result<Vec<String>, SourceError> {
    let bad = |e: glob::PatternError| SourceError::BadPattern { pattern: pattern.to_owned(), reason: e.msg };
    let mut found = Vec::new();
    for path in glob_with(pattern, MATCH).map_err(bad)? {
        let path =
            path.map_err(|e| SourceError::Unreadable { path: e.path().display().to_string(), source: e.into() })?;
        let not_utf8 = |path: std::ffi::OsString| SourceError::PathNotUtf8 { path: path.display().to_string() };
        found.push(path.into_os_string().into_string().map_err(not_utf8)?);
    }
    found.sort();
    Ok(found)
}

fn refuse_repeats(files: &[SourceFile]) -> Result<(), SourceError> {
    let mut seen = HashMap::new();
    for file in files {
        match seen.entry(&file.canonical) {
            Entry::Vacant(entry) => {
                entry.insert(&file.path);
            }
            Entry::Occupied(entry) => {
                let first = (*entry.get()).clone();
                return Err(SourceError::Twice { first, second: file.path.clone() });
            }
        }
    }
    Ok(())
}
