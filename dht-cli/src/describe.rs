//! `dht stats`, `ring`, `locate`, `health`: what a node tells about itself and the ring, as a table or as it came.

use comfy_table::Table;
use dht_core::Topic;
use serde_json::Value;

use crate::args::{LocateArgs, NodeArgs, StatsArgs};
use crate::client::with_node;
use crate::failure::Failure;
use crate::{output, table, value};

/// `dht stats`.
pub(crate) fn statistics(args: &StatsArgs, as_json: bool) -> Result<(), Failure> {
    if args.prometheus {
        let page = with_node(&args.node, async |remote| remote.metrics().await)?;
        return output::write(page.as_bytes());
    }
    let told = ask(&args.node, Topic::Statistics, b"")?;
    print(as_json, &told, || table::pairs(["statistic", "value"], &told).to_string())
}

/// `dht health`.
pub(crate) fn health(args: &NodeArgs, as_json: bool) -> Result<(), Failure> {
    let told = ask(args, Topic::Health, b"")?;
    print(as_json, &told, || table::pairs(["health", "value"], &told).to_string())
}

/// `dht ring`.
pub(crate) fn ring(args: &NodeArgs, as_json: bool) -> Result<(), Failure> {
    let told = ask(args, Topic::Ring, b"")?;
    print(as_json, &told, || {
        let summary = ["hash_bits", "slot_bits", "replication_factor", "view"]
            .map(|name| format!("{name} {}", told.get(name).map_or_else(String::new, table::cell)));
        format!("{}\n{}", nodes(told.get("nodes").unwrap_or(&Value::Null)), summary.join(", "))
    })
}

/// `dht locate`.
pub(crate) fn locate(args: &LocateArgs, as_json: bool) -> Result<(), Failure> {
    let told = ask(&args.node, Topic::Locate, value::key_bytes(&args.key))?;
    print(as_json, &told, || nodes(&told).to_string())
}

fn ask(args: &NodeArgs, topic: Topic, key: &[u8]) -> Result<Value, Failure> {
    with_node(args, async |remote| remote.describe(topic, key).await)
}

fn print(as_json: bool, told: &Value, shown: impl FnOnce() -> String) -> Result<(), Failure> {
    if as_json { output::line(told) } else { output::line(shown()) }
}

/// A row for each node, in the order given; columns that no node has are left out.
fn nodes(list: &Value) -> Table {
    const COLUMNS: [&str; 7] = ["id", "address", "state", "zone", "incarnation", "vnodes", "share"];
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    let tells = |name: &&str| list.iter().any(|node| node.get(*name).is_some_and(|cell| cell.as_str() != Some("")));
    let columns: Vec<&str> = COLUMNS.into_iter().filter(tells).collect();
    let mut table = table::new(&columns);
    for node in list {
        table.add_row(columns.iter().map(|name| node_cell(name, node)));
    }
    let texts = columns.iter().filter(|name| ["id", "address", "state", "zone"].contains(*name)).count();
    table::align_right(&mut table, texts);
    table
}

fn node_cell(name: &str, node: &Value) -> String {
    match (name, node.get(name).unwrap_or(&Value::Null)) {
        ("share", share) => share.as_f64().map_or_else(String::new, |share| format!("{:.1} %", share * 100.0)),
        (_, value) => table::cell(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_in_order_with_what_they_tell() {
        let list = json!([
            {"id": "b", "address": "h:1", "state": "active", "zone": "", "vnodes": 16, "share": 0.25},
            {"id": "a", "address": "h:2", "state": "left", "zone": "", "vnodes": 16, "share": 0.75},
        ]);
        let shown = nodes(&list).to_string();
        assert!(shown.find("h:1") < shown.find("h:2"), "{shown}");
        assert!(shown.contains("25.0 %") && !shown.contains("zone"), "{shown}");
        assert_eq!(nodes(&Value::Null).row_count(), 0);
    }
}
