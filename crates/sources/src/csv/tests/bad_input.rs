//! Sources that cannot be started, and what a header may look like.

use super::*;

fn error_of(bytes: &[u8]) -> String {
    sniff(&head(bytes), &abc()).unwrap_err().to_string()
}

#[test]
fn a_source_that_is_no_csv_text_is_refused_with_its_name_and_a_way_out() {
    let utf16: Vec<u8> = "a,b\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&[u8], &str); 16] = [
        (b"", "test.csv is empty; a source begins with a header line"),
        (b"\xef\xbb\xbf", "test.csv is empty"),
        (b"\r\n\n\r", "test.csv is empty"),
        (b"\xff\xfea\0,\0", "test.csv is UTF-16; convert it to UTF-8 first"),
        (b"\xfe\xff\0a", "test.csv is UTF-16"),
        (&utf16, "holds the control byte 0x00 at offset 1"),
        (b"\x1f\x8b\x08\0", "test.csv is gzip data, not CSV text; decompress it first"),
        (b"\x28\xb5\x2f\xfd", "is zstd data"),
        (b"PK\x03\x04", "is a zip archive or an Excel workbook"),
        (b"PAR1\x15\x04", "is a Parquet file"),
        (b"\x89PNG\r\n", "is a PNG image"),
        (b"%PDF-1.7\n", "is a PDF document"),
        (b"a,b\x01c\n1,2", "holds the control byte 0x01 at offset 3"),
        (b"a,caf\xe9\n1,2", "the header of test.csv is not valid UTF-8"),
        (b"a,\"b\n1,2\n", "the header of test.csv opens a quote that is never closed"),
        (b"\0\0\0\0\0", "holds the control byte 0x00 at offset 0"),
    ];
    for (bytes, expected) in cases {
        let message = error_of(bytes);
        assert!(message.contains(expected) && message.contains("test.csv"), "{message}");
    }
}

#[test]
fn a_header_past_the_limit_is_refused() {
    let line = [vec![b'a'; 200_000], b"\n1\n".to_vec()].concat();
    let refused = |limit| sniff(&Head::read("test.csv", line.as_slice(), limit).unwrap(), &abc());
    for limit in [10, 199_999] {
        assert!(matches!(refused(limit), Err(SourceError::HeaderTooLong { .. })), "{limit}");
    }
    assert_eq!(refused(200_000).unwrap().header_bytes, 200_001);
    let quoted = [b"\"".to_vec(), vec![b'\n'; 200_000]].concat();
    let head = Head::read("test.csv", quoted.as_slice(), 10).unwrap();
    assert!(matches!(sniff(&head, &abc()), Err(SourceError::HeaderTooLong { .. })));
}

#[test]
fn errors_before_the_start_are_invalid_and_later_ones_are_not() {
    use ensemble_store::ErrorClass;
    assert_eq!(sniff(&head(b""), &abc()).unwrap_err().class(), ErrorClass::Invalid);
    let change = SourceError::Changed { file: "f".into(), change: Change::Gone };
    assert_eq!(change.class(), ErrorClass::Fatal);
}

#[test]
fn the_header_is_trimmed_and_measured() {
    let cases: [(&[u8], &[&str], u32, u64); 8] = [
        (b"a,b\n1,2\n", &["a", "b"], 4, 2),
        (b"a,b", &["a", "b"], 3, 1),
        (b"a,b\r\n1", &["a", "b"], 5, 2),
        (b"a,b\r1,2\r", &["a", "b"], 4, 2),
        (b"\xef\xbb\xbf\"a\",b\n", &["a", "b"], 9, 2),
        ("\u{feff}\r\n\n a\u{a0},\tb \n".as_bytes(), &["a", "b"], 15, 4),
        (b"\"a\n\"\"x\",b\n", &["a\n\"x", "b"], 10, 3),
        (b",a\n\0,\0", &["", "a"], 3, 2),
    ];
    for (bytes, names, header_bytes, next_line) in cases {
        let preamble = preamble(bytes);
        assert_eq!(preamble.header, names, "{bytes:?}");
        assert_eq!((preamble.header_bytes, preamble.next_line), (header_bytes, next_line), "{bytes:?}");
    }
}

#[test]
fn the_delimiter_is_the_one_under_which_the_most_columns_match() {
    let cases: [(&[u8], u8); 9] = [
        (b"id,name\n", b','),
        (b"id;name\n", b';'),
        (b"id\tname\trest\n", b'\t'),
        (b"id|name|x,y\n", b'|'),
        // Aliases of one column count once.
        (b"id,a;name;rest\n", b';'),
        // Nothing matches, or everything equally well: comma.
        (b"x;y\n", b','),
        (b"id\n", b','),
        (b"x,id;name,y\n", b','),
        // Under comma the quote never closes.
        (b"id;name;,\"\n1;2;3\n", b';'),
    ];
    for (bytes, delimiter) in cases {
        assert_eq!(preamble(bytes).dialect, Dialect { delimiter }, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_name_that_is_also_a_magic_number_is_a_name() {
    assert_eq!(preamble(b"PAR1,a\n").header, ["PAR1", "a"]);
}

#[test]
fn a_head_and_its_rest_are_the_whole_source() {
    let text = b"a,b\n1,2\n".repeat(20_000);
    let mut rest = text.as_slice();
    let head = Head::read("-", &mut rest, 10).unwrap();
    assert!(!head.whole);
    let mut joined = Vec::new();
    head.rejoin(rest).read_to_end(&mut joined).unwrap();
    assert_eq!(joined, text);
}

#[test]
fn a_slow_pipe_is_read_no_further_than_its_header() {
    /// Gives its parts one by one; who asks for more waits in vain.
    struct Pipe(Vec<&'static [u8]>);
    impl Read for Pipe {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            assert!(!self.0.is_empty(), "a reader of the whole header waits for more");
            let part = self.0.remove(0);
            out[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }
    for parts in [&[&b"a,b\n1,"[..]][..], &[b"a,", b"\"b", b"\"\r", b"\n", b"1"], &[b"\n\n", b"a", b",b\n", b"\n,"]] {
        let head = Head::read("-", Pipe(parts.to_vec()), NO_LIMIT).unwrap();
        assert!(!head.whole);
        assert_eq!(sniff(&head, &abc()).unwrap().header, ["a", "b"]);
    }
}

#[test]
fn a_source_of_another_size_than_expected_has_changed() {
    let text = b"a,b\n1,2\n3,4\n";
    for expected in [11, 13] {
        let options = SplitOptions { expected_size: Some(expected), ..options(4, 100, 4) };
        let mut splitter = Splitter::new(text.as_slice(), options, Cursor::start_of(0, START));
        let outcome = (0..10).find_map(|_| splitter.next_shard().err());
        assert!(matches!(outcome, Some(SourceError::Changed { .. })), "{expected}");
        assert!(matches!(splitter.next_shard(), Err(SourceError::Changed { .. })));
    }
    let options = SplitOptions { expected_size: Some(12), ..options(4, 100, 4) };
    assert_eq!(split(text, options).len(), 3);
}

#[test]
fn a_failed_read_can_be_repeated() {
    struct Flaky<'a>(&'a [u8], bool);
    impl Read for Flaky<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            let count = buf.len().min(3);
            if self.1 { Err(io::Error::other("gone fishing")) } else { self.0.read(&mut buf[..count]) }
        }
    }
    let text = b"a,b\n1,\"x\ny\"\n3,aaaaaaaaaaaaaaaaaaaaaa\n4,\"\n5\n";
    let mut splitter = Splitter::new(Flaky(text, false), options(4, 10, 4), Cursor::start_of(0, START));
    let mut shards = Vec::new();
    let mut failures = 0;
    loop {
        match splitter.next_shard() {
            Ok(Some(shard)) => shards.push(shard),
            Ok(None) => break,
            Err(e) => {
                assert!(e.to_string().contains("cannot read test.csv at offset"), "{e}");
                failures += 1;
            }
        }
    }
    assert!(failures > 5);
    assert_eq!(shards, split(text, options(4, 10, 4)));
}
