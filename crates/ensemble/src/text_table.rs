//! Tables for people: columns under each other, numbers to the right, two spaces between.

use std::io::{self, Write};

const GAP: &str = "  ";

/// A table that is complete before it is printed.
pub(crate) struct TextTable {
    headers: Vec<String>,
    to_the_right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table under these headers; one that begins with `>` is of a column of numbers.
    pub(crate) fn new<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let (headers, to_the_right) = headers
            .into_iter()
            .map(|h| h.strip_prefix('>').map_or((h.to_owned(), false), |h| (h.to_owned(), true)))
            .unzip();
        Self { headers, to_the_right, rows: Vec::new() }
    }

    /// Adds a row of one cell a column.
    pub(crate) fn push(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Prints the header and all rows.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        self.print_header(out)?;
        self.print_rows(out)
    }

    pub(crate) fn print_header(&self, out: &mut impl Write) -> io::Result<()> {
        self.print_line(out, &self.widths(), &self.headers)
    }

    pub(crate) fn print_rows(&self, out: &mut impl Write) -> io::Result<()> {
        let widths = self.widths();
        self.rows.iter().try_for_each(|row| self.print_line(out, &widths, row))
    }

    fn widths(&self) -> Vec<usize> {
        let width = |i: usize, header: &String| {
            let cells = self.rows.iter().filter_map(|row| row.get(i)).chain([header]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        self.headers.iter().enumerate().map(|(i, header)| width(i, header)).collect()
    }

    fn print_line(&self, out: &mut impl Write, widths: &[usize], cells: &[String]) -> io::Result<()> {
        let mut line = String::new();
        for ((cell, width), right) in cells.iter().zip(widths).zip(&self.to_the_right) {
            if !line.is_empty() {
                line.push_str(GAP);
            }
            let padding = " ".repeat(width - cell.chars().count());
            let (before, behind) = if *right { (padding.as_str(), "") } else { ("", padding.as_str()) };
            line.extend([before, cell, behind]);
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// A text on one line that does nothing to a terminal: control characters become `·`, and what is longer than `most`
/// characters is cut off.
pub(crate) fn visible(text: &str, most: usize) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { '·' } else { c });
    let mut shown: String = characters.by_ref().take(most).collect();
    if characters.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{TextTable, visible};

    #[test]
    fn numbers_stand_to_the_right_and_texts_to_the_left() {
        let mut table = TextTable::new(["genre", ">count"]);
        table.push(vec!["jazz".to_owned(), "1,000,000".to_owned()]);
        table.push(vec!["müsik".to_owned(), "7".to_owned()]);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let expected = "genre      count\njazz   1,000,000\nmüsik          7\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_is_shown_is_one_short_line() {
        assert_eq!(visible("a\u{1b}[2J\nb", 20), "a·[2J·b");
        assert_eq!(visible("abcdef", 6), "abcdef");
        assert_eq!(visible("abcdefg", 6), "abcde…");
    }
}
