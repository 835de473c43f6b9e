//! Rows as Parquet: one column chunk a column and row group, LZ4, null as a missing value.

use std::{fs::File, io, sync::Arc};

use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as PhysicalType},
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{Type, TypePtr},
};

use super::{Column, Field, Kind, RowSink};

/// A row group is written once it has so many rows, or texts of so many bytes: what is held in memory.
const GROUP_ROWS: usize = 64 << 10;
const GROUP_TEXT_BYTES: usize = 16 << 20;

/// Writes rows as a Parquet file.
pub(crate) struct ParquetSink {
    writer: SerializedFileWriter<File>,
    columns: Vec<Buffer>,
    rows: usize,
    text_bytes: usize,
}

/// A column's part of the row group to come.
struct Buffer {
    /// 1 for each value, 0 for each null.
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
    Text(Vec<ByteArray>),
}

impl ParquetSink {
    pub(crate) fn new(out: File, columns: &[Column]) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_created_by(format!("ensemble {}", env!("CARGO_PKG_VERSION")))
            .build();
        let schema = schema(columns).map_err(io_error)?;
        let writer = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(io_error)?;
        let columns = columns.iter().map(|c| Buffer::new(c.kind)).collect();
        Ok(Self { writer, columns, rows: 0, text_bytes: 0 })
    }

    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(io_error)?;
        for buffer in &mut self.columns {
            let column = group.next_column().map_err(io_error)?;
            let mut column = column.ok_or_else(|| io::Error::other("the schema has fewer columns than the rows"))?;
            buffer.write(&mut column).and_then(|()| column.close()).map_err(io_error)?;
        }
        group.close().map_err(io_error)?;
        (self.rows, self.text_bytes) = (0, 0);
        Ok(())
    }
}

impl RowSink for ParquetSink {
    fn row(&mut self, fields: &[Field<'_>]) -> io::Result<()> {
        for (buffer, field) in self.columns.iter_mut().zip(fields) {
            buffer.push(*field)?;
            if let Field::Text(text) = field {
                self.text_bytes += text.len();
            }
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.text_bytes >= GROUP_TEXT_BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.finish().map(drop).map_err(io_error)
    }
}

impl Buffer {
    fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Int => Values::Int(Vec::new()),
            Kind::Float => Values::Float(Vec::new()),
            Kind::Bool => Values::Bool(Vec::new()),
            Kind::Text => Values::Text(Vec::new()),
        };
        Self { levels: Vec::new(), values }
    }

    fn push(&mut self, field: Field<'_>) -> io::Result<()> {
        self.levels.push(i16::from(field != Field::Null));
        match (&mut self.values, field) {
            (_, Field::Null) => {}
            (Values::Int(values), Field::Int(v)) => values.push(v),
            (Values::Float(values), Field::Float(v)) => values.push(v),
            (Values::Bool(values), Field::Bool(v)) => values.push(v),
            (Values::Text(values), Field::Text(v)) => values.push(v.into()),
            (_, field) => return Err(io::Error::other(format!("{field:?} is not of its column's kind"))),
        }
        Ok(())
    }

    /// Writes the values and forgets them.
    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match &mut self.values {
            Values::Int(values) => {
                column.typed::<Int64Type>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Float(values) => {
                column.typed::<DoubleType>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Bool(values) => {
                column.typed::<BoolType>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Text(values) => {
                column.typed::<ByteArrayType>().write_batch(values, levels, None)?;
                values.clear();
            }
        }
        self.levels.clear();
        Ok(())
    }
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let field = |column: &Column| {
        let (physical, logical) = match column.kind {
            Kind::Int => (PhysicalType::INT64, None),
            Kind::Float => (PhysicalType::DOUBLE, None),
            Kind::Bool => (PhysicalType::BOOLEAN, None),
            Kind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        };
        Type::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("row").with_fields(fields).build().map(Arc::new)
}

/// The reason itself where it is one of the file's.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(e) => match e.downcast::<io::Error>() {
            Ok(e) => *e,
            Err(e) => io::Error::other(e),
        },
        e => io::Error::other(e),
    }
}
