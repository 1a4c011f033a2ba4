//! The configuration: from a JSON file to values that cannot be invalid.
//!
//! [`locate()`] says which file; [`trust`] whether it may be believed; `syntax` parses it with positions;
//! [`read`] and its section readers collect every problem; [`model`] is what the rest of the program sees.
//! The process environment is an argument everywhere.

pub mod load;
pub mod locate;
pub mod model;
mod policy;
pub mod problem;
pub mod read;
pub mod suggest;
pub mod trust;

mod expectations;
mod field;
mod health_check;
mod notifications;
mod rules;
mod service;
mod settings;
mod shell_text;
mod syntax;

pub use load::{Loaded, load};
pub use locate::{default_state_dir, locate};
pub use problem::{ConfigError, Problem, Severity};
pub use suggest::suggest;
pub use trust::TrustPolicy;

/// The environment, as an argument: a variable's value, or `None` where it is not set.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The real environment; what is not UTF-8 counts as not set.
#[must_use]
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
