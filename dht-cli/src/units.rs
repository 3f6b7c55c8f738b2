//! Durations and sizes: read from flags as everywhere in the product, shown for people.

use std::time::Duration;

use dht_core::Config;

/// "250ms", "2s", "1.5h", or seconds without a unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    // A duration of the configuration reads the very same texts, and this is the only parser of them that is public.
    let mut reader = Config::default();
    match reader.set("request_timeout", text) {
        Ok(()) => Ok(reader.request_timeout),
        Err(_) => Err("not a duration: seconds, or text like 250ms, 2s, 1h".to_owned()),
    }
}

/// As [`parse_duration`], but more than nothing.
pub(crate) fn parse_positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("must be more than 0".to_owned()),
        duration => Ok(duration),
    }
}

/// "128MiB", "10MB", or bytes without a unit.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let mut reader = Config::default();
    match reader.set("max_memory", text) {
        Ok(()) => reader.max_memory.ok_or_else(|| "must not be empty".to_owned()),
        Err(_) => Err("not a size: bytes, or text like 4KiB, 128MiB".to_owned()),
    }
}

/// Bytes with three digits: "17 B", "1.23 KiB", "45.6 MiB".
pub(crate) fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.5 would be shown as 1024.
    while amount >= 1023.5 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let digits = if amount < 10.0 {
        2
    } else if amount < 100.0 {
        1
    } else {
        0
    };
    format!("{amount:.digits$} {}", UNITS[unit])
}

/// A whole number with its thousands apart: "1,234,567".
pub(crate) fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// "850 µs", "1.25 ms", "3.1 s".
pub(crate) fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_as_in_the_configuration() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_positive_duration("1h"), Ok(Duration::from_secs(3_600)));
        assert_eq!(parse_size("128MiB"), Ok(128 << 20));
        assert_eq!(parse_size("0"), Ok(0));
        for wrong in ["", "soon", "-1", "1 parsec"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
        assert!(parse_positive_duration("0s").is_err());
    }

    #[test]
    fn shown_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (20 << 10, "20.0 KiB"),
            ((1 << 20) - 1, "1.00 MiB"),
            (128 << 20, "128 MiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(show_bytes(bytes), text);
        }
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(show_count(count), text);
        }
        assert_eq!(show_duration(Duration::from_micros(850)), "850 µs");
        assert_eq!(show_duration(Duration::from_micros(1_250)), "1.25 ms");
        assert_eq!(show_duration(Duration::from_millis(3_100)), "3.10 s");
    }
}
