//! What is on its way, in the order of arrival.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;
use dht_core::transport::TransportError;
use dht_core::wire::HEADER_LEN;

/// An endpoint's place in the network and which of the endpoints that were there it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Site {
    pub(super) place: u32,
    /// Grows when an endpoint goes, so that what was meant for it never reaches its successor.
    pub(super) epoch: u32,
}

/// One message on its way.
pub(super) struct Parcel {
    /// Its number in the trace.
    pub(super) number: u64,
    pub(super) from: Site,
    pub(super) to: Site,
    pub(super) kind: &'static str,
    pub(super) load: Load,
}

pub(super) enum Load {
    Request {
        manner: Manner,
        bytes: Bytes,
    },
    Response {
        call: u64,
        bytes: Bytes,
    },
    /// The call will get no response.
    Failed {
        call: u64,
        error: TransportError,
    },
    /// One response of a stream; `index` counts them, so that the reader sees a gap.
    Item {
        call: u64,
        index: u64,
        bytes: Bytes,
    },
    /// After the last response of a stream.
    End {
        call: u64,
        index: u64,
    },
    /// The reader of a stream has room again.
    Credit {
        call: u64,
        count: usize,
    },
    /// The reader of a stream is gone. Not held up by cuts: it stands for the keep-alive by which a sender notices.
    Cancel {
        call: u64,
    },
}

impl Load {
    /// The encoded message, if it is one of the protocol's and not the network's own.
    pub(super) fn message(&self) -> Option<&Bytes> {
        match self {
            Self::Request { bytes, .. } | Self::Response { bytes, .. } | Self::Item { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// Bytes on the way, framing included.
    pub(super) fn framed_len(&self) -> u64 {
        (self.message().map_or(0, Bytes::len) + HEADER_LEN) as u64
    }
}

/// What a request waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    OneWay,
    Call(u64),
    Open(u64),
    /// A second copy of a request, with the call of the first.
    Copy(Option<u64>),
}

impl Manner {
    pub(super) fn call(self) -> Option<u64> {
        match self {
            Self::OneWay => None,
            Self::Call(call) | Self::Open(call) => Some(call),
            Self::Copy(call) => call,
        }
    }
}

/// Parcels by the time when they are due and, for one time, in the order of sending. The heap moves keys of 24 bytes;
/// the parcels stay where they are.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    parcels: Vec<Option<Parcel>>,
    free: Vec<u32>,
    sequence: u64,
}

impl Queue {
    pub(super) fn push(&mut self, due_ns: u64, parcel: Parcel) {
        self.sequence += 1;
        self.push_again(due_ns, self.sequence, parcel);
    }

    /// With the `sequence` that it was popped with: postponed parcels keep their order.
    pub(super) fn push_again(&mut self, due_ns: u64, sequence: u64, parcel: Parcel) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.parcels.push(None);
            self.parcels.len() as u32 - 1
        });
        self.parcels[index as usize] = Some(parcel);
        self.heap.push(Reverse((due_ns, sequence, index)));
    }

    /// The first parcel that is due by `now_ns`, and its sequence.
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Option<(u64, Parcel)> {
        if self.next_due_ns()? > now_ns {
            return None;
        }
        let Reverse((_, sequence, index)) = self.heap.pop()?;
        self.free.push(index);
        self.parcels[index as usize].take().map(|parcel| (sequence, parcel))
    }

    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.heap.peek().map(|&Reverse((due_ns, ..))| due_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(number: u64) -> Parcel {
        let site = Site { place: 0, epoch: 0 };
        Parcel { number, from: site, to: site, kind: "cancel", load: Load::Cancel { call: 0 } }
    }

    #[test]
    fn parcels_come_by_time_then_by_order_of_sending() {
        let mut queue = Queue::default();
        for (number, due_ns) in [(1, 30), (2, 10), (3, 10), (4, 20)] {
            queue.push(due_ns, parcel(number));
        }
        assert!(queue.pop_due(9).is_none());
        let (sequence, postponed) = queue.pop_due(10).expect("due");
        assert_eq!(postponed.number, 2);
        queue.push_again(20, sequence, postponed);
        queue.push(20, parcel(5));
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop_due(30)).map(|(_, parcel)| parcel.number).collect();
        assert_eq!(order, [3, 2, 4, 5, 1]);
        assert_eq!(queue.next_due_ns(), None);
    }
}
