//! The binary against a fake `docker` and loopback servers, and what it reads and writes: one crate, since every crate compiles what they share for itself.

#[path = "../common/mod.rs"]
mod common;

mod alerts_delivery;
mod alerts_incident;
mod alerts_invalid;
mod alerts_phone;
mod alerts_secrets;
mod batch_shells;
mod commands_explain;
mod commands_invalid;
mod commands_run;
mod commands_stop;
mod commands_user;
mod config_meaning;
mod config_messages;
mod config_policy;
mod config_robust;
mod costly_answers;
mod disk_clock;
mod disk_damage;
mod disk_full;
mod docker_cli;
mod faults;
mod http_matrix;
mod kill;
mod machine_checks;
mod machine_children;
mod machine_demo_service;
mod machine_engine_trouble;
mod machine_environment;
mod machine_said;
mod missing_programs;
mod stats_command;
mod webhook;
mod webhook_trouble;
