//! What is printed: JSON for programs, CSV for spreadsheets, words and tables for people.

use std::{
    io::{self, BufWriter, IsTerminal, StdoutLock, Write},
    path::Path,
};

use indicatif::HumanCount;
use serde::Serialize;

use crate::{
    cli::OutputFormat,
    exit::Failure,
    tabular::{Column, CsvSink, Field, Kind, RowSink},
};

/// Standard output, in large pieces.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Prints one JSON value on a line.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = stdout();
    write_json(&mut out, value).and_then(|()| out.flush()).map_err(Failure::printing)
}

/// Writes one JSON value on a line.
pub(crate) fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    // The error of a closed pipe keeps its kind.
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    writeln!(out)
}

/// Writes values as one JSON list, each on a line of its own.
pub(crate) fn print_json_list(values: impl IntoIterator<Item = impl Serialize>) -> Result<(), Failure> {
    let mut out = stdout();
    let write = || {
        let mut before = "[";
        for value in values {
            out.write_all(before.as_bytes())?;
            serde_json::to_writer(&mut out, &value).map_err(io::Error::from)?;
            before = ",\n";
        }
        out.write_all(if before == "[" { b"[]\n" } else { b"]\n" })?;
        out.flush()
    };
    write().map_err(Failure::printing)
}

/// Prints one CSV record under its header.
pub(crate) fn print_csv(fields: &[(&str, String)]) -> Result<(), Failure> {
    let columns: Vec<_> = fields.iter().map(|(name, _)| Column::new(*name, Kind::Text)).collect();
    let values: Vec<_> = fields.iter().map(|(_, value)| Field::Text(value)).collect();
    let write = || {
        let mut sink = CsvSink::new(stdout(), &columns)?;
        sink.row(&values)?;
        sink.finish()
    };
    write().map_err(Failure::printing)
}

/// Whether progress is drawn.
pub(crate) fn is_shown(output: OutputFormat) -> bool {
    output == OutputFormat::Table && io::stderr().is_terminal()
}

/// A number with separators.
pub(crate) fn count(n: u64) -> String {
    HumanCount(n).to_string()
}

/// A path as it can be typed into a shell.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A text that stands out on a terminal.
pub(crate) fn coloured(text: &str, code: u8) -> String {
    let plain = !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    if plain { text.to_owned() } else { format!("\u{1b}[{code}m{text}\u{1b}[0m") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::quoted;

    #[test]
    fn a_path_can_be_typed_into_a_shell() {
        assert_eq!(quoted(Path::new("./ensemble-data")), "./ensemble-data");
        assert_eq!(quoted(Path::new("my data")), "'my data'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }
}
