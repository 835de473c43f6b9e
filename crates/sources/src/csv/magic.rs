//! Binary formats that are taken for CSV by mistake, known by their first bytes.

/// A binary format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// Its name, as what a file is.
    pub(super) what: &'static str,
    /// What to do about it.
    pub(super) advice: &'static str,
}

const DECOMPRESS: &str = "decompress it first, or pipe the decompressed text through standard input";
const EXPORT: &str = "export it as CSV in UTF-8 first";
const WRONG_FILE: &str = "check the path";

const FORMATS: [(&[u8], &str, &str); 16] = [
    (b"\x1f\x8b", "gzip data", DECOMPRESS),
    (b"\x28\xb5\x2f\xfd", "zstd data", DECOMPRESS),
    (b"BZh91AY&SY", "bzip2 data", DECOMPRESS),
    (b"\xfd7zXZ\0", "xz data", DECOMPRESS),
    (b"\x04\x22\x4d\x18", "lz4 data", DECOMPRESS),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", DECOMPRESS),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "unpack it, or export it as CSV in UTF-8 first"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", EXPORT),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"ARROW1\0\0", "an Arrow file", EXPORT),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"SQLite format 3\0", "an SQLite database", EXPORT),
    (b"%PDF-", "a PDF document", WRONG_FILE),
    (b"\x89PNG", "a PNG image", WRONG_FILE),
    (b"\xff\xd8\xff", "a JPEG image", WRONG_FILE),
    (b"\x7fELF", "a program", WRONG_FILE),
];

/// The format that `bytes` begin like.
pub(super) fn of(bytes: &[u8]) -> Option<Format> {
    let &(magic, what, advice) = FORMATS.iter().find(|(magic, ..)| bytes.starts_with(magic))?;
    // A name that consists of letters may stand in a header.
    let is_name = magic.iter().all(u8::is_ascii_alphanumeric)
        && matches!(bytes.get(magic.len()), None | Some(b',' | b';' | b'\t' | b'|' | b'\r' | b'\n'));
    (!is_name).then_some(Format { what, advice })
}
