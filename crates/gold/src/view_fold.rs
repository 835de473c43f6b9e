//! The accumulators of one view inside a folder, group by group.

use crate::{
    Cell, CellId, CellKey, KeyPart, PairSums, Sums,
    batch::{BATCH, Batch, Lane, rows},
    correlator::{Correlator, add_row, pair_count},
    decoder::{Decoder, LaneId},
    groups::Groups,
    views::{Key, KeyKind, Plan},
};

/// One view's accumulators. Group 0 is for rows whose key is null; it is never read.
#[derive(Debug)]
pub(crate) struct ViewFold {
    view: u16,
    by: Vec<Part>,
    groups: Groups,
    counts: Vec<i64>,
    measures: Vec<Measure>,
    correlations: Correlations,
}

/// One part of the key.
#[derive(Debug)]
struct Part {
    column: usize,
    kind: KeyKind,
    lane: LaneId,
}

/// One measure, by group.
#[derive(Debug)]
struct Measure {
    lane: LaneId,
    groups: Vec<Narrow>,
    /// What was moved out of the narrow sum of each group.
    wide: Vec<i128>,
}

/// Sums in half a cache line, `sum` of no more rows than [`ViewFold::widen`] allows.
#[derive(Debug, Clone, Copy, Default)]
struct Narrow {
    /// How many of the group's rows lack the measure.
    nulls: i64,
    sum: i64,
    sum_sq: i128,
}

#[derive(Debug)]
enum Correlations {
    None,
    /// Of all rows.
    Whole(Correlator),
    /// By group: rows are added one by one.
    Grouped {
        lanes: Vec<LaneId>,
        groups: Vec<Vec<PairSums>>,
    },
}

impl ViewFold {
    pub(crate) fn new(view: u16, plan: &Plan, decoder: &mut Decoder) -> Self {
        let part = |key: &Key| {
            let lane = decoder.part_lane(key.column, key.kind)?;
            Some(Part { column: key.column, kind: key.kind, lane })
        };
        let by: Vec<_> = plan.by.iter().filter_map(part).collect();
        let mut lanes = |columns: &[usize]| -> Vec<LaneId> {
            columns.iter().filter_map(|column| decoder.number_lane(*column)).collect()
        };
        let measures = lanes(&plan.measures);
        let measures =
            measures.into_iter().map(|lane| Measure { lane, groups: Vec::new(), wide: Vec::new() }).collect();
        let correlate = lanes(&plan.correlate);
        let correlations = match (correlate.is_empty(), by.is_empty()) {
            (true, _) => Correlations::None,
            (false, true) => Correlations::Whole(Correlator::new(correlate)),
            (false, false) => Correlations::Grouped { lanes: correlate, groups: Vec::new() },
        };
        Self { view, by, groups: Groups::new(), counts: Vec::new(), measures, correlations }
    }

    pub(crate) fn fold(&mut self, decoder: &Decoder, batch: &Batch) {
        let groups = self.group(decoder, batch);
        self.counts.resize(self.groups.len() + 1, 0);
        for (group, sign) in groups.iter().zip(&batch.signs) {
            self.counts[*group as usize] += sign;
        }
        for measure in &mut self.measures {
            measure.groups.resize(self.groups.len() + 1, Narrow::default());
            measure.fold(&groups, decoder.lane(measure.lane), batch);
        }
        match &mut self.correlations {
            Correlations::None => {}
            Correlations::Whole(correlator) => correlator.add(decoder, batch),
            Correlations::Grouped { lanes, groups: pairs } => {
                pairs.resize_with(self.groups.len() + 1, || vec![PairSums::default(); pair_count(lanes.len())]);
                let lanes: Vec<_> = lanes.iter().map(|lane| decoder.lane(*lane)).collect();
                for (row, group) in groups.iter().enumerate() {
                    add_row(&mut pairs[*group as usize], &lanes, (row, batch.signs[row]), |both| both);
                }
            }
        }
    }

    /// The group of each row; 0 where a part of its key is null, and behind the last row.
    fn group(&mut self, decoder: &Decoder, batch: &Batch) -> [u32; BATCH] {
        let nulls = self.by.iter().fold(0, |nulls, part| nulls | decoder.lane(part.lane).nulls);
        let live = batch.filled_rows() & !nulls;
        let mut groups = [0; BATCH];
        let keyed = groups.iter_mut().enumerate().filter(|(row, _)| live >> row & 1 == 1);
        match self.by.as_slice() {
            [a] => {
                let a = &decoder.lane(a.lane).values;
                keyed.for_each(|(row, group)| *group = self.groups.number(&[a[row]]));
            }
            [a, b] => {
                let (a, b) = (&decoder.lane(a.lane).values, &decoder.lane(b.lane).values);
                keyed.for_each(|(row, group)| *group = self.groups.number(&[a[row], b[row]]));
            }
            parts => {
                let mut key = Vec::with_capacity(parts.len());
                keyed.for_each(|(row, group)| {
                    key.clear();
                    key.extend(parts.iter().map(|part| decoder.lane(part.lane).values[row]));
                    *group = self.groups.number(&key);
                });
            }
        }
        groups
    }

    /// Makes room in the narrow sums, which hold 2¹⁸ rows: values are at most 2⁴⁴ in magnitude, so until then a sum is
    /// at most 2⁶².
    pub(crate) fn widen(&mut self) {
        self.measures.iter_mut().for_each(Measure::widen);
    }

    /// The cells of all groups, forgotten here; `texts` are the texts of each column by number.
    pub(crate) fn take(&mut self, texts: &[Vec<Box<str>>]) -> Vec<(CellId, Cell)> {
        self.widen();
        let keys = self.groups.take();
        let counts = std::mem::take(&mut self.counts);
        let cells = keys.iter().enumerate().zip(counts.iter().skip(1)).map(|((i, key), count)| {
            let group = i + 1;
            let measures = self.measures.iter().map(|measure| measure.sums(group, *count)).collect();
            let pairs = self.correlations.take(group);
            ((self.view, cell_key(&self.by, key, texts)), Cell { count: *count, measures, pairs })
        });
        let cells = cells.collect();
        self.measures.iter_mut().for_each(Measure::clear);
        self.correlations.clear();
        cells
    }
}

impl Measure {
    #[inline]
    fn fold(&mut self, groups: &[u32; BATCH], lane: &Lane, batch: &Batch) {
        for ((group, sign), x) in groups.iter().zip(&batch.signs).zip(&lane.values) {
            let sums = &mut self.groups[*group as usize];
            let signed = sign * x;
            sums.sum += signed;
            sums.sum_sq += i128::from(signed) * i128::from(*x);
        }
        for row in rows(lane.nulls) {
            self.groups[groups[row] as usize].nulls += batch.signs[row];
        }
    }

    fn widen(&mut self) {
        self.wide.resize(self.groups.len(), 0);
        for (wide, narrow) in self.wide.iter_mut().zip(&mut self.groups) {
            *wide += i128::from(std::mem::take(&mut narrow.sum));
        }
    }

    /// The sums of a group, widened.
    fn sums(&self, group: usize, count: i64) -> Sums {
        let narrow = self.groups[group];
        Sums { n: count - narrow.nulls, sum: self.wide[group], sum_sq: narrow.sum_sq }
    }

    fn clear(&mut self) {
        self.groups.clear();
        self.wide.clear();
    }
}

impl Correlations {
    /// The sums of a group's pairs, forgotten here.
    fn take(&mut self, group: usize) -> Vec<PairSums> {
        match self {
            Self::None => Vec::new(),
            Self::Whole(correlator) => correlator.take(),
            Self::Grouped { groups, .. } => std::mem::take(&mut groups[group]),
        }
    }

    fn clear(&mut self) {
        if let Self::Grouped { groups, .. } = self {
            groups.clear();
        }
    }
}

fn cell_key(by: &[Part], key: &[i64], texts: &[Vec<Box<str>>]) -> CellKey {
    let parts = by.iter().zip(key).map(|(part, &value)| match part.kind {
        KeyKind::Text => KeyPart::Text(texts[part.column][value as usize].to_string()),
        KeyKind::Bool => KeyPart::Bool(value != 0),
        KeyKind::Number(_) => KeyPart::Int(value),
    });
    CellKey::new(&parts.collect::<Vec<_>>())
}
