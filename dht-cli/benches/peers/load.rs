//! Callers that do one thing after the other for a while, and what they came to.

use std::time::Duration;

use dht_core::Env;

use crate::{CALLERS, KEYS};

/// Lets every caller repeat its operation for `length`; operations per second of all together. An operation that fails ends
/// the benchmark.
pub(crate) async fn run<C, F>(length: Duration, caller: impl Fn(usize) -> C) -> f64
where
    C: FnMut(usize) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let env = Env::system();
    let begin = env.now();
    let end = begin + length;
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let mut operation = caller(number);
            let env = env.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while env.now() < end {
                    operation((number + done * CALLERS) % KEYS).await;
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for caller in callers {
        done += caller.await.expect("a caller's operation succeeds");
    }
    done as f64 / (env.now() - begin).as_secs_f64()
}

/// Rates by name, the first of which is ours.
#[derive(Default)]
pub(crate) struct Rates(Vec<(&'static str, Vec<f64>)>);

impl Rates {
    pub(crate) fn add(&mut self, name: &'static str, rate: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rates)) => rates.push(rate),
            None => self.0.push((name, vec![rate])),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &[f64])> {
        self.0.iter().map(|(name, rates)| (*name, rates.as_slice()))
    }

    /// Ours divided by that, round by round.
    pub(crate) fn relation(&self, name: &str) -> String {
        let ours = &self.0[0].1;
        let theirs = self.all().find(|(known, _)| *known == name).map_or(&[][..], |(_, rates)| rates);
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let mut sorted = ratios;
        sorted.sort_by(f64::total_cmp);
        match sorted.as_slice() {
            [] => "—".to_owned(),
            all => format!("{:.2} ({:.2} to {:.2})", all[all.len() / 2], all[0], all[all.len() - 1]),
        }
    }
}

pub(crate) fn spread(rates: &[f64]) -> String {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    format!("{:.0} ({:.0} to {:.0})", sorted[sorted.len() / 2], sorted[0], sorted[sorted.len() - 1])
}

/// The n-th key, of 16 bytes: also what etcd's gateway takes as base64.
pub(crate) fn key(n: usize) -> String {
    format!("{:016x}", (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
