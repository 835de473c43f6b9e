//! Headers, unterminated and over-long records, one case each.

use super::*;

fn parts(shards: &[PlannedShard]) -> Vec<String> {
    shards.iter().map(|s| String::from_utf8_lossy(&s.bytes).into_owned()).collect()
}

fn unterminated(rows: &[Row]) -> Vec<(u64, u64, String)> {
    rows.iter()
        .filter_map(|row| match row {
            Row::Unterminated { offset, line, raw } => {
                Some((*offset, *line, String::from_utf8_lossy(raw).into_owned()))
            }
            _ => None,
        })
        .collect()
}

fn first_fields(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .filter_map(|row| match row {
            Row::Fields { fields, .. } => Some(String::from_utf8_lossy(&fields[0]).into_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_header_alone_is_one_shard_without_rows() {
    for text in [&b"a,b"[..], b"a,b\n", b"\xef\xbb\xbfa,b\r\n"] {
        for shard_bytes in [1, 1000] {
            let shards = split(text, options(shard_bytes, 100, preamble(text).header_bytes));
            assert_eq!(shards.len(), 1);
            assert!(shards[0].plan.last_of_file);
            assert_eq!(rows_of(&shards), []);
        }
    }
}

#[test]
fn an_empty_source_has_no_shards() {
    assert_eq!(split(b"", options(10, 10, 0)), []);
}

#[test]
fn a_shard_ends_at_the_first_record_end_behind_its_size() {
    let text = b"a,b\n1,2\r\n\n3,\"x\n\ny\"\r4,5\n\n";
    assert_eq!(parts(&split(text, options(4, 100, 4))), ["a,b\n", "1,2\r\n", "\n3,\"x\n\ny\"\r", "4,5\n", "\n"]);
    assert_eq!(parts(&split(text, options(5, 100, 4))), ["a,b\n1,2\r\n", "\n3,\"x\n\ny\"\r", "4,5\n\n"]);
}

#[test]
fn a_line_end_of_two_bytes_is_never_cut_apart() {
    let text = b"a\r\n1\r\n2\r\n";
    for shard_bytes in 1..10 {
        for most in 1..5 {
            let shards = split_from(Dribble::new(text, most), options(shard_bytes, 100, 3), Cursor::start_of(0, START));
            assert!(shards.iter().all(|s| s.bytes.ends_with(b"\r\n")), "{shards:?}");
            assert_eq!(shards.last().unwrap().plan.next_line, 4);
        }
    }
}

#[test]
fn a_quote_that_is_never_closed_costs_its_line_only() {
    let text = b"a,b\n1,x\n2,\"y\n3,z\n4,z\n";
    let shards = split(text, options(1000, 100, 4));
    assert_eq!(parts(&shards), ["a,b\n1,x\n2,\"y\n", "3,z\n4,z\n"]);
    let rows = rows_of(&shards);
    assert_eq!(unterminated(&rows), [(8, 3, "2,\"y".to_owned())]);
    assert_eq!(first_fields(&rows), ["1", "3", "4"]);
}

#[test]
fn a_quote_that_is_open_at_the_limit_costs_its_line_only() {
    let text = b"a,b\n1,\"y\r\n22222222\n3,\"z\n4,ok\n";
    let rows = rows_of(&split(text, options(1000, 12, 4)));
    assert_eq!(unterminated(&rows), [(4, 2, "1,\"y".to_owned()), (19, 4, "3,\"z".to_owned())]);
    assert_eq!(first_fields(&rows), ["22222222", "4"]);
    // Within the limit the same quote is closed by the next one.
    let rows = rows_of(&split(text, options(1000, 19, 4)));
    assert_eq!(first_fields(&rows), ["1", "4"]);
}

#[test]
fn a_last_line_inside_a_quote_is_a_row() {
    let rows = rows_of(&split(b"a\n1\n\"2", options(1000, 100, 2)));
    assert_eq!(unterminated(&rows), [(4, 3, "\"2".to_owned())]);
}

#[test]
fn a_file_of_unterminated_lines_is_read_in_one_pass() {
    // Each line opens a quote whether or not one is open before it; seen anew for each line, this would take hours.
    let text = b"a\"a,\"x\n".repeat(40_000);
    let rows = rows_of(&split(&text, options(1 << 20, 1 << 20, 0)));
    assert_eq!(rows.len(), 40_000);
    assert_eq!(unterminated(&rows).len(), 40_000);
}

#[test]
fn a_record_past_the_limit_is_given_in_pieces() {
    let long = format!("2,{}", "x".repeat(300_000));
    let text = format!("a,b\n1,y\n{long}\r\n3,z\n");
    let shards = split(text.as_bytes(), options(100_000, 200_000, 4));
    let lengths: Vec<_> = shards.iter().map(|s| s.bytes.len()).collect();
    assert_eq!(lengths, [8, 100_000, 100_000, 100_000, 4, 4]);
    assert!(shards[1..4].iter().all(|s| s.plan.kind == ShardKind::Piece && !s.resumable_after()));
    let expected = ShardKind::LastPiece {
        record_offset: 8,
        record_length: 300_004,
        record_line: 3,
        head: Bytes::copy_from_slice(&long.as_bytes()[..HEAD_BYTES]),
    };
    assert_eq!(shards[4].plan.kind, expected);
    assert!(shards[4].resumable_after());
    assert_eq!(first_fields(&rows_of(&shards)), ["1", "3"]);
}

#[test]
fn a_record_of_exactly_the_limit_is_a_record() {
    for (length, is_record) in [(9, true), (10, true), (11, false)] {
        for end in ["", "\n", "\r", "\r\n"] {
            for content in ["x".repeat(length), format!("\"{}\"", "x".repeat(length - 2))] {
                let text = format!("{content}{end}");
                let rows = rows_of(&split(text.as_bytes(), options(1000, 10, 0)));
                assert_eq!(rows.len(), 1);
                assert_eq!(matches!(rows[0], Row::Fields { .. }), is_record, "{text:?}");
            }
        }
    }
}

#[test]
fn a_quote_that_opens_behind_the_limit_may_hold_line_ends_but_not_the_rest_of_the_source() {
    let closed = format!("{},\"y\ny\"\n2\n", "x".repeat(20));
    let rows = rows_of(&split(closed.as_bytes(), options(1000, 10, 0)));
    assert!(matches!(rows[0], Row::TooLong { offset: 0, line: 1, length: 27, .. }), "{rows:?}");
    assert_eq!(first_fields(&rows), ["2"]);
    let open = format!("{},\"y\n{}", "x".repeat(20), "2\n".repeat(20));
    let rows = rows_of(&split(open.as_bytes(), options(1000, 10, 0)));
    assert!(rows.len() > 10, "{rows:?}");
}

/// One line that never ends, made up as it is read.
struct OneLine(u64);

impl Read for OneLine {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = buf.len().min(usize::try_from(self.0).unwrap());
        buf[..count].fill(b'x');
        self.0 -= count as u64;
        Ok(count)
    }
}

#[test]
fn a_line_of_any_length_is_never_held_as_a_whole() {
    const LINE_BYTES: u64 = 64 << 20;
    let options = SplitOptions::new("endless.csv", Dialect::default());
    let mut splitter = Splitter::new(OneLine(LINE_BYTES), options, Cursor::start_of(0, START));
    let mut total = 0;
    while let Some(shard) = splitter.next_unsealed().unwrap() {
        assert!(shard.length() <= 1 << 20);
        total += shard.length();
        assert!(splitter.held_bytes() <= 3 << 20, "{}", splitter.held_bytes());
    }
    assert_eq!(total, LINE_BYTES);
}

#[test]
fn long_regions_without_quotes_are_cut_like_short_ones() {
    // Longer than the steps in which the splitter looks ahead.
    let text: String = (0..60_000).map(|i| format!("{i},some text that makes the row a little longer\r\n")).collect();
    let shards = split(text.as_bytes(), options(1 << 20, 1 << 20, 0));
    assert!(shards.len() > 2);
    for shard in &shards[..shards.len() - 1] {
        assert!((1 << 20..(1 << 20) + 60).contains(&shard.bytes.len()));
    }
    let rows = rows_of(&shards);
    assert_eq!(rows.len(), 60_000);
    assert!(rows.iter().zip(1..).all(|(row, n)| matches!(row, Row::Fields { line, .. } if *line == n)));
}
