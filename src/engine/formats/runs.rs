//! `docker inspect` of many containers at once: since when each runs, and on whose network.

use std::collections::BTreeMap;

use super::times;
use crate::check::Unknown;
use crate::engine::{ContainerRef, Run};

/// Three words a line and container.
pub const FORMAT: &str = "{{.Id}} {{.State.StartedAt}} {{.HostConfig.NetworkMode}}";

/// Reads the answer for these containers.
///
/// # Errors
/// Where a line is not what was asked for.
pub fn parse(answer: &[u8], containers: &[ContainerRef]) -> Result<BTreeMap<ContainerRef, Run>, Unknown> {
    let answer = String::from_utf8_lossy(answer);
    let run = |line: &str| {
        let known = |id: &str| containers.iter().find(|at| at.id == id).cloned();
        let run = read(line).and_then(|(id, run)| Some((known(id)?, run)));
        run.ok_or_else(|| {
            let start: String = line.chars().take(120).collect();
            Unknown::EngineUnreachable(format!("its words on a container were not understood: {start:?}"))
        })
    };
    answer.lines().map(str::trim).filter(|line| !line.is_empty()).map(run).collect()
}

fn read(line: &str) -> Option<(&str, Run)> {
    let (id, rest) = line.split_once(' ')?;
    let (started, network) = rest.rsplit_once(' ').unwrap_or((rest, ""));
    let network_of = network.strip_prefix("container:").map(str::to_owned);
    Some((id, Run { started_at: times::timestamp(started), network_of, on_host: network == "host" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn at(id: &str) -> ContainerRef {
        ContainerRef { id: id.into(), name: format!("name-of-{id}") }
    }

    #[test]
    fn a_real_answer_is_read() {
        let answer = b"bf5a 2026-11-22T02:24:04.54413255Z container:c523\n\
                       c523 2026-11-22T02:24:04.316329437Z default\n\
                       d1ad 0001-01-01T00:00:00Z none\n\
                       e77e 2026-11-22T02:24:04Z host\n";
        let runs = parse(answer, &[at("bf5a"), at("c523"), at("d1ad"), at("e77e")]).unwrap();
        let child = &runs[&at("bf5a")];
        assert_eq!(child.started_at, Some(datetime!(2026-11-22 02:24:04.54413255 UTC)));
        assert_eq!(child.network_of.as_deref(), Some("c523"));
        assert_eq!(runs[&at("c523")].network_of, None);
        assert_eq!(runs[&at("d1ad")].started_at, None);
        assert!(runs[&at("e77e")].on_host && !child.on_host);
    }

    #[test]
    fn times_of_compatible_engines_are_read_too() {
        let runs = parse(b"ab 2026-11-22 02:24:04.5 +0000 UTC bridge\n", &[at("ab")]).unwrap();
        assert_eq!(runs[&at("ab")].started_at, Some(datetime!(2026-11-22 02:24:04.5 UTC)));
    }

    #[test]
    fn anything_else_is_an_error_of_the_engine() {
        for garbage in [&b"hello"[..], b"other 2026-11-22T02:24:04Z default", b"[]"] {
            assert!(parse(garbage, &[at("ab")]).unwrap_err().is_engine());
        }
    }
}
