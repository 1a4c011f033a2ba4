//! (being written)

pub mod demo_service;
