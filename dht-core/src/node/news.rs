//! What this node has heard of others and still passes on (SWIM, Das et al. 2002, §4.1), which of them seem to know
//! something else, and how many bytes exchanges with those may cost.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::ring::difference::Scope;
use crate::ring::record::{NodeId, NodeRecord};

/// Records on one message.
const NEWS_MAX: usize = 16;
/// A piece that was heard again so often, from others each time, has spread.
const HEARD_MAX: u32 = 3;
/// Pieces looked at for one message, known to its receiver or not.
const LOOKED_AT_MAX: usize = 4 * NEWS_MAX;
/// Much news is that of more than one of so many nodes; in smaller rings than this, any.
const MUCH: usize = 4;
const LITTLE_NODES_MIN: usize = 64;
/// In place of a view's fingerprint: somebody waits until this node agrees.
pub(super) const WAITED_FOR: u64 = 0;
/// Nodes remembered that seem to know something else; whoever does not fit disagrees again with its next message.
pub(super) const DISAGREEING_MAX: usize = 256;
/// Bytes per second that exchanges of node records may cost in the long run, and how many may be saved up: a ring that
/// forms exchanges at once, one that churns at this rate, whatever its size.
const RATE: f64 = 512.0;
const SAVED_MAX: f64 = 256.0 * 1024.0;
/// The same in larger rings, for each node: an exchange with the other side of a split that has healed tells all of one
/// side or of the other, some 120 bytes a node with the digests, and a few partners are needed.
const SAVED_PER_NODE: f64 = 1024.0;

/// How often a piece was passed on, and when it arrived.
type Place = (u32, std::cmp::Reverse<u64>);

/// Something to pass on.
struct Piece {
    record: NodeRecord,
    /// Boots of nodes that have it: they told it, or were told. Not more than it was passed on and heard.
    known_to: Vec<u64>,
}

impl Piece {
    fn is_known_to(&self, boot: u64) -> bool {
        boot != 0 && self.known_to.contains(&boot)
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct News {
    /// By how often they were passed on, then by arrival, the newest first.
    queue: BTreeMap<Place, Piece>,
    /// Where in the queue the newest record of a node is.
    places: BTreeMap<NodeId, Place>,
    arrivals: u64,
    /// The view fingerprint that each of them had, or [`WAITED_FOR`].
    disagreeing: BTreeMap<NodeId, u64>,
    allowance: Allowance,
}

impl News {
    /// To be passed on, but not to the nodes of these boots; replaces what was known of the node.
    pub(crate) fn push(&mut self, record: NodeRecord, known_to: Vec<u64>) {
        self.arrivals += 1;
        let place = (0, std::cmp::Reverse(self.arrivals));
        if let Some(before) = self.places.insert(record.node_id.clone(), place) {
            self.queue.remove(&before);
        }
        self.queue.insert(place, Piece { record, known_to });
    }

    /// Others pass these on.
    pub(crate) fn leave_to_others(&mut self, records: &[NodeRecord]) {
        for record in records {
            let is_this = |place: &&Place| self.queue.get(place).is_some_and(|piece| piece.record == *record);
            if let Some(place) = self.places.get(&record.node_id).filter(is_this) {
                self.queue.remove(place);
                self.places.remove(&record.node_id);
            }
        }
    }

    /// The node of boot `teller` told this node what it knows already: news that others pass on to who has it has spread nearly
    /// everywhere (Demers et al. 1987, §1.4: feedback).
    pub(crate) fn heard_again(&mut self, record: &NodeRecord, teller: u64, nodes: usize) {
        let Some(&place) = self.places.get(&record.node_id) else { return };
        // Who told it again, or tells it back, does not say that others have it.
        if self.queue.get(&place).is_none_or(|piece| piece.record != *record || piece.is_known_to(teller)) {
            return;
        }
        let Some(mut piece) = self.queue.remove(&place) else { return };
        piece.known_to.push(teller);
        self.put_back(piece, (place.0 + times_max(nodes).div_ceil(HEARD_MAX), place.1), nodes);
    }

    /// What the node of boot `to` (0: unknown) is told now, the least spread first. A piece is passed on 4·⌈log10(nodes + 1)⌉
    /// times, or less often if it comes back before, and then forgotten: by then nearly everybody has it, and the others hear of it
    /// by an exchange. Whoever has it already is not told it, which counts all the same.
    pub(crate) fn take(&mut self, nodes: usize, to: u64) -> Vec<NodeRecord> {
        let (mut places, mut untold) = (Vec::new(), 0);
        for (place, piece) in &self.queue {
            if untold == NEWS_MAX || places.len() == LOOKED_AT_MAX {
                break;
            }
            untold += usize::from(!piece.is_known_to(to));
            places.push(*place);
        }
        let mut taken = Vec::with_capacity(untold);
        for place in places {
            let Some(mut piece) = self.queue.remove(&place) else { continue };
            if !piece.is_known_to(to) {
                taken.push(piece.record.clone());
                piece.known_to.push(to);
            }
            self.put_back(piece, (place.0 + 1, place.1), nodes);
        }
        taken
    }

    /// The least spread of it, for those who pass nothing on: telling them brings it no further.
    pub(crate) fn for_bystanders(&self) -> Vec<NodeRecord> {
        self.queue.values().take(NEWS_MAX).map(|piece| piece.record.clone()).collect()
    }

    /// Unless it was passed on often enough.
    fn put_back(&mut self, piece: Piece, place: Place, nodes: usize) {
        if place.0 < times_max(nodes) {
            self.places.insert(piece.record.node_id.clone(), place);
            self.queue.insert(place, piece);
        } else {
            self.places.remove(&piece.record.node_id);
        }
    }

    /// All that was to be passed on, and who seemed to know something else, were of a ring that this node leaves.
    pub(crate) fn forget(&mut self) {
        self.queue.clear();
        self.places.clear();
        self.disagreeing.clear();
    }

    /// The node had that view when it last spoke, which is not ours; 0: somebody waits until it agrees, which goes before all that
    /// it says. True if it is new that it disagrees.
    pub(crate) fn disagrees(&mut self, node_id: &NodeId, view: u64) -> bool {
        if let Some(theirs) = self.disagreeing.get_mut(node_id) {
            if *theirs != WAITED_FOR {
                *theirs = view;
            }
            return false;
        }
        if self.disagreeing.len() >= DISAGREEING_MAX {
            let other = self.disagreeing.iter().find(|(_, theirs)| **theirs != WAITED_FOR).map(|(id, _)| id.clone());
            match other.filter(|_| view == WAITED_FOR) {
                Some(other) => self.disagreeing.remove(&other),
                None => return false,
            };
        }
        self.disagreeing.insert(node_id.clone(), view);
        true
    }

    /// The node knows what we know.
    pub(crate) fn agrees(&mut self, node_id: &NodeId) {
        self.disagreeing.remove(node_id);
    }

    /// Who still knows something else says so with its next message. Those for whom somebody waits stay.
    pub(crate) fn forget_disagreement(&mut self) {
        self.disagreeing.retain(|_, theirs| *theirs == WAITED_FOR);
    }

    /// Something is passed on, and of few of so many nodes: heartbeats bring it everywhere. Where rings become one there is more, and
    /// exchanges are quicker.
    pub(crate) fn is_little(&self, nodes: usize) -> bool {
        nodes >= LITTLE_NODES_MIN && (1..=nodes / MUCH).contains(&self.queue.len())
    }

    /// Nodes of which something is still passed on.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Nodes that seem to know something else.
    pub(crate) fn disagreeing_len(&self) -> usize {
        self.disagreeing.len()
    }

    pub(crate) fn has_disagreement(&self) -> bool {
        !self.disagreeing.is_empty()
    }

    /// The `nth` of those that do not have the view `ours`, or of those for whom somebody waits, if there are any.
    pub(crate) fn next_disagreeing(&mut self, ours: u64, nth: impl FnOnce(usize) -> usize) -> Option<NodeId> {
        self.disagreeing.retain(|_, theirs| *theirs != ours);
        let waited_for = self.disagreeing.values().filter(|theirs| **theirs == WAITED_FOR).count();
        let fits = |theirs: u64| waited_for == 0 || theirs == WAITED_FOR;
        let at = nth(if waited_for == 0 { self.disagreeing.len() } else { waited_for });
        let chosen = self.disagreeing.iter().filter(|(_, theirs)| fits(**theirs)).nth(at).map(|(id, _)| id.clone())?;
        self.disagreeing.remove(&chosen);
        Some(chosen)
    }

    /// An exchange cost that many bytes. One that includes those who are gone is urgent: somebody waits for lists to agree. It
    /// is never held up by the allowance, so its debt, which could grow without bound, does not hold up the others.
    pub(crate) fn spent(&mut self, scope: Scope, bytes: usize) {
        if !scope.gone {
            self.allowance.owed += bytes as f64;
        }
    }

    /// How long the next exchange has to wait, in a ring of so many nodes.
    pub(crate) fn pause(&mut self, nodes: usize, now: Instant) -> Duration {
        self.allowance.pause(SAVED_MAX.max(SAVED_PER_NODE * nodes as f64), now)
    }
}

/// How often a piece is passed on at most.
fn times_max(nodes: usize) -> u32 {
    4 * nodes.max(1).ilog10() + 4
}

/// A token bucket that may be overdrawn: what an exchange costs is known afterwards.
#[derive(Default)]
struct Allowance {
    /// What exchanges have cost and time has not paid for yet.
    owed: f64,
    at: Option<Instant>,
}

impl Allowance {
    fn pause(&mut self, owed_max: f64, now: Instant) -> Duration {
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.at = Some(now);
        self.owed = (self.owed - passed.as_secs_f64() * RATE).max(0.0);
        Duration::from_secs_f64((self.owed - owed_max).max(0.0) / RATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::ring::record::test_record;

    #[test]
    fn clients_use_no_news_up() {
        let mut news = News::default();
        (0..20).for_each(|n| news.push(test_record(&format!("n{n:02}")), Vec::new()));
        for _ in 0..100 {
            assert_eq!(news.for_bystanders().len(), NEWS_MAX);
        }
        assert_eq!(news.take(9, 0).len(), NEWS_MAX);
        assert_eq!(news.len(), 20);
    }

    #[test]
    fn the_least_spread_is_passed_on_first_and_each_a_bounded_number_of_times() {
        let mut news = News::default();
        for n in 0..20 {
            news.push(test_record(&format!("n{n:02}")), Vec::new());
        }
        let first: Vec<String> = news.take(9, 0).iter().map(|r| r.node_id.to_string()).collect();
        assert_eq!((first.len(), first[0].as_str()), (NEWS_MAX, "n19"));
        let second: Vec<String> = news.take(9, 0).iter().map(|r| r.node_id.to_string()).collect();
        assert_eq!(second[..4], ["n03", "n02", "n01", "n00"], "what was not passed on yet comes before the rest");
        let mut passed = first.len() + second.len();
        loop {
            match news.take(9, 0).len() {
                0 => break,
                n => passed += n,
            }
        }
        assert_eq!(passed, 20 * 4);
        assert!(news.queue.is_empty() && news.places.is_empty());
    }

    #[test]
    fn newer_news_of_a_node_replaces_older() {
        let mut news = News::default();
        news.push(test_record("a"), Vec::new());
        news.take(1_000, 0);
        news.push(NodeRecord { incarnation: 2, ..test_record("a") }, Vec::new());
        let taken = news.take(1_000, 0);
        assert_eq!((taken.len(), taken[0].incarnation), (1, 2));
        let times = 1 + std::iter::from_fn(|| Some(news.take(1_000, 0)).filter(|t| !t.is_empty())).count();
        assert_eq!(times, 16, "4 times log10 of a thousand, and 4");
    }

    #[test]
    fn nobody_is_told_what_it_told_or_was_told() {
        let mut news = News::default();
        news.push(test_record("a"), vec![1]);
        assert!(news.take(1_000, 1).is_empty());
        assert_eq!(news.take(1_000, 2), [test_record("a")]);
        assert!(news.take(1_000, 2).is_empty());
        news.heard_again(&test_record("a"), 3, 1_000);
        assert!(news.take(1_000, 3).is_empty());
        assert_eq!(news.take(1_000, 4), [test_record("a")]);
    }

    #[test]
    fn what_comes_back_three_times_or_is_for_others_to_tell_is_not_passed_on() {
        let mut news = News::default();
        let (a, b) = (test_record("a"), test_record("b"));
        news.push(a.clone(), Vec::new());
        news.push(b.clone(), Vec::new());
        news.heard_again(&a, 1, 100);
        news.heard_again(&a, 2, 100);
        assert_eq!(news.len(), 2);
        news.heard_again(&a, 3, 100);
        assert_eq!(news.len(), 1);
        news.leave_to_others(&[a, NodeRecord { incarnation: 2, ..b.clone() }]);
        assert_eq!(news.len(), 1, "what is known is newer or older than that");
        news.leave_to_others(&[b]);
        assert!(news.queue.is_empty() && news.places.is_empty());
    }

    #[test]
    fn the_same_teller_once_more_says_nothing() {
        let mut news = News::default();
        news.push(test_record("a"), vec![7]);
        for _ in 0..9 {
            news.heard_again(&test_record("a"), 7, 100);
        }
        assert_eq!(news.take(100, 8).len(), 1);
    }

    #[test]
    fn what_the_receiver_knows_is_looked_at_a_bounded_number_of_times() {
        let mut news = News::default();
        for n in 0..LOOKED_AT_MAX + 10 {
            news.push(test_record(&format!("n{n:03}")), vec![1]);
        }
        assert!(news.take(100, 1).is_empty());
        let untouched = news.queue.keys().filter(|(times, _)| *times == 0).count();
        assert_eq!(untouched, 10);
    }

    #[test]
    fn little_news_is_that_of_few_nodes_of_a_large_ring() {
        let mut news = News::default();
        assert!(!news.is_little(100), "nothing is on its way");
        for n in 0..17 {
            assert!(n == 0 || news.is_little(64), "{n}");
            assert!(!news.is_little(63));
            news.push(test_record(&format!("n{n}")), Vec::new());
        }
        assert!(!news.is_little(64) && news.is_little(68));
        let (waited_for, other) = (NodeId::new("n1"), NodeId::new("n2"));
        assert!(news.disagrees(&other, 5) && news.disagrees(&waited_for, WAITED_FOR));
        assert!(!news.disagrees(&waited_for, 6), "it says what it knows, and somebody waits all the same");
        assert_eq!(news.next_disagreeing(1, |len| len - 1), Some(waited_for.clone()));
        assert_eq!(news.next_disagreeing(1, |len| len - 1), Some(other.clone()));
        news.disagrees(&other, 5);
        news.disagrees(&waited_for, WAITED_FOR);
        news.forget_disagreement();
        assert_eq!(news.disagreeing_len(), 1);
        news.agrees(&waited_for);
        assert!(!news.has_disagreement());
        for n in 0..DISAGREEING_MAX {
            assert!(news.disagrees(&NodeId::new(&format!("m{n}")), 5));
        }
        assert!(!news.disagrees(&other, 5) && news.disagrees(&waited_for, WAITED_FOR));
        assert_eq!(news.disagreeing_len(), DISAGREEING_MAX);
        assert_eq!(news.next_disagreeing(1, |_| 0), Some(waited_for));
    }

    #[test]
    fn whoever_has_come_to_our_view_is_not_asked() {
        let (a, b) = (NodeId::new("a"), NodeId::new("b"));
        let mut news = News::default();
        assert!(news.disagrees(&a, 1) && news.disagrees(&b, 2) && !news.disagrees(&b, 2));
        assert_eq!(news.next_disagreeing(1, |_| 0), Some(b.clone()), "a has the view that we have by now");
        assert!(news.disagrees(&a, 0), "an unknown view is asked for in any case");
        assert_eq!(news.next_disagreeing(1, |_| 0), Some(a.clone()));
        news.disagrees(&b, 2);
        news.agrees(&b);
        assert!(!news.has_disagreement());
    }

    #[tokio::test(start_paused = true)]
    async fn exchanges_are_free_until_the_savings_are_spent_then_rated() {
        let env = Env::simulated(1, 0);
        let mut news = News::default();
        assert_eq!(news.pause(10, env.now()), Duration::ZERO);
        news.spent(Scope { gone: true }, 1 << 30);
        assert_eq!(news.pause(10, env.now()), Duration::ZERO, "urgent ones are not held up, and hold up none");
        news.spent(Scope { gone: false }, SAVED_MAX as usize + 1024);
        assert_eq!(news.pause(10, env.now()), Duration::from_secs(2));
        assert_eq!(news.pause(1_000, env.now()), Duration::ZERO, "a large ring has more to tell");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(news.pause(10, env.now()), Duration::ZERO);
    }
}
