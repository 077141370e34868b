//! Numbers on the command line, each as large as any use of it goes: none overflows, none asks for all memory or for ever.

/// ECGs: a dataset of so many takes 8 TB.
pub(super) const ECGS: usize = 100_000_000;
/// Passes, points and resamples; examples in a batch.
pub(super) const ROUNDS: usize = 1_000_000;
/// Steps and samples of a method, each of them a run of the network for every ECG.
pub(super) const RUNS: usize = 100_000;
/// Threads.
pub(super) const THREADS: usize = 1024;
/// Megabytes: 1 TB.
pub(super) const MEGABYTES: usize = 1 << 20;

/// A whole number of no more than `MOST`.
pub(super) fn up_to<const MOST: usize>(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|number| *number <= MOST).ok_or_else(|| format!("not a whole number up to {MOST}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        assert_eq!((up_to::<10>("10"), up_to::<10>("0")), (Ok(10), Ok(0)));
        for text in ["11", "18446744073709551615", "99999999999999999999999", "-1", "1e3", "", "ten", "1.5"] {
            assert_eq!(up_to::<10>(text), Err("not a whole number up to 10".into()), "{text}");
        }
    }
}
