//! Tables for people, the same look everywhere.

use std::io::IsTerminal;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::Value;

/// Columns of a terminal from which on cells may be broken to fit.
const WIDTH_MIN: u16 = 60;

/// An empty table with these headings.
pub(crate) fn new(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(headings);
    // Cells are broken only where a person looks at them, and has room: a program that reads the table wants its rows
    // whole, and a terminal that tells no width would get one letter per line.
    let arrangement = match table.width() {
        Some(WIDTH_MIN..) if std::io::stdout().is_terminal() => ContentArrangement::Dynamic,
        _ => ContentArrangement::Disabled,
    };
    table.set_content_arrangement(arrangement);
    table
}

/// Numbers stand right, from column `first` on.
pub(crate) fn align_right(table: &mut Table, first: usize) {
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Two columns, a row for each member of a JSON object; members of an inner object are named with a point.
pub(crate) fn pairs(headings: [&str; 2], object: &Value) -> Table {
    let mut table = new(&headings);
    for (name, value) in object.as_object().into_iter().flatten() {
        match value {
            Value::Object(inner) => {
                for (inner_name, value) in inner {
                    table.add_row([format!("{name}.{inner_name}"), cell(value)]);
                }
            }
            _ => {
                table.add_row([name.clone(), cell(value)]);
            }
        }
    }
    align_right(&mut table, 1);
    table
}

/// A JSON value as a person writes it: texts without quotes, nothing for null, numbers with at most six decimals.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() != 0.0 => {
                let text = format!("{float:.6}");
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            Some(float) if number.is_f64() => format!("{float:.0}"),
            _ => number.to_string(),
        },
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells() {
        for (value, text) in [
            (json!(null), ""),
            (json!("a b"), "a b"),
            (json!(1.0), "1"),
            (json!(1.5), "1.5"),
            (json!(0.12345678), "0.123457"),
            (json!(1e-9), "0"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(true), "true"),
        ] {
            assert_eq!(cell(&value), text);
        }
    }

    #[test]
    fn inner_objects_become_rows() {
        let table = pairs(["name", "value"], &json!({"a": 1, "errors": {"QUORUM": 2}})).to_string();
        assert!(table.contains("errors.QUORUM") && table.contains("name"), "{table}");
        assert_eq!(pairs(["name", "value"], &json!(7)).row_count(), 0);
    }
}
