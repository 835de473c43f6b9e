//! Any bytes, any shard size, any limit, any way to read them.

use super::*;

const HEADERS: [&[u8]; 6] = [
    b"a,b\n",
    b"\xef\xbb\xbfa,b\r\n",
    b"\xef\xbb\xbf\"a\",b\r",
    b"\r\n\n\"a\nx\",\"b\"\"\"\n",
    b"\xef\xbb\xbf\n\"a\"\n",
    b"a",
];

fn nasty_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"a"[..]),
        4 => Just(&b"\""[..]),
        3 => Just(&b","[..]),
        1 => Just(&b";"[..]),
        2 => Just(&b"\r"[..]),
        3 => Just(&b"\n"[..]),
        1 => Just(&b"\r\n"[..]),
        1 => Just(&b"\0"[..]),
        1 => Just("é".as_bytes()),
        1 => Just(&b"\xc3"[..]),
        1 => Just(&b"\xef\xbb\xbf"[..]),
        2 => Just(&b",\""[..]),
        1 => Just(&b"aaaaaaaaaaaaaaaaaaaaaaaa"[..]),
    ];
    (0..HEADERS.len(), prop::collection::vec(piece, 0..120)).prop_map(|(header, pieces)| {
        // A header without a line end is a source that ends there, or one line with what follows.
        [HEADERS[header], &pieces.concat()].concat()
    })
}

fn limits() -> impl Strategy<Value = usize> {
    prop_oneof![Just(NO_LIMIT), Just(32), 1usize..64]
}

/// The header's bytes: the property is about what follows, whatever the header says.
fn header_bytes(bytes: &[u8]) -> u32 {
    sniff(&head(bytes), &abc()).ok().filter(|p| p.dialect == Dialect::default()).map_or(0, |p| p.header_bytes)
}

/// The `csv` crate's records, the header included.
fn csv_records(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    reader.byte_records().map(|r| r.unwrap().iter().map(<[u8]>::to_vec).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_byte_belongs_to_one_shard_and_every_row_is_the_models(
        bytes in nasty_bytes(), shard_bytes in 1usize..64, limit in limits(),
    ) {
        let header = header_bytes(&bytes);
        let shards = split(&bytes, options(shard_bytes, limit, header));
        prop_assert_eq!(shards.iter().flat_map(|s| s.bytes.to_vec()).collect::<Vec<_>>(), bytes.clone());
        prop_assert_eq!(rows_of(&shards), model::rows(&bytes, header as usize, limit));
    }

    #[test]
    fn without_open_quotes_the_records_are_those_of_the_csv_crate(bytes in nasty_bytes(), shard_bytes in 1usize..64) {
        let header = header_bytes(&bytes);
        prop_assume!(header > 0);
        let rows = rows_of(&split(&bytes, options(shard_bytes, NO_LIMIT, header)));
        let expected = csv_records(&bytes).split_off(1);
        let ours: Vec<_> = rows
            .iter()
            .map_while(|row| match row {
                Row::Fields { fields, .. } => Some(fields.clone()),
                _ => None,
            })
            .collect();
        if ours.len() == rows.len() {
            prop_assert_eq!(ours, expected);
        } else {
            // The unterminated record swallows the rest in the crate.
            prop_assert_eq!(expected.len(), ours.len() + 1);
            prop_assert_eq!(&ours[..], &expected[..ours.len()]);
        }
    }

    #[test]
    fn plans_say_where_their_bytes_stand(bytes in nasty_bytes(), shard_bytes in 1usize..64, limit in limits()) {
        let shards = split(&bytes, options(shard_bytes, limit, header_bytes(&bytes)));
        let mut offset = 0;
        for (i, PlannedShard { plan, bytes: part }) in shards.iter().enumerate() {
            prop_assert_eq!(plan.shard.number as usize, i);
            prop_assert_eq!(plan.offset, offset);
            prop_assert_eq!(plan.length, part.len() as u64);
            prop_assert!(!part.is_empty());
            prop_assert_eq!(plan.first_line, model::line_of(&bytes, offset as usize));
            offset += plan.length;
            prop_assert_eq!(plan.next_line, model::line_of(&bytes, offset as usize));
            prop_assert_eq!(plan.last_of_file, i + 1 == shards.len());
            prop_assert_eq!(plan.digest, ensemble_store::ShardPlan::digest_of(part));
            if plan.kind != ShardKind::Records {
                prop_assert!(part.len() <= limit + 1);
            }
        }
        let positions: Vec<_> = rows_of(&shards).iter().map(|row| Position::new(0, row.offset())).collect();
        prop_assert!(positions.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_shards_do_not_hang_on_how_the_bytes_are_read(
        bytes in nasty_bytes(), shard_bytes in 1usize..64, limit in limits(), most in 1usize..9,
    ) {
        let options = options(shard_bytes, limit, header_bytes(&bytes));
        let small_reads = SplitOptions { read_bytes: most, ..options.clone() };
        let dribbled = split_from(Dribble::new(&bytes, most), small_reads, Cursor::start_of(0, START));
        prop_assert_eq!(dribbled, split(&bytes, options));
    }

    #[test]
    fn reading_on_behind_any_shard_gives_the_same_rest(
        bytes in nasty_bytes(), shard_bytes in 1usize..64, limit in limits(),
    ) {
        let options = options(shard_bytes, limit, header_bytes(&bytes));
        let all = split(&bytes, options.clone());
        let mut cursor = Cursor::start_of(0, START);
        for (i, shard) in all.iter().enumerate() {
            prop_assert_eq!(Cursor::after(&shard.plan).is_some(), shard.resumable_after());
            cursor = Cursor::after(&shard.plan).unwrap_or(cursor);
            let mut splitter = Splitter::new(&bytes[cursor.offset as usize..], options.clone(), cursor);
            splitter.skip_to(shard.plan.shard.number + 1).unwrap();
            let rest: Vec<_> = std::iter::from_fn(|| splitter.next_shard().unwrap()).collect();
            prop_assert_eq!(&rest[..], &all[i + 1..]);
        }
    }

    #[test]
    fn the_utf8_flag_is_only_set_where_it_is_true(bytes in nasty_bytes(), shard_bytes in 1usize..64) {
        for PlannedShard { plan, bytes } in split(&bytes, options(shard_bytes, NO_LIMIT, header_bytes(&bytes))) {
            let mut records = RecordReader::of_shard(&bytes, Dialect::default(), &plan);
            while let Some(record) = records.next() {
                if let RecordKind::Fields(fields) = record.kind && fields.utf8 {
                    prop_assert!(fields_of(fields).iter().all(|f| std::str::from_utf8(f).is_ok()));
                }
            }
        }
    }
}
