//! The configuration: from a JSON file to values that cannot be invalid.
//!
//! `read` walks the JSON with its positions and collects every problem; [`model`] is what the rest of
//! the program sees; `trust` says whether the file may be believed at all.

pub mod model;
