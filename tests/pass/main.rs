//! Whole passes with doubles, and the parts that need a folder or a loopback server: one crate, since every crate compiles what they share for itself.

#[path = "../model_parts/mod.rs"]
mod model_parts;
#[path = "../sample/mod.rs"]
mod sample;
#[path = "../world/mod.rs"]
mod world;

mod decide_table;
mod fuzz_targets;
mod journal_sink;
mod model;
mod notify_loopback;
mod outbox_delivery;
mod pass_alive;
mod pass_chain;
mod pass_chain_limits;
mod pass_clock;
mod pass_containers;
mod pass_dependants;
mod pass_disk;
mod pass_ended;
mod pass_events;
mod pass_kept;
mod pass_marker_late;
mod pass_night;
mod pass_restart;
mod store_files;
