//! (being written)

pub mod validate;
pub mod demo_service;
