//! `sim-tables [NAME [NODES]]`: measures the ring in the simulator and prints tables; all of them without a name.

use std::process::ExitCode;

use dht_sim::tables::{self, Table};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Option<Vec<&Table>> = match words.first() {
        None => Some(tables::ALL.iter().collect()),
        Some(name) => tables::find(name).map(|table| vec![table]),
    };
    let nodes = words.get(1).map(|text| text.parse::<usize>());
    let (Some(chosen), Ok(nodes), true) = (chosen, nodes.transpose(), words.len() <= 2) else {
        eprintln!("usage: sim-tables [NAME [NODES]]\ntables:");
        for table in tables::ALL {
            eprintln!("  {:<16} {}", table.name, table.about);
        }
        return ExitCode::from(2);
    };
    for table in chosen {
        println!("# {}: {}", table.name, table.about);
        if let Err(failure) = (table.print)(nodes) {
            eprintln!("{failure}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
