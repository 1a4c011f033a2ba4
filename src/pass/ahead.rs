//! Which looks a pass will probably make, guessed before the containers are listed, and what the next pass may
//! guess from. Only time is at stake: what was guessed wrong is looked at as if nothing had been guessed.

use std::collections::{BTreeMap, BTreeSet};

use super::look::{self, Sights};
use super::sight::Sight;
use super::{Pass, Scope, World, container_of};
use crate::check::Health;
use crate::config::model::{Config, Service, Vantage};
use crate::engine::Expected;
use crate::store::{LastPass, Marker};

/// The looks into containers that this pass will probably begin with, no more than may be under way at once.
pub(super) fn expected(
    world: World<'_>,
    config: &Config,
    scope: &Scope<'_>,
    last: &LastPass,
) -> Vec<Expected> {
    let most = config.recovery.max_parallel;
    let remembered = last.containers();
    // One thing after the other means not even this beside the listing.
    if most == 1 || remembered.is_empty() {
        return Vec::new();
    }
    let expected = |service: &&Service| {
        let at = container_of(config, service, &remembered)?.at.clone();
        let likely = service.check.from == Vantage::Container && is_likely(world, scope, last, service);
        likely.then(|| Expected { at, user: service.user.clone() })
    };
    let all: BTreeSet<Expected> = scope.services.iter().filter_map(expected).collect();
    all.into_iter().take(most).collect()
}

/// Whether a service will be looked at. One that its state makes due is not guessed: that would be a file to read
/// for each.
fn is_likely(world: World<'_>, scope: &Scope<'_>, last: &LastPass, service: &Service) -> bool {
    let now = world.clock.now();
    let due = service.check.interval.is_none_or(|interval| {
        let last = last.look(service.name.as_str());
        scope.named.contains(&service.name) || last.is_none_or(|last| now >= look::is_over_at(interval, last))
    });
    due && !matches!(world.store.markers().read(&service.name, now), Ok(Marker::Stopped(_)) | Err(_))
}

/// The full ids, by name, of the running containers that services live in; `None`: the engine did not tell. Left
/// out is where nothing could be seen, since an exec that fails is not worth beginning early.
pub(super) fn seen(pass: &Pass<'_>, sights: &Sights) -> Option<BTreeMap<String, String>> {
    let listing = pass.listing.as_ref().ok().filter(|_| pass.scope.needs_engine())?;
    let inside = |service: &&Service| service.enabled && service.check.from == Vantage::Container;
    let services = || pass.config.services.iter().filter(inside);
    let home = |service| container_of(pass.config, service, listing);
    let mut seen: BTreeMap<String, String> = services()
        .filter_map(home)
        .filter(|container| container.state == "running")
        .map(|container| (container.at.name.clone(), container.at.id.clone()))
        .collect();
    for service in services() {
        let unseen = |sight: &Sight| matches!(sight.health, Some(Health::Unknown(_)));
        if let Some(container) = home(service).filter(|_| sights.get(&service.name).is_some_and(unseen)) {
            seen.remove(&container.at.name);
        }
    }
    Some(seen)
}
