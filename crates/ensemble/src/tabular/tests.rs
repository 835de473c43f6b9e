use std::fs::File;

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field as Read,
};

use super::{Column, CsvSink, Field, Kind, ParquetSink, RowSink};

fn columns() -> Vec<Column> {
    [("i", Kind::Int), ("f", Kind::Float), ("b", Kind::Bool), ("t", Kind::Text)].map(|(n, k)| Column::new(n, k)).into()
}

fn rows() -> Vec<[Field<'static>; 4]> {
    vec![
        [Field::Int(-1), Field::Float(0.1 + 0.2), Field::Bool(true), Field::Text("a, \"b\"\n")],
        [Field::Null, Field::Null, Field::Null, Field::Null],
        [Field::Int(i64::MIN), Field::Float(1e-300), Field::Bool(false), Field::Text("ø")],
    ]
}

#[test]
fn csv_has_the_shortest_numbers_and_empty_nulls() {
    let mut out = Vec::new();
    let mut sink = CsvSink::new(&mut out, &columns()).unwrap();
    rows().iter().for_each(|row| sink.row(row).unwrap());
    sink.row(&[Field::Null, Field::Float(120.0), Field::Null, Field::Null]).unwrap();
    sink.finish().unwrap();
    drop(sink);
    let expected = "i,f,b,t\n-1,0.30000000000000004,true,\"a, \"\"b\"\"\n\"\n,,,\n\
                    -9223372036854775808,1e-300,false,ø\n,120,,\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn parquet_reads_back_as_it_was_written_also_over_several_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.parquet");
    let mut sink = ParquetSink::new(File::create(&path).unwrap(), &columns()).unwrap();
    let times = 30_000;
    for _ in 0..times {
        rows().iter().for_each(|row| sink.row(row).unwrap());
    }
    sink.finish().unwrap();

    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.num_row_groups(), 2);
    let read: Vec<Vec<Read>> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().into_columns().into_iter().map(|(_, field)| field).collect())
        .collect();
    assert_eq!(read.len(), 3 * times);
    let last = read.last().unwrap();
    assert_eq!(last, &[Read::Long(i64::MIN), Read::Double(1e-300), Read::Bool(false), Read::Str("ø".to_owned())]);
    assert!(read[1].iter().all(|field| *field == Read::Null));
    assert_eq!(read[0][3], Read::Str("a, \"b\"\n".to_owned()));
}

#[test]
fn parquet_without_rows_has_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.parquet");
    ParquetSink::new(File::create(&path).unwrap(), &columns()).unwrap().finish().unwrap();
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema();
    let names: Vec<&str> = schema.get_fields().iter().map(|f| f.name()).collect();
    assert_eq!(names, ["i", "f", "b", "t"]);
}
