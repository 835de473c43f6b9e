//! Exit codes, and how an error is told.

use std::{io, process::ExitCode};

/// The job failed, or its limits stopped it.
pub(crate) const FAILED: u8 = 1;
/// Nothing was started: usage, contract, settings, input or store.
pub(crate) const COULD_NOT_START: u8 = 2;
/// Verification found a difference.
pub(crate) const DIFFERENCE: u8 = 3;
/// 128 and the signal's number: the job can be resumed.
pub(crate) const SIGNAL_BASE: u8 = 128;

/// An error together with the exit code that it asks for. With code 0 it is none, and nothing is said.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) error: anyhow::Error,
}

impl Failure {
    /// Nothing was started.
    pub(crate) fn could_not_start(error: impl Into<anyhow::Error>) -> Self {
        Self { code: COULD_NOT_START, error: error.into() }
    }

    /// It went wrong on the way.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self { code: FAILED, error: error.into() }
    }

    /// Standard output refused. A reader that has seen enough (`| head`) is no failure, only an end.
    pub(crate) fn printing(error: io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { FAILED };
        Self { code, error: anyhow::Error::new(error).context("cannot write to standard output") }
    }

    /// A signal ended it.
    pub(crate) fn interrupted(signal: u8) -> Self {
        Self { code: SIGNAL_BASE + signal, error: anyhow::anyhow!("interrupted") }
    }
}

/// Says what went wrong on stderr.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    if failure.code != 0 {
        eprintln!("error: {}", message(&failure.error));
    }
    ExitCode::from(failure.code)
}

/// The error and its causes, each that the text before does not tell already.
fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    #[test]
    fn a_cause_that_is_told_already_is_not_told_again() {
        let error = anyhow!("disk on fire").context("cannot write x: disk on fire").context("no store");
        assert_eq!(super::message(&error), "no store: cannot write x: disk on fire");
    }
}
