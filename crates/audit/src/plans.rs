//! The plans of a job's shards (I4): one behind the other, from each file's first byte to its last.

use ensemble_store::ShardPlan;
use ensemble_supervisor::{JobState, Source};

use crate::{
    jobs::Job,
    report::{Findings, Invariant},
};

/// Goes along a job's plans in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    last: Option<ShardPlan>,
    /// Bytes by file, of the plans that were seen.
    lengths: Vec<u64>,
    gaps: bool,
}

impl Plans {
    /// Takes the next plan and says where it does not begin behind the last one.
    pub(crate) fn take(&mut self, findings: &mut Findings, plan: &ShardPlan) {
        if plan.is_unknown() {
            // Set aside by a successor that never saw it: nothing is known of its place.
            self.gaps = true;
            return;
        }
        let begins = Self::begin(self.last.as_ref(), plan.shard.number);
        match begins {
            None => self.gaps = true,
            Some(wanted) if wanted != (plan.file, plan.offset, plan.first_line) => {
                let (file, offset, line) = wanted;
                findings.broken(Invariant::Bronze, || {
                    format!(
                        "shard {}: expected file {file}, byte {offset}, line {line}; found file {}, byte {}, line {}",
                        plan.shard, plan.file, plan.offset, plan.first_line
                    )
                });
            }
            Some(_) => {}
        }
        let files = self.lengths.len().max(plan.file as usize + 1).min(ensemble_store::Position::MAX_FILES);
        self.lengths.resize(files, 0);
        if let Some(length) = self.lengths.get_mut(plan.file as usize) {
            *length += plan.length;
        }
        self.last = Some(plan.clone());
    }

    /// Where the shard with this number begins: file, byte, line. `None` behind a gap.
    fn begin(last: Option<&ShardPlan>, number: u32) -> Option<(u32, u64, u64)> {
        match last {
            None => (number == 0).then_some((0, 0, 1)),
            Some(last) if last.shard.number.checked_add(1) != Some(number) => None,
            Some(last) if last.last_of_file => Some((last.file + 1, 0, 1)),
            Some(last) => Some((last.file, last.offset + last.length, last.next_line)),
        }
    }

    /// Whether a job that has succeeded has all bytes of its source.
    pub(crate) fn end(self, findings: &mut Findings, job: &Job) {
        // Where a plan is missing, that was said already.
        if job.record.state != JobState::Succeeded || self.gaps {
            return;
        }
        if let Some(last) = self.last.as_ref().filter(|last| !last.last_of_file) {
            findings.broken(Invariant::Bronze, || {
                let end = last.offset + last.length;
                format!("{}: bronze ends at byte {end}, in the middle of the file", job.file_name(last.file))
            });
        }
        let Source::Files(files) = &job.record.source else { return };
        for (number, file) in files.iter().enumerate() {
            let found = self.lengths.get(number).copied().unwrap_or(0);
            if let Some(pinned) = file.file.as_ref().filter(|pinned| pinned.size != found) {
                findings.broken(Invariant::Bronze, || {
                    format!("{}: the file had {} bytes, and bronze has {found}", file.name, pinned.size)
                });
            }
        }
    }
}
