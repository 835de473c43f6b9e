//! Rows as CSV: a header, LF line ends, quotes where they are needed, null as an empty field.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::{Column, Field, RowSink};

/// Writes rows as CSV.
pub(crate) struct CsvSink<W: Write> {
    writer: csv::Writer<W>,
    text: String,
    other: String,
}

impl<W: Write> CsvSink<W> {
    /// Writes the header.
    pub(crate) fn new(out: W, columns: &[Column]) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(columns.iter().map(|c| &c.name)).map_err(io_error)?;
        Ok(Self { writer, text: String::new(), other: String::new() })
    }

    fn number(&mut self, value: impl std::fmt::Display) -> io::Result<()> {
        self.text.clear();
        // Writing to a string does not fail.
        let _ = write!(self.text, "{value}");
        self.writer.write_field(&self.text).map_err(io_error)
    }

    /// The shortest text that reads back as the same double: with or without an exponent.
    fn float(&mut self, value: f64) -> io::Result<()> {
        self.text.clear();
        self.other.clear();
        let _ = write!(self.text, "{value}");
        let _ = write!(self.other, "{value:e}");
        let text = if self.other.len() < self.text.len() { &self.other } else { &self.text };
        self.writer.write_field(text).map_err(io_error)
    }
}

impl<W: Write> RowSink for CsvSink<W> {
    fn row(&mut self, fields: &[Field<'_>]) -> io::Result<()> {
        for field in fields {
            match field {
                Field::Null => self.writer.write_field("").map_err(io_error)?,
                Field::Int(v) => self.number(v)?,
                Field::Float(v) => self.float(*v)?,
                Field::Bool(v) => self.number(v)?,
                Field::Text(v) => self.writer.write_field(v).map_err(io_error)?,
            }
        }
        self.writer.write_record(None::<&[u8]>).map_err(io_error)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The reason itself, so that a reader that has gone away is recognised.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => e,
        other => io::Error::other(format!("{other:?}")),
    }
}
