//! JSON in and out for bindings: options, entries and keys in; outcomes, values, batches and shapes out.
//!
//! An answer that has a value tells its format: "json" and the value itself, "bytes" and their hexadecimal digits as a
//! text, or null and null where there is none. The value is the last member, so that what comes before it can be read
//! without a parser of JSON.
//!
//! Values pass through as the text that they are: checked once where they enter, never parsed into a tree, never
//! re-encoded. Every function that reads gives `InvalidArgument` for text that is not what it takes, except that a wrong
//! value is `InvalidValue`.

mod input;
mod output;

pub use input::{Options, entries, expected, keys};
pub use output::{deleted, error, found, json_text, outcomes, shape, swap, versioned};
