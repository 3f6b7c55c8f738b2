//! Tables of medians over rounds, with their spread.

use std::time::Duration;

/// Name, decimals, and what is aimed at.
pub(crate) struct Row(pub(crate) &'static str, pub(crate) usize, pub(crate) &'static str);

/// `rounds` has the figures of each round, in the order of `rows`.
pub(crate) fn print(rows: &[Row], rounds: &[Vec<f64>]) {
    println!("| | median (least to most) | aim |\n|---|---|---|");
    for (index, Row(name, decimals, aim)) in rows.iter().enumerate() {
        let mut values: Vec<f64> = rounds.iter().map(|round| round[index]).collect();
        values.sort_by(f64::total_cmp);
        let of = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
        println!("| {name} | {:.d$} ({:.d$} to {:.d$}) | {aim} |", of(0.5), of(0.0), of(1.0), d = decimals);
    }
}

/// In microseconds, of sorted times; 0 of none.
pub(crate) fn at(times: &[Duration], q: f64) -> f64 {
    let place = (times.len() as f64 * q).ceil() as usize;
    times.get(place.clamp(1, times.len().max(1)) - 1).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}
