//! The fuzz targets as properties: the corpus itself, mutations of it, and arbitrary bytes.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[path = "../../fuzz/targets/batch.rs"]
mod batch;
#[path = "../../fuzz/targets/configuration.rs"]
mod configuration;
#[path = "../../fuzz/targets/docker.rs"]
mod docker;
#[path = "../../fuzz/targets/log.rs"]
mod log;
#[path = "../../fuzz/targets/ntfy.rs"]
mod ntfy;
#[path = "../../fuzz/targets/state.rs"]
mod state;

/// Pieces that parsers stumble over.
const ODD: [&str; 14] = [
    "\0",
    "\n",
    "\r\n\r\n",
    "@ ",
    "\"",
    "{",
    "}]",
    "\\u0000",
    "-1",
    "9223372036854775807",
    "1e999",
    "9999-12-31T23:59:59-23:59",
    "0000-01-01T00:00:00+23:59",
    "\u{1f6a8}",
];

#[derive(Debug, Clone)]
enum Change {
    /// This byte becomes that one.
    Set(usize, u8),
    /// Something odd is put in there.
    Insert(usize, usize),
    /// So many bytes from there are taken out.
    Remove(usize, usize),
    /// So many bytes from there are said twice.
    Repeat(usize, usize),
    /// It ends there.
    Cut(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = || 0..100_000_usize;
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        3 => (at(), 0..ODD.len()).prop_map(|(at, odd)| Change::Insert(at, odd)),
        2 => (at(), 1..40_usize).prop_map(|(at, len)| Change::Remove(at, len)),
        2 => (at(), 1..40_usize).prop_map(|(at, len)| Change::Repeat(at, len)),
        1 => at().prop_map(Change::Cut),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        let place = |at: usize| at % (bytes.len() + 1);
        let range = |at: usize, len: usize| place(at)..(place(at) + len).min(bytes.len());
        match change {
            Change::Set(at, byte) => {
                let at = place(at);
                bytes.get_mut(at).into_iter().for_each(|old| *old = byte);
            }
            Change::Insert(at, odd) => drop(bytes.splice(place(at)..place(at), ODD[odd].bytes())),
            Change::Remove(at, len) => drop(bytes.drain(range(at, len))),
            Change::Repeat(at, len) => {
                let again = bytes[range(at, len)].to_vec();
                drop(bytes.splice(place(at)..place(at), again));
            }
            Change::Cut(at) => bytes.truncate(place(at)),
        }
    }
    bytes
}

fn hold(name: &str, cases: u32, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let corpus: Vec<Vec<u8>> =
        fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!corpus.is_empty());
    for bytes in &corpus {
        target(bytes);
    }
    let input = prop_oneof![
        8 => (prop::sample::select(corpus), prop::collection::vec(change(), 1..6))
            .prop_map(|(bytes, changes)| changed(bytes, changes)),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ];
    let default = Config { failure_persistence: None, ..Config::default() };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let mut runner = TestRunner::new(if asked { default } else { Config { cases, ..default } });
    runner
        .run(&input, |bytes| {
            target(&bytes);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn any_configuration_is_read_or_refused() {
    hold("configuration", 256, configuration::run);
}

#[test]
fn any_words_of_an_agent_end_a_dialogue() {
    hold("batch", 256, batch::run);
}

#[test]
fn any_log_is_counted() {
    hold("log", 512, log::run);
}

#[test]
fn any_remembered_file_is_used_or_refused() {
    hold("state", 256, state::run);
}

#[test]
fn any_answer_of_a_notification_server_ends_the_sending() {
    hold("ntfy", 128, ntfy::run);
}

#[test]
fn any_answer_of_an_engine_is_understood_or_not() {
    hold("docker", 512, docker::run);
}
