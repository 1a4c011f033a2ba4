//! `docker ps -a`: what is asked for and what its lines mean.

use serde::Deserialize;

use super::keeper::Labels;
use super::states;
use crate::check::Unknown;
use crate::engine::{Container, ContainerRef};

/// Only the fields that are needed: a whole `{{json .}}` makes some versions measure every container.
pub const FORMAT: &str = r#"{"ID":{{json .ID}},"Names":{{json .Names}},"State":{{json .State}},"Status":{{json .Status}},"Networks":{{json .Networks}},"Labels":{{json .Labels}}}"#;
/// For command lines that do not know `State` yet.
pub const OLD_FORMAT: &str = r#"{"ID":{{json .ID}},"Names":{{json .Names}},"Status":{{json .Status}},"Networks":{{json .Networks}},"Labels":{{json .Labels}}}"#;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    names: String,
    #[serde(default)]
    state: Option<String>,
    status: String,
    #[serde(default)]
    networks: Option<String>,
    #[serde(default)]
    labels: Option<Labels>,
}

/// Reads a listing.
///
/// # Errors
/// Where a line is not what was asked for.
pub fn parse(answer: &[u8]) -> Result<Vec<Container>, Unknown> {
    String::from_utf8_lossy(answer)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let row: Row = serde_json::from_str(line).map_err(|_| not_understood(line))?;
            if row.id.is_empty() { Err(not_understood(line)) } else { Ok(row.into()) }
        })
        .collect()
}

/// A refusal of the listing concerns the whole machine, whatever its words.
#[must_use]
pub fn as_engine_trouble(why: Unknown) -> Unknown {
    match why {
        Unknown::EngineUnreachable(_) | Unknown::EngineSilent { .. } | Unknown::Interrupted => why,
        other => Unknown::EngineUnreachable(other.to_string()),
    }
}

fn not_understood(line: &str) -> Unknown {
    let start: String = line.chars().take(80).collect();
    Unknown::EngineUnreachable(format!("its list of containers was not understood: {start:?}"))
}

impl From<Row> for Container {
    fn from(row: Row) -> Self {
        let state = match row.state.as_deref() {
            None | Some("") => states::of_status(&row.status),
            Some(state) => states::of_listing(state),
        };
        // A container without network is listed in one called "none"; empty is what lives on another's.
        let networkless = row.networks.is_some_and(|networks| networks.trim().is_empty());
        let kept_by = row.labels.and_then(|labels| labels.keeper());
        Self { at: ContainerRef { id: row.id, name: own_name(&row.names) }, state, networkless, kept_by }
    }
}

/// A container that others link to is listed with all its names: `web,shop/db_alias`.
fn own_name(names: &str) -> String {
    let mut all = names.split(',').map(|name| name.trim().trim_start_matches('/'));
    let own = all.clone().find(|name| !name.contains('/'));
    own.or_else(|| all.next()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_listing_is_read() {
        let answer = br#"{"ID":"f231bd8e19e7e030f1d6fc7ff40ad20e67e40adf6d1d0b67b54ec85aab38307e","Names":"app","State":"created","Status":"Created"}
{"ID":"643ab4ccca8f71c2286e5d30f2a57c8fc3f2126e44591ee343c56c5f76fc8213","Names":"flap","State":"restarting","Status":"Restarting (4) Less than a second ago"}
{"ID":"45406f9697e9ec22d0936f3aa0f7367051b73a947b8ffe9631582337a36add0e","Names":"shop/db,run","State":"running","Status":"Up 5 seconds"}
"#;
        let list = parse(answer).unwrap();
        let seen: Vec<(&str, &str)> = list.iter().map(|c| (c.at.name.as_str(), c.state.as_str())).collect();
        assert_eq!(seen, [("app", "created"), ("flap", "restarting"), ("run", "running")]);
        assert_eq!(list[0].at.id.len(), 64);
        assert_eq!(parse(b"").unwrap(), []);
    }

    #[test]
    fn who_is_in_no_network_may_live_on_anothers() {
        let networkless = |more: &str| {
            let line = format!(r#"{{"ID":"ab","Names":"x","Status":"Up 1 second"{more}}}"#);
            parse(line.as_bytes()).unwrap()[0].networkless
        };
        assert!(networkless(r#","Networks":"" "#));
        assert!(!networkless(r#","Networks":"none""#));
        assert!(!networkless(r#","Networks":"shop,bridge""#));
        assert!(!networkless(""));
    }

    #[test]
    fn garbage_is_an_error_of_the_engine() {
        for garbage in
            [&b"hello"[..], b"{}", b"[1]", b"{\"ID\":\"\",\"Names\":\"\",\"Status\":\"\"}", b"\xff\xfe"]
        {
            assert!(parse(garbage).unwrap_err().is_engine());
        }
    }
}
