//! What the network does to every message.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

/// How the network treats messages. It may be changed while the network runs.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// How long a message is on its way, drawn for each.
    pub latency: Latency,
    /// Probability, 0 to 1, that a message never arrives. This is harsher than TCP, whose connection would break: the
    /// caller hears nothing until its deadline.
    pub loss: f64,
    /// Probability, 0 to 1, that a request other than for a stream arrives twice. A transport over TCP
    /// promises more than this.
    pub duplication: f64,
    /// Messages of one pair of nodes may overtake each other; streams stay in order. Off: as on one TCP connection.
    pub reordering: bool,
    /// Calls from one node to another that wait for an answer, and requests that the other works on for it: each at
    /// most this, one more is `Overloaded`.
    pub pair_requests_max: usize,
    /// Bytes of one encoded message; a longer one is `TooLarge`.
    pub message_len_max: usize,
}

impl Default for NetworkConfig {
    /// A quiet local network: 1 to 10 ms, nothing lost.
    fn default() -> Self {
        Self {
            latency: Latency::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) },
            loss: 0.0,
            duplication: 0.0,
            reordering: false,
            pair_requests_max: 1024,
            message_len_max: 64 << 20,
        }
    }
}

/// The distribution of delays. The paused clock moves in milliseconds: a message arrives at the first whole
/// millisecond after its delay, and messages of one millisecond in the order of their exact times.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Latency {
    /// Always the same.
    Fixed(Duration),
    /// Each value from `min` to `max` is as likely as any other.
    Uniform {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// Mostly near `min`, with a heavy tail: one in a hundred exceeds `min` by nine times (`mean` - `min`) or more,
    /// up to `max`. Cutting at `max` makes the true mean a little lower than `mean`.
    Tailed {
        /// The shortest.
        min: Duration,
        /// The mean without the cut at `max`.
        mean: Duration,
        /// The longest.
        max: Duration,
    },
}

impl Latency {
    /// One delay in nanoseconds, at least 1.
    pub(super) fn draw_ns(self, rng: &mut StdRng) -> u64 {
        let ns = |d: Duration| d.as_nanos() as u64;
        let delay = match self {
            Self::Fixed(delay) => ns(delay),
            Self::Uniform { min, max } => rng.random_range(ns(min)..=ns(max).max(ns(min))),
            Self::Tailed { min, mean, max } => {
                // A Lomax distribution of shape 2, whose mean is its scale. Only divisions and square roots, which
                // IEEE 754 rounds alike on every machine; a logarithm would not be bit-identical.
                let scale = ns(mean.saturating_sub(min)) as f64;
                let excess = scale * (1.0 / (1.0 - rng.random::<f64>()).sqrt() - 1.0);
                (ns(min) + excess as u64).min(ns(max))
            }
        };
        delay.max(1)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn delays_keep_their_bounds_and_means() {
        let ms = Duration::from_millis;
        let uniform = Latency::Uniform { min: ms(2), max: ms(8) };
        let tailed = Latency::Tailed { min: ms(2), mean: ms(5), max: ms(10_000) };
        for (latency, min, max) in [(uniform, 2.0, 8.0), (tailed, 2.0, 10_000.0), (Latency::Fixed(ms(5)), 5.0, 5.0)] {
            let mut rng = StdRng::seed_from_u64(1);
            let drawn: Vec<f64> = (0..100_000).map(|_| latency.draw_ns(&mut rng) as f64 / 1e6).collect();
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            assert!((4.8..5.2).contains(&mean), "{latency:?}: mean {mean}");
            assert!(drawn.iter().all(|d| (min..=max).contains(d)), "{latency:?}");
            let far = drawn.iter().filter(|&&d| d > 29.0).count();
            assert!(if latency == tailed { (800..1200).contains(&far) } else { far == 0 }, "{latency:?}: {far} far");
        }
    }

    #[test]
    fn a_delay_is_never_zero() {
        let mut rng = StdRng::seed_from_u64(1);
        assert_eq!(Latency::Fixed(Duration::ZERO).draw_ns(&mut rng), 1);
    }
}
