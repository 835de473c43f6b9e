//! A small contract, the contract of tracks in miniature, and rows for both, made from a seed.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use ensemble_contract::{
    Column, ColumnType, Contract, Float, GroupBy, Keep, Limits, RowWriter, TestHooks, UnknownColumns, Value, View,
};

/// A contract with these columns and views, as far as gold looks at it.
pub(crate) fn contract(columns: &[(&str, ColumnType)], views: Vec<View>) -> Contract {
    Contract {
        name: "test".into(),
        key: 0,
        keep: Keep::First,
        silver: "silver".into(),
        bronze: "bronze".into(),
        unknown_columns: UnknownColumns::Ignore,
        limits: Limits { max_reject_ratio: 1.0, after_rows: 0 },
        columns: columns.iter().map(|(name, ty)| column(name, *ty)).collect(),
        views,
        hooks: TestHooks::default(),
        text: String::new(),
        hash: String::new(),
    }
}

fn column(name: &str, ty: ColumnType) -> Column {
    Column {
        name: name.into(),
        ty,
        required: false,
        range: None,
        pattern: None,
        one_of: None,
        max_length: None,
        from: vec![name.into()],
        normalise: Vec::new(),
        null_tokens: Vec::new(),
    }
}

pub(crate) fn view(name: &str, by: &[(usize, Option<i128>)], measures: &[usize], correlate: &[usize]) -> View {
    View {
        name: name.into(),
        by: by.iter().map(|&(column, bin_nano)| GroupBy { column, bin_nano }).collect(),
        measures: measures.into(),
        correlate: correlate.into(),
    }
}

/// One row, encoded.
pub(crate) fn row(values: &[Value<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = RowWriter::new(&mut out);
    values.iter().for_each(|value| writer.push(*value));
    out
}

pub(crate) fn float(value: f64) -> Value<'static> {
    Value::Float(Float::from_f64(value))
}

/// The columns of tracks: the names and types that gold reads, and the others as they lie between them.
pub(crate) fn tracks() -> Contract {
    use ColumnType::{Bool, Float, Int, String, Year};
    let columns = [
        ("track_id", String),
        ("track_name", String),
        ("artist_name", String),
        ("album_name", String),
        ("genre", String),
        ("popularity", Int),
        ("year", Year),
        ("explicit", Bool),
        ("danceability", Float),
        ("energy", Float),
        ("key", Int),
        ("loudness", Float),
        ("mode", Int),
        ("speechiness", Float),
        ("acousticness", Float),
        ("instrumentalness", Float),
        ("liveness", Float),
        ("valence", Float),
        ("tempo", Float),
        ("duration_ms", Int),
        ("time_signature", Int),
    ];
    let measures = [5, 8, 9, 17, 18, 11, 14, 19];
    let nano = 1_000_000_000;
    let views = vec![
        view("genre_stats", &[(4, None)], &measures, &[]),
        view("yearly_trends", &[(6, None)], &measures, &[]),
        view("mood_map", &[(17, Some(nano / 20)), (9, Some(nano / 20))], &[5], &[]),
        view("popularity_distribution", &[(5, Some(5 * nano))], &[], &[]),
        view("duration_distribution", &[(19, Some(30_000 * nano))], &[], &[]),
        view("correlations", &[], &[], &[5, 9, 8, 11, 13, 14, 15, 16, 17, 18, 19]),
    ];
    contract(&columns, views)
}

/// Numbers from a seed, the same on every machine (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn decimal(&mut self, end: u64, scale: u8) -> Value<'static> {
        let mantissa = self.below(end) as i64;
        Float::from_decimal(mantissa, scale).map_or(Value::Null, Value::Float)
    }

    /// A row of [`tracks`]; one popularity in a hundred is null.
    pub(crate) fn track(&mut self) -> Vec<u8> {
        let (id, name) = (format!("{:022x}", self.below(1 << 60)), format!("Song Number {}", self.below(1 << 40)));
        let artist = format!("Some Artist {}", self.below(50_000));
        let genre = format!("genre-{}", self.below(82));
        let popularity = if self.below(100) == 0 { Value::Null } else { Value::Int(self.below(101) as i64) };
        row(&[
            Value::Str(&id),
            Value::Str(&name),
            Value::Str(&artist),
            Value::Str("An Album"),
            Value::Str(&genre),
            popularity,
            Value::Int(2000 + self.below(24) as i64),
            Value::Bool(self.below(2) == 0),
            self.decimal(1_001, 3),
            self.decimal(1_001, 3),
            Value::Int(self.below(12) as i64),
            self.loudness(),
            Value::Int(self.below(2) as i64),
            self.decimal(10_001, 4),
            self.decimal(1_000_001, 6),
            self.decimal(1_000_001, 6),
            self.decimal(10_001, 4),
            self.decimal(1_001, 3),
            self.decimal(250_000, 3),
            Value::Int(1 + self.below(600_000) as i64),
            Value::Int(self.below(8) as i64),
        ])
    }

    fn loudness(&mut self) -> Value<'static> {
        let mantissa = self.below(65_000) as i64 - 60_000;
        Float::from_decimal(mantissa, 3).map_or(Value::Null, Value::Float)
    }
}
