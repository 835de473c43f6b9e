//! Pages: how many are asked for, and where the last one ended.

use ensemble_protocol::Refusal;
use tonic::Status;

const DEFAULT: u32 = 100;
const MOST: u32 = 1000;

/// How many to give.
pub(super) fn size(asked: u32) -> usize {
    if asked == 0 { DEFAULT as usize } else { asked.min(MOST) as usize }
}

/// A token's numbers.
pub(super) fn read<const N: usize>(token: &str) -> Result<Option<[u64; N]>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let numbers: Option<Vec<u64>> = token.split('-').map(|part| u64::from_str_radix(part, 16).ok()).collect();
    let wrong = || Refusal::InvalidField("page_token").status("this is no token that this call has given");
    numbers.and_then(|n| n.try_into().ok()).map(Some).ok_or_else(wrong)
}

/// A token of these numbers.
pub(super) fn token<const N: usize>(numbers: [u64; N]) -> String {
    numbers.map(|n| format!("{n:x}")).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_others_are_refused() {
        assert_eq!(read(&token([1, u64::MAX, 0])).unwrap(), Some([1, u64::MAX, 0]));
        assert_eq!(read::<2>("").unwrap(), None);
        for wrong in ["x", "1", "1-2-3", "-"] {
            assert!(read::<2>(wrong).is_err(), "{wrong}");
        }
        assert_eq!([size(0), size(7), size(5000)], [100, 7, 1000]);
    }
}
