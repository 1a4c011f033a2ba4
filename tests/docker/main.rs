//! The binary against a real container engine: one crate, since every crate compiles what they share for itself.

#[path = "../common/mod.rs"]
mod common;

mod batch_docker;
mod contrib_setups;
mod contrib_sidecar;
mod contrib_systemd_run;
mod cron;
mod docker_agent;
mod docker_ahead;
mod docker_chain;
mod docker_containers;
mod docker_dependants;
mod docker_e2e;
mod docker_ended;
mod docker_engine;
mod docker_gather;
mod docker_http_matrix;
mod docker_matrix;
mod docker_people;
mod docker_phone;
mod docker_proxy;
mod docker_restart_commands;
mod docker_said;
mod docker_side_by_side;
mod docker_signals;
mod docker_swarm;
mod docker_unknown;
mod doubles;
mod missing_programs;
mod podman;
mod published_ports;
mod rough_world;
