//! Reading a view: rows of labels, means, deviations, sums and correlations, out of cells.

use std::{iter, sync::Arc};

use serde_json::{Map, Number, Value};

use crate::{
    Cell, CellKey, Cells, GoldColumnKind, KeyPart, PairSums, Views, exact,
    views::{KeyKind, Plan, Unit},
};

/// One row of a view, as readers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldRow {
    columns: Arc<[(String, GoldColumnKind)]>,
    values: Vec<GoldValue>,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum GoldValue {
    /// There is no such number: a mean over no row, the correlation of a column that does not vary.
    Null,
    /// An integer.
    Int(i64),
    /// A finite double.
    Float(f64),
    /// Text, or an exact decimal.
    Text(String),
    /// A boolean.
    Bool(bool),
}

impl GoldRow {
    /// A row that was read elsewhere.
    pub fn new(columns: Arc<[(String, GoldColumnKind)]>, values: Vec<GoldValue>) -> Self {
        Self { columns, values }
    }

    /// The columns' names and kinds, as [`Views::columns`] gives them.
    pub fn columns(&self) -> &[(String, GoldColumnKind)] {
        &self.columns
    }

    /// The values, one a column; each is null or of the column's kind.
    pub fn values(&self) -> &[GoldValue] {
        &self.values
    }

    /// The value of the column with this name.
    pub fn get(&self, column: &str) -> Option<&GoldValue> {
        self.columns.iter().zip(&self.values).find(|((name, _), _)| name == column).map(|(_, value)| value)
    }

    /// The row as a JSON object, its fields in the order of the columns.
    pub fn to_json(&self) -> Map<String, Value> {
        self.columns.iter().zip(&self.values).map(|((name, _), value)| (name.clone(), value.to_json())).collect()
    }
}

impl GoldValue {
    /// The value as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Int(v) => Value::from(*v),
            Self::Float(v) => Number::from_f64(*v).map_or(Value::Null, Value::Number),
            Self::Text(v) => Value::from(v.as_str()),
            Self::Bool(v) => Value::from(*v),
        }
    }

    fn float(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Float)
    }
}

impl Views {
    /// The columns of a view's rows; empty where no view has this name.
    ///
    /// First the key's columns, under the names of the contract's columns. A view of measures goes on with `count` and
    /// `mean_`, `stddev_` and `sum_` of each; one of correlations with `field_a`, `field_b`, `n` and `r`.
    pub fn columns(&self, view: &str) -> Vec<(String, GoldColumnKind)> {
        self.plans.iter().find(|plan| plan.name == view).map(|plan| self.plan_columns(plan)).unwrap_or_default()
    }

    /// The rows of a view, sorted by key: numbers by value, text bytewise; the pairs of correlated columns in the
    /// contract's order. Cells whose count is not above 0 are hidden. `None` where no view has this name.
    pub fn rows(&self, view: &str, cells: &Cells) -> Option<Vec<GoldRow>> {
        let view = self.index(view)?;
        let plan = self.plans.get(usize::from(view))?;
        let columns: Arc<[_]> = self.plan_columns(plan).into();
        Some(cells.of_view(view).flat_map(|(key, cell)| self.plan_rows(plan, &columns, key, cell)).collect())
    }

    /// The rows of one cell of the view at this position: none where the cell is hidden or the view unknown, one for a
    /// view of measures, one a pair for correlations.
    pub fn cell_rows(&self, view: u16, key: &CellKey, cell: &Cell) -> Vec<GoldRow> {
        let Some(plan) = self.plans.get(usize::from(view)) else { return Vec::new() };
        self.plan_rows(plan, &self.plan_columns(plan).into(), key, cell)
    }

    /// Whether a cell of the view at this position has a row for each pair of correlated columns, and not just one.
    pub fn has_pairs(&self, view: u16) -> bool {
        self.plans.get(usize::from(view)).is_some_and(|plan| !plan.correlate.is_empty())
    }

    fn plan_columns(&self, plan: &Plan) -> Vec<(String, GoldColumnKind)> {
        use GoldColumnKind::{Float, Int, Text};
        let mut columns: Vec<_> =
            plan.by.iter().map(|key| (self.column_name(key.column).to_owned(), key.label_kind())).collect();
        if !plan.correlate.is_empty() {
            let pair = [("field_a", Text), ("field_b", Text), ("n", Int), ("r", Float)];
            columns.extend(pair.map(|(name, kind)| (name.to_owned(), kind)));
            return columns;
        }
        columns.push(("count".to_owned(), Int));
        for measure in &plan.measures {
            let name = self.column_name(*measure);
            columns.push((format!("mean_{name}"), Float));
            columns.push((format!("stddev_{name}"), Float));
            columns.push((format!("sum_{name}"), Text));
        }
        columns
    }

    fn plan_rows(
        &self,
        plan: &Plan,
        columns: &Arc<[(String, GoldColumnKind)]>,
        key: &CellKey,
        cell: &Cell,
    ) -> Vec<GoldRow> {
        if cell.count <= 0 {
            return Vec::new();
        }
        let row = |values| GoldRow { columns: Arc::clone(columns), values };
        let labels = labels(plan, key);
        if plan.correlate.is_empty() {
            return vec![row(labels.into_iter().chain(self.measures(plan, cell)).collect())];
        }
        let pair = |(a, b, sums)| row(labels.iter().cloned().chain(self.pair(a, b, sums)).collect());
        pairs(plan, cell).map(pair).collect()
    }

    fn measures(&self, plan: &Plan, cell: &Cell) -> Vec<GoldValue> {
        let measures = plan.measures.iter().zip(&cell.measures).flat_map(|(column, sums)| {
            let unit = self.unit(*column);
            [
                GoldValue::float(exact::mean(sums, unit)),
                GoldValue::float(exact::standard_deviation(sums, unit)),
                GoldValue::Text(exact::plain_decimal(sums.sum, unit)),
            ]
        });
        iter::once(GoldValue::Int(cell.count)).chain(measures).collect()
    }

    fn pair(&self, a: usize, b: usize, sums: &PairSums) -> [GoldValue; 4] {
        let name = |column| GoldValue::Text(self.column_name(column).to_owned());
        [name(a), name(b), GoldValue::Int(sums.n), GoldValue::float(exact::correlation(sums))]
    }
}

fn pairs<'a>(plan: &'a Plan, cell: &'a Cell) -> impl Iterator<Item = (usize, usize, &'a PairSums)> {
    let fields = &plan.correlate;
    let names = fields.iter().enumerate().flat_map(|(i, a)| fields.iter().skip(i + 1).map(move |b| (*a, *b)));
    names.zip(&cell.pairs).map(|((a, b), sums)| (a, b, sums))
}

/// The values of the key's columns, one each. A key that is not this view's has nulls.
fn labels(plan: &Plan, key: &CellKey) -> Vec<GoldValue> {
    let mut parts = key.parts().into_iter();
    let labels = plan.by.iter().map(|by| match (by.kind, parts.next()) {
        (KeyKind::Text, Some(KeyPart::Text(text))) => GoldValue::Text(text),
        (KeyKind::Bool, Some(KeyPart::Bool(value))) => GoldValue::Bool(value),
        (KeyKind::Number(bin), Some(KeyPart::Int(index))) => {
            let edge = bin.lower_edge(index);
            match bin.unit {
                // The edge of the lowest bin may lie below 64 bits.
                Unit::One => GoldValue::Int(i64::try_from(edge).unwrap_or(i64::MIN)),
                Unit::Nano => GoldValue::Float(exact::ratio(edge, u128::from(Unit::Nano.per_one()))),
            }
        }
        _ => GoldValue::Null,
    });
    labels.collect()
}
