//! What was the highest of something among all that had ended, or begun, before an instant: answered by one sort and a
//! binary search.

/// (instant, what): after `seal`, in the order of the instants, each with the highest so far.
pub(super) struct Highest<T>(Vec<(u64, T)>);

impl<T: Copy + PartialOrd> Highest<T> {
    pub(super) fn of(mut marks: Vec<(u64, T)>) -> Self {
        marks.sort_unstable_by_key(|(instant, _)| *instant);
        for at in 1..marks.len() {
            let before = marks[at - 1].1;
            if marks[at].1 < before {
                marks[at].1 = before;
            }
        }
        Self(marks)
    }

    /// The highest that is marked before `instant`.
    pub(super) fn before(&self, instant: u64) -> Option<T> {
        let at = self.0.partition_point(|(marked, _)| *marked < instant);
        at.checked_sub(1).map(|at| self.0[at].1)
    }
}
