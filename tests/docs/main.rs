//! What the documents, examples and shipped files say is true: one crate, since every crate compiles what they share for itself.

#[path = "../common/mod.rs"]
mod common;
#[path = "../sample/mod.rs"]
mod sample;

mod config_files;
mod contrib_crontab;
mod contrib_files;
mod contrib_logrotate;
mod contrib_systemd;
mod decisions;
mod readme;

mod reliability;
mod scripts;
