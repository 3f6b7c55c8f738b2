//! Responses.

use bytes::Bytes;

use super::data::{
    digest, digest_bytes, fingerprints, fingerprints_bytes, listed, record_item, record_item_message, versions,
    versions_message, wall_ms,
};
use super::pack::{pack, unpack, unpack_exact};
use super::ring::{lists, lists_message, slot, slot_lists, slots_bytes};
use super::runs::{more, more_bytes, runs};
use super::{Result, all, each, parts, required, ring_id, ring_id_halves};
use crate::wire::error::WireError;
use crate::wire::limits::{POSITIONS_MAX, SLOTS_MAX};
use crate::wire::message::{
    CompareResult, Neighbours, Pointer, Response, SEALING_KEY_LEN, ScanFrom, SealingKey, Standing,
};
use crate::wire::proto;

impl From<&Response> for proto::Response {
    fn from(response: &Response) -> Self {
        match response {
            Response::LastLife { records } => Self::LastLife(proto::LastLife { records: all(records) }),
            Response::Pong { records } => Self::Pong(proto::Pong { records: all(records) }),
            Response::Probed { alive } => Self::Probed(proto::Probed { alive: *alive }),
            Response::Synced { differing, digests, lists } => Self::Synced(proto::Synced {
                digests: all(digests),
                slots: slots_bytes(lists.iter().map(|(slot, _)| *slot)),
                lists: lists_message(lists.iter().map(|(_, list)| list)),
                differing: pack(differing.iter().map(|bucket| bucket.to_le_bytes())),
            }),
            Response::Exchanged { records } => Self::Exchanged(proto::Exchanged { records: all(records) }),
            Response::Welcome { ring_id, config, records, wall_ms, reunites, forgotten, given_up_ms } => {
                let (ring_high, ring_low) = ring_id_halves(Some(*ring_id));
                let (config, records) = (Some(config.into()), all(records));
                let (wall_ms, reunites, forgotten) = (*wall_ms, *reunites, *forgotten);
                let given_up_ms = *given_up_ms;
                Self::Welcome(proto::Welcome {
                    ring_high,
                    ring_low,
                    config,
                    records,
                    wall_ms,
                    reunites,
                    forgotten,
                    given_up_ms,
                })
            }
            Response::Admitted { granted } => Self::Admitted(proto::Admitted { granted: *granted }),
            Response::Neighbours { items, records } => {
                let told = items.iter().flatten();
                let pointers = told.flat_map(|item| item.predecessor.iter().chain(&item.successors));
                let len = |item: &Option<Neighbours>| item.as_ref().map_or(0, |item| item.successors.len());
                let count = |item| u32::try_from(len(item)).unwrap_or(u32::MAX).to_le_bytes();
                let flag = |item: &Option<Neighbours>| match item {
                    Some(item) => u8::from(item.predecessor.is_some()),
                    None => UNCHANGED,
                };
                Self::Neighbours(proto::Neighbours {
                    pointers: pointers.map(Into::into).collect(),
                    predecessors: items.iter().map(flag).collect(),
                    successor_counts: pack(items.iter().map(count)),
                    records: all(records),
                })
            }
            Response::Route { done, pointers, past, replicas, records } => Self::Route(proto::Route {
                done: *done,
                pointers: all(pointers),
                records: all(records),
                past: all(past),
                replicas: all(replicas),
            }),
            Response::Applied { results, records } => {
                Self::Applied(proto::Applied { results: all(results), records: all(records) })
            }
            Response::Stored { results } => Self::Stored(proto::Stored { results: all(results) }),
            Response::Fetched { results } => Self::Fetched(proto::Fetched { results: all(results) }),
            Response::Compared { results } => {
                let runs = runs(results, CompareResult::eq);
                Self::Compared(proto::Compared {
                    standings: runs.iter().map(|(result, _)| standing_number(result.standing)).collect(),
                    lists: lists_message(runs.iter().map(|(result, _)| &result.list)),
                    fingerprints: fingerprints_bytes(runs.iter().map(|(result, _)| result.fingerprint)),
                    evicted_before_s: match runs.iter().any(|(result, _)| result.evicted_before_s > 0) {
                        true => pack(runs.iter().map(|(result, _)| result.evicted_before_s.to_le_bytes())),
                        false => Bytes::new(),
                    },
                    more: more_bytes(&runs),
                })
            }
            Response::ComparedSums { differing } => Self::ComparedSums(proto::ComparedSums {
                differing: pack(differing.iter().map(|part| part.to_le_bytes())),
            }),
            Response::Versions { entries, listed } => Self::Versions(versions_message(entries, listed.as_deref())),
            Response::Records { items } => {
                Self::Records(proto::Records { items: items.iter().map(record_item_message).collect() })
            }
            Response::Scanned { slots, records, next } => Self::Scanned(proto::Scanned {
                items: records.iter().map(record_item_message).collect(),
                standings: slots.iter().map(|slot| standing_number(slot.standing)).collect(),
                lists: lists_message(slots.iter().map(|slot| &slot.list)),
                fingerprints: fingerprints_bytes(slots.iter().map(|slot| slot.fingerprint)),
                next_slot: next.map(|from| from.slot.0),
                next_after: digest_bytes(next.and_then(|from| from.after)),
            }),
            Response::Described { json } => Self::Described(proto::Described { json: json.clone() }),
            Response::SealKey { id, key } => Self::SealKey(proto::SealKeyAnswer {
                id: *id,
                key: key.as_ref().map_or_else(Bytes::new, |key| Bytes::copy_from_slice(key.expose())),
            }),
            Response::Failure(error) => Self::Failure(error.into()),
        }
    }
}

fn sealing_key(bytes: &Bytes) -> Result<Option<SealingKey>> {
    match <[u8; SEALING_KEY_LEN]>::try_from(bytes.as_ref()) {
        Ok(key) => Ok(Some(SealingKey::new(key))),
        Err(_) if bytes.is_empty() => Ok(None),
        Err(_) => {
            Err(WireError::OutOfRange { what: "bytes of a key", value: bytes.len() as u64, wanted: "32, or none" })
        }
    }
}

impl TryFrom<proto::Response> for Response {
    type Error = WireError;

    fn try_from(response: proto::Response) -> Result<Self> {
        Ok(match response {
            proto::Response::Pong(pong) => Self::Pong { records: each(pong.records)? },
            proto::Response::LastLife(life) => Self::LastLife { records: each(life.records)? },
            proto::Response::Probed(probed) => Self::Probed { alive: probed.alive },
            proto::Response::Synced(synced) => Self::Synced {
                differing: parts(&synced.differing)?,
                digests: each(synced.digests)?,
                lists: slot_lists(&synced.slots, synced.lists.as_ref())?,
            },
            proto::Response::Exchanged(exchanged) => Self::Exchanged { records: each(exchanged.records)? },
            proto::Response::Welcome(welcome) => Self::Welcome {
                ring_id: required("ring_id", ring_id(welcome.ring_high, welcome.ring_low)?)?,
                config: required("ring configuration", welcome.config)?.try_into()?,
                records: each(welcome.records)?,
                wall_ms: wall_ms(welcome.wall_ms)?,
                reunites: welcome.reunites,
                forgotten: welcome.forgotten,
                given_up_ms: welcome.given_up_ms,
            },
            proto::Response::Admitted(admitted) => Self::Admitted { granted: admitted.granted },
            proto::Response::Neighbours(neighbours) => Self::Neighbours {
                items: neighbour_items(neighbours.pointers, &neighbours.predecessors, &neighbours.successor_counts)?,
                records: each(neighbours.records)?,
            },
            proto::Response::Route(route) => Self::Route {
                done: route.done,
                pointers: each(route.pointers)?,
                past: each(route.past)?,
                replicas: each(route.replicas)?,
                records: each(route.records)?,
            },
            proto::Response::Applied(applied) => {
                Self::Applied { results: each(applied.results)?, records: each(applied.records)? }
            }
            proto::Response::Stored(stored) => Self::Stored { results: each(stored.results)? },
            proto::Response::Fetched(fetched) => Self::Fetched { results: each(fetched.results)? },
            proto::Response::Compared(compared) => {
                let (standings, lists) = (&compared.standings, compared.lists.as_ref());
                let runs = compare_results(standings, lists, &compared.fingerprints, &compared.evicted_before_s)?;
                let more = more(&compared.more, runs.len(), SLOTS_MAX)?;
                let of_run = |(result, more): (CompareResult, u16)| {
                    std::iter::repeat_n(result, usize::from(more).saturating_add(1))
                };
                Self::Compared { results: runs.into_iter().zip(more).flat_map(of_run).collect() }
            }
            proto::Response::ComparedSums(compared) => Self::ComparedSums { differing: parts(&compared.differing)? },
            proto::Response::Versions(part) => {
                Self::Versions { entries: versions(&part)?, listed: listed(part.listed)? }
            }
            proto::Response::Records(records) => {
                Self::Records { items: records.items.into_iter().map(record_item).collect::<Result<_>>()? }
            }
            proto::Response::Scanned(scanned) => {
                let slots =
                    compare_results(&scanned.standings, scanned.lists.as_ref(), &scanned.fingerprints, &Bytes::new())?;
                let after = digest("digest to go on behind", &scanned.next_after)?;
                let from = |number| slot(number).map(|slot| ScanFrom { slot, after });
                let next = scanned.next_slot.map(from).transpose()?;
                Self::Scanned {
                    slots,
                    records: scanned.items.into_iter().map(record_item).collect::<Result<_>>()?,
                    next,
                }
            }
            proto::Response::Described(described) => Self::Described { json: described.json },
            proto::Response::SealKey(answer) => Self::SealKey { id: answer.id, key: sealing_key(&answer.key)? },
            proto::Response::Failure(error) => Self::Failure(error.try_into()?),
        })
    }
}

/// Instead of a predecessor flag: the neighbours are those that the asker knows.
const UNCHANGED: u8 = 2;

/// Deals the pointers out to the positions; none may be left over or lacking.
fn neighbour_items(
    pointers: Vec<proto::Pointer>,
    predecessors: &Bytes,
    counts: &Bytes,
) -> Result<Vec<Option<Neighbours>>> {
    let predecessors: &[[u8; 1]] = unpack("positions", predecessors, POSITIONS_MAX)?;
    let counts: &[[u8; 4]] = unpack_exact("successor counts", counts, predecessors.len())?;
    let found = pointers.len();
    let uneven = || WireError::Uneven { what: "pointers", len: found, wanted: "what the counts say".to_owned() };
    let mut pointers = pointers.into_iter().map(Pointer::try_from);
    let mut items = Vec::with_capacity(counts.len());
    for ([has_predecessor], count) in predecessors.iter().zip(counts) {
        let predecessor = match has_predecessor {
            &UNCHANGED if *count == [0; 4] => {
                items.push(None);
                continue;
            }
            0 => None,
            1 => Some(pointers.next().ok_or_else(uneven)??),
            value => {
                let value = u64::from(*value);
                let wanted = "0 or 1, or 2 without successors";
                return Err(WireError::OutOfRange { what: "predecessor flag", value, wanted });
            }
        };
        let count = usize::try_from(u32::from_le_bytes(*count)).unwrap_or(usize::MAX);
        // Before anything is collected: what remains is what there is at most.
        if count > pointers.len() {
            return Err(uneven());
        }
        let successors = pointers.by_ref().take(count).collect::<Result<_>>()?;
        items.push(Some(Neighbours { predecessor, successors }));
    }
    if pointers.len() == 0 { Ok(items) } else { Err(uneven()) }
}

fn compare_results(
    standings: &Bytes,
    list_ids: Option<&proto::Lists>,
    sums: &Bytes,
    evicted_before_s: &Bytes,
) -> Result<Vec<CompareResult>> {
    let standings: &[[u8; 1]] = unpack("slots", standings, SLOTS_MAX)?;
    let lists = lists(list_ids, standings.len())?;
    let fingerprints = fingerprints(sums, standings.len())?;
    let evicted: &[[u8; 4]] = match evicted_before_s {
        none if none.is_empty() => &[],
        some => unpack_exact("evicted_before_s", some, standings.len())?,
    };
    let evicted = evicted.iter().map(|second| u32::from_le_bytes(*second)).chain(std::iter::repeat(0));
    let parts = standings.iter().zip(lists).zip(fingerprints).zip(evicted);
    let result = |((([number], list), fingerprint), evicted_before_s): (((&[u8; 1], _), _), _)| {
        Ok(CompareResult { list, standing: standing(*number)?, fingerprint, evicted_before_s })
    };
    parts.map(result).collect()
}

fn standing_number(standing: Standing) -> u8 {
    match standing {
        Standing::Outsider => 1,
        Standing::Newcomer => 2,
        Standing::CaughtUp => 3,
        Standing::Returned => 4,
    }
}

fn standing(number: u8) -> Result<Standing> {
    match number {
        1 => Ok(Standing::Outsider),
        2 => Ok(Standing::Newcomer),
        3 => Ok(Standing::CaughtUp),
        4 => Ok(Standing::Returned),
        value => Err(WireError::OutOfRange { what: "standing", value: value.into(), wanted: "1 to 4" }),
    }
}
