//! File descriptors: each connection takes one, and a process gets a limited number of them.

use std::io;

/// One in so many descriptors is left for handshakes, the store, and whatever else the process has open.
const SPARE_PART: usize = 4;

/// `wanted` connections, or as many as the process has descriptors for, where the system says how many those are.
pub(super) fn connections_max(wanted: usize) -> usize {
    let Some(files_max) = files_max() else { return wanted };
    let max = room(files_max);
    if wanted > max {
        event!(info, wanted, max, files_max, "fewer connections than max_connections: the process may open few files");
    }
    wanted.min(max)
}

/// Whether the process, or the machine, has as many files open as it may.
pub(super) fn out_of_files(error: &io::Error) -> bool {
    // ENFILE and EMFILE, alike on all systems of that family; WSAEMFILE.
    let numbers: &[i32] = if cfg!(unix) { &[23, 24] } else { &[10_024] };
    error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

fn room(files_max: usize) -> usize {
    (files_max - files_max / SPARE_PART).max(1)
}

/// The limit that counts is the soft one. Other systems tell it only to C programs.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn files_max() -> Option<usize> {
    parsed(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn files_max() -> Option<usize> {
    None
}

/// From a table of name, soft limit, hard limit and unit; `None` also for "unlimited".
#[cfg(any(target_os = "linux", target_os = "android", test))]
fn parsed(limits: &str) -> Option<usize> {
    let row = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    row.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read_and_a_quarter_of_it_left() {
        let table = |soft| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max processes             7823                 7823                 processes \n\
                 Max open files            {soft}                 524288               files     \n"
            )
        };
        assert_eq!(parsed(&table("1024")), Some(1_024));
        assert_eq!(parsed(&table("unlimited")), None);
        assert_eq!(parsed(""), None);
        assert_eq!((room(1_024), room(256), room(1), room(0)), (768, 192, 1, 1));
        assert_eq!(connections_max(1), 1);
    }

    #[test]
    fn no_files_left_is_told_from_other_failures() {
        let error = io::Error::from_raw_os_error;
        let numbers = if cfg!(unix) { [24, 23] } else { [10_024, 10_024] };
        assert!(numbers.into_iter().all(|number| out_of_files(&error(number))));
        assert!(!out_of_files(&error(111)) && !out_of_files(&io::ErrorKind::TimedOut.into()));
    }
}
