//! What a pass knows of one service after looking at it.

use std::borrow::Cow;
use std::time::Duration;

use super::Pass;
use crate::alert::mask::mask;
use crate::check::{Failure, Health, Unknown};
use crate::clock::Timestamp;
use crate::config::model::{ClosedAtOnce, Config, HealthCheck, Probe, Service, Vantage};
use crate::decide::Marker;
use crate::engine::{Container, ContainerDetails, ContainerRef, Keeper};
use crate::state::ServiceState;

/// One service as it was seen.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    /// When.
    pub(super) at: Timestamp,
    /// Its number in the order of looks and restarts.
    pub(super) order: u64,
    /// What the look said; `None`: not due, or stopped by a person and therefore not looked at.
    pub(super) health: Option<Health>,
    /// How long the check took.
    pub(super) duration: Duration,
    /// The manual-stop marker, here or in its container.
    pub(super) marker: Marker,
    /// Its container.
    pub(super) place: Place,
    /// What the engine knows of that container, where it was asked.
    pub(super) details: Option<ContainerDetails>,
    /// Somebody is just stopping its container; only asked for where something would be done.
    pub(super) being_stopped: bool,
    /// What is remembered; `None`: the file cannot be read.
    pub(super) state: Option<ServiceState>,
}

impl Sight {
    /// Why it is not healthy, masked; empty where it is.
    pub(super) fn reason(&self) -> String {
        match &self.health {
            Some(Health::Unhealthy(why)) => mask(&why.to_string()),
            Some(Health::Unknown(why)) => mask(&why.to_string()),
            Some(Health::Healthy) | None => String::new(),
        }
    }

    /// What the look said, in words, masked.
    pub(super) fn said(&self) -> String {
        match &self.health {
            Some(Health::Healthy) => "healthy".to_owned(),
            Some(Health::Unhealthy(_)) => format!("unhealthy, {}", self.reason()),
            Some(Health::Unknown(_)) => format!("unknown, {}", self.reason()),
            None => "not looked at".to_owned(),
        }
    }
}

/// Where a service lives, as the listing tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// On the machine itself.
    Machine,
    /// In a container that runs.
    Running(ContainerRef),
    /// In a container that does not run, and whose end can be asked for.
    Exited(ContainerRef),
    /// Nobody can tell.
    Nowhere(Unknown),
}

impl Place {
    /// The container, where there is one that can be acted on.
    pub(super) fn container(&self) -> Option<&ContainerRef> {
        match self {
            Self::Running(at) | Self::Exited(at) => Some(at),
            Self::Machine | Self::Nowhere(_) => None,
        }
    }
}

/// Finds a service in the listing.
pub(super) fn place(pass: &Pass<'_>, service: &Service) -> Place {
    let Some(name) = &service.container else { return Place::Machine };
    let listing = match &pass.listing {
        Ok(listing) => listing,
        Err(why) => return Place::Nowhere(why.clone()),
    };
    match container_of(pass.config, service, listing) {
        Some(container) => place_in(&container.at, &container.state),
        None => Place::Nowhere(Unknown::NoSuchContainer(name.clone())),
    }
}

/// Who else keeps a container.
pub(super) fn keeper<'p>(pass: &'p Pass<'_>, at: &ContainerRef) -> Option<&'p Keeper> {
    let listing = pass.listing.as_ref().ok()?;
    listing.iter().find(|found| found.at.id == at.id)?.kept_by.as_ref()
}

/// A service's container in the listing: its name with the suffix, then as it is, exactly.
#[must_use]
pub fn container_of<'l>(
    config: &Config,
    service: &Service,
    listing: &'l [Container],
) -> Option<&'l Container> {
    let name = service.container.as_ref()?;
    let suffixed = format!("{name}{}", config.recovery.container_suffix);
    [&suffixed, name].into_iter().find_map(|name| listing.iter().find(|found| found.at.name == *name))
}

/// What a container's state means.
pub(super) fn place_in(at: &ContainerRef, state: &str) -> Place {
    match state {
        "running" => Place::Running(at.clone()),
        "exited" => Place::Exited(at.clone()),
        other => {
            Place::Nowhere(Unknown::ContainerState { container: at.name.clone(), state: other.to_owned() })
        }
    }
}

/// The check to be made. Only where the engine publishes the port of this service's container may it be the engine's
/// own proxy that accepts a connection there; elsewhere nobody need wait for that.
pub(super) fn asked<'s>(pass: &Pass<'_>, service: &'s Service) -> Cow<'s, HealthCheck> {
    let check = &service.check;
    let Probe::Tcp { host, port, closed_at_once: ClosedAtOnce::Refused } = &check.probe else {
        return Cow::Borrowed(check);
    };
    let listing = pass.listing.as_deref().unwrap_or_default();
    let container = container_of(pass.config, service, listing);
    let published = container.is_some_and(|found| found.published.iter().any(|ports| ports.contains(port)));
    if published && check.from == Vantage::Machine {
        return Cow::Borrowed(check);
    }
    let probe = Probe::Tcp { host: host.clone(), port: *port, closed_at_once: ClosedAtOnce::Healthy };
    Cow::Owned(HealthCheck { probe, ..check.clone() })
}

/// The failure of every service in a container that does not run.
pub(super) fn not_running(at: &ContainerRef, details: &ContainerDetails) -> Health {
    Health::Unhealthy(Failure::ContainerNotRunning {
        container: at.name.clone(),
        exit_code: details.exit_code,
        start_error: details.start_error.clone(),
    })
}
