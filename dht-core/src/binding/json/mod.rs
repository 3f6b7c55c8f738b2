//! JSON in and out for bindings: options, entries and keys in; outcomes, values, batches and shapes out.
//!
//! Values pass through as the text that they are: checked once where they enter, never parsed into a tree, never
//! re-encoded. Every function that reads gives `InvalidArgument` for text that is not what it takes, except that a wrong
//! value is `InvalidValue`.

mod input;
mod output;

pub use input::{Options, entries, keys};
pub use output::{deleted, error, found, json_text, outcome, outcomes, shape, versioned};
