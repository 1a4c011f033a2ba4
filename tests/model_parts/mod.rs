//! The parts of the model: random scenarios, how they are played, and what must hold.

pub mod play;
pub mod rules;
pub mod scenario;
