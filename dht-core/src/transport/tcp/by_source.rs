//! How many of something each source has.

use std::net::IpAddr;

use crate::data::FixedMap;

/// Sources without any are not remembered.
#[derive(Default)]
pub(in crate::transport) struct BySource(FixedMap<IpAddr, usize>);

impl BySource {
    pub(in crate::transport) fn add(&mut self, source: IpAddr) {
        *self.0.entry(source).or_default() += 1;
    }

    pub(in crate::transport) fn remove(&mut self, source: IpAddr) {
        if let Some(count) = self.0.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&source);
            }
        }
    }

    pub(in crate::transport) fn count(&self, source: IpAddr) -> usize {
        self.0.get(&source).copied().unwrap_or(0)
    }

    /// As many as those have that have most.
    pub(in crate::transport) fn most(&self) -> usize {
        self.0.values().copied().max().unwrap_or(0)
    }

    #[cfg(test)]
    pub(in crate::transport) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A source that has a share of what there is room for: those of this machine have none.
pub(in crate::transport) fn counted(source: IpAddr) -> Option<IpAddr> {
    (!source.is_loopback()).then_some(source)
}
