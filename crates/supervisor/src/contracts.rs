//! The contracts that are known: those that are built in, and those of jobs.

use ensemble_contract::{Contract, ContractError, builtin, builtin_names};

use crate::JobRecord;

/// A contract that jobs can be, or were, submitted under.
#[derive(Debug)]
pub struct KnownContract {
    /// The contract.
    pub contract: Contract,
    /// It comes with the program; a job names it.
    pub built_in: bool,
}

/// Those that are built in, then those of `jobs` that are none of these, the latest first.
///
/// Left out are those of jobs that this version of the program cannot read.
///
/// # Errors
/// Where a contract that is built in is none.
pub fn known_contracts(jobs: &[JobRecord]) -> Result<Vec<KnownContract>, ContractError> {
    let built_in = builtin_names().filter_map(|name| Some((name, builtin(name)?)));
    let mut known = built_in
        .map(|(name, text)| Ok(KnownContract { contract: Contract::parse(text, name)?, built_in: true }))
        .collect::<Result<Vec<_>, ContractError>>()?;
    for pinned in jobs.iter().rev().map(|job| &job.contract) {
        if known.iter().all(|k| k.contract.hash != pinned.hash) {
            match Contract::parse(&pinned.text, &pinned.name) {
                Ok(contract) => known.push(KnownContract { contract, built_in: false }),
                // Another version's, or one of a build for tests: it must not hide the others.
                Err(error) => tracing::warn!(contract = pinned.name, %error, "a job's contract cannot be read"),
            }
        }
    }
    Ok(known)
}

/// The first of these with this name, or with this hash.
pub fn find_contract<'a>(known: &'a [KnownContract], name_or_hash: &str) -> Option<&'a KnownContract> {
    known.iter().find(|k| k.contract.name == name_or_hash || k.contract.hash == name_or_hash)
}
