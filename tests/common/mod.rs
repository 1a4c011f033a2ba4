//! What the integration tests share: doubles of the world around the program, real containers, and a fixture
//! that runs the built binary. Assertions about the program itself belong in the tests.

// Every test binary compiles this module for itself and uses a part of it.
#![allow(dead_code)]

pub mod check_forms;
pub mod docker;
pub mod fake_docker;
pub mod fixture;
pub mod hook;
pub mod http;
pub mod http_rows;
pub mod inside;
pub mod ntfy;
pub mod podman;
pub mod readme;
pub mod rough_http;
pub mod run;
pub mod second_engine;
pub mod server;
pub mod shells;
pub mod sidecar;
pub mod tls;
pub mod until;
