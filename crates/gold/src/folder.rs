//! Folds encoded rows into a delta: the hot path of a shard's commit and of every recompute.

use crate::{Cells, GoldError, Views, batch::Batch, decoder::Decoder, view_fold::ViewFold};

/// Batches of 64 rows after which the views are told to widen: 2¹⁸ rows.
const WIDEN_BATCHES: u32 = 1 << 12;

/// Folds rows into [`Cells`]; equal rows, in any order and split over any number of folders, end in equal cells.
///
/// Memory grows with the number of different keys since the last [`Folder::finish`]: feed it a bounded number of rows,
/// a few millions at most. No sum can overflow before 2³⁹ rows: a square or product is at most 2⁸⁸.
#[derive(Debug)]
pub struct Folder {
    decoder: Decoder,
    batch: Batch,
    views: Vec<ViewFold>,
    /// Batches since the views were last told to widen.
    batches: u32,
}

impl Folder {
    /// An empty folder for all views.
    pub fn new(views: &Views) -> Self {
        let mut decoder = Decoder::new(views);
        let plans = (0..=u16::MAX).zip(&views.plans);
        let folds = plans.map(|(view, plan)| ViewFold::new(view, plan, &mut decoder)).collect();
        decoder.trim();
        Self { decoder, batch: Batch::new(), views: folds, batches: 0 }
    }

    /// Adds one row, encoded under the views' contract. A row that fails ([`GoldError::Row`], [`GoldError::Type`],
    /// [`GoldError::OutOfRange`]) leaves no trace, and the folder can go on.
    pub fn add(&mut self, row: &[u8]) -> Result<(), GoldError> {
        self.push(row, 1)
    }

    /// Takes one row away, whether or not it was added here: the inverse of [`Folder::add`], with the same errors.
    pub fn subtract(&mut self, row: &[u8]) -> Result<(), GoldError> {
        self.push(row, -1)
    }

    /// The sum of all rows since the last call. The folder is then as new.
    pub fn finish(&mut self) -> Cells {
        if !self.batch.is_empty() {
            self.flush();
        }
        self.batches = 0;
        let texts = self.decoder.take_texts();
        self.views.iter_mut().flat_map(|view| view.take(&texts)).collect()
    }

    fn push(&mut self, row: &[u8], sign: i64) -> Result<(), GoldError> {
        if let Err(error) = self.decoder.read(row, self.batch.row()) {
            self.decoder.forget(self.batch.filled_rows());
            return Err(error);
        }
        if self.batch.push(sign) {
            self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) {
        self.views.iter_mut().for_each(|view| view.fold(&self.decoder, &self.batch));
        self.decoder.forget(0);
        self.batch = Batch::new();
        self.batches += 1;
        if self.batches == WIDEN_BATCHES {
            self.batches = 0;
            self.views.iter_mut().for_each(ViewFold::widen);
        }
    }
}
