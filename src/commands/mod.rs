//! (being written)

pub mod validate;
