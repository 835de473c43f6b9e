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
/// like a pattern is that file; in a URL such a name has to be quoted. Empty objects match no pattern. Every file has to be there and to be readable, and each only once. Blocking.
pub fn resolve(args: &[String]) -> Result<Vec<Input>, SourceError> {
    if args.is_empty() {
        return Err(SourceError::NoInput);
    }
    if args.iter().any(|arg| arg == "-") {
        return if args.len() == 1 { Ok(vec![Input::Stdin]) } else { Err(SourceError::StdinNotAlone) };
    }
    let mut named = Vec::new();
    for arg in args {
        expand(arg, &mut named)?;
    }
    if named.len() > Position::MAX_FILES {
        return Err(SourceError::TooManyFiles { count: named.len(), most: Position::MAX_FILES });
    }
    let files = named.into_iter().map(Named::inspect).collect::<Result<Vec<_>, _>>()?;
    refuse_repeats(&files)?;
    Ok(files.into_iter().map(Input::File).collect())
}

/// An input that an argument stands for.
enum Named {
    /// A path or a URL, which has to be looked at.
    Name(String),
    /// An object, as a listing has it.
    Listed(SourceFile),
}

impl Named {
    fn inspect(self) -> Result<SourceFile, SourceError> {
        match self {
            Self::Name(name) => SourceFile::inspect(&name),
            Self::Listed(object) => Ok(object),
        }
    }
}

fn expand(arg: &str, named: &mut Vec<Named>) -> Result<(), SourceError> {
    let is_url = Location::is_url(arg);
    if !arg.contains(WILD) || (!is_url && Path::new(arg).exists()) {
        named.push(Named::Name(arg.to_owned()));
        return Ok(());
    }
    let before = named.len();
    if is_url {
        let listed = objects::list(arg)?.into_iter();
        named.extend(listed.map(|(url, info)| Named::Listed(SourceFile::of_object(url, info))));
    } else {
        named.extend(matching_files(arg)?.into_iter().map(Named::Name));
    }
    if named.len() == before {
        return Err(SourceError::NoMatch { pattern: arg.to_owned() });
    }
    Ok(())
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
