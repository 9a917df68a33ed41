//! Whether HUP ends anything here, for the tests that send it.

/// Whether what is started here goes on when its terminal goes, as under nohup: HUP ends nothing then.
pub(crate) fn is_ignored() -> bool {
    const HUP: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & HUP != 0)
}
