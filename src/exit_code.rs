//! The documented exit codes and how several merge into one.

/// What a run ends with, in rising order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ExitCode {
    /// Every service looked at is healthy, recovered, or left alone on a person's word: 0.
    #[default]
    Ok,
    /// Something is left to try again (an alert waits, a lock is held beyond the pass limit): 75.
    TryAgain,
    /// Some service could not be looked at: 69.
    CannotLook,
    /// A service is down after the pass: 1.
    Down,
    /// State, marker or log could not be read or written: 74.
    Io,
    /// The configuration is wrong: 78.
    Config,
    /// Wrong usage: 2. Found before anything else happens, so it never meets the others.
    Usage,
    /// Ended by that signal: 128 + n. It tells why the rest is missing, so it wins.
    Signal(i32),
}

impl ExitCode {
    /// The number given to the system.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Down => 1,
            Self::Usage => 2,
            Self::CannotLook => 69,
            Self::Io => 74,
            Self::TryAgain => 75,
            Self::Config => 78,
            Self::Signal(n) => u8::try_from(128 + n).unwrap_or(255),
        }
    }

    /// The one of the two that is reported: 78, 74, 1, 69, 75 in that order.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode::{self, *};

    #[test]
    fn the_documented_order_holds() {
        let order = [Config, Io, Down, CannotLook, TryAgain, Ok];
        for (i, high) in order.iter().enumerate() {
            for low in &order[i..] {
                assert_eq!(high.merge(*low), *high);
                assert_eq!(low.merge(*high), *high);
            }
        }
        assert_eq!(order.map(ExitCode::number), [78, 74, 1, 69, 75, 0]);
        assert_eq!(Signal(15).number(), 143);
        assert_eq!(Signal(2).merge(Down).number(), 130);
    }
}
