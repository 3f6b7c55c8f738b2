//! Pure: who owns what. Ids, slots, node records, the view derived from them, Chord's pointers, replica lists.
//!
//! Nothing here waits, sends or reads a clock; time and chance come in as arguments.

pub(crate) mod choice;
pub(crate) mod difference;
pub(crate) mod frontier;
pub(crate) mod hash;
pub(crate) mod id;
pub(crate) mod list;
pub(crate) mod members;
pub(crate) mod params;
pub(crate) mod record;
pub(crate) mod reunion;
pub(crate) mod route;
pub(crate) mod shared;
pub(crate) mod slot;
pub(crate) mod view;
pub(crate) mod vnode;
mod zones;
