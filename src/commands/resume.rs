//! `recovery resume`: a person is done.

use super::reset::{self, Forgotten};
use crate::cli::{Global, Which};
use crate::config::model::{Config, Service};
use crate::engine::local::LocalEngine;
use crate::engine::{Container, ContainerRef, Engine};
use crate::exit_code::ExitCode;
use crate::pass::container_of;
use crate::process::Interrupt;
use crate::store::Store;

/// Removes the markers, here and in the containers, and forgets the failure windows.
///
/// # Errors
/// Where this program's own path cannot be told.
pub fn run(global: &Global, which: &Which) -> anyhow::Result<ExitCode> {
    let config = match super::open(global) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let services = match super::chosen(&config, which) {
        Ok(services) => services,
        Err(unknown) => return Ok(super::usage(&unknown)),
    };
    let store = Store::open(&config.recovery);
    let engine = LocalEngine::new(&config.recovery, Interrupt::default(), std::env::current_exe()?);
    let contained = services.iter().any(|service| service.container.is_some());
    let listing = if contained { engine.list() } else { Ok(Vec::new()) };
    if let Err(why) = &listing {
        crate::complain!("error: markers inside containers cannot be removed: {why}");
    }
    let resume = Resume { config: &config, store: &store, engine: &engine, listing: listing.ok() };
    Ok(services.iter().map(|service| resume.one(service)).fold(ExitCode::Ok, ExitCode::merge))
}

/// What resuming a service takes.
struct Resume<'a> {
    config: &'a Config,
    store: &'a Store,
    engine: &'a dyn Engine,
    /// `None`: the engine cannot be asked.
    listing: Option<Vec<Container>>,
}

impl Resume<'_> {
    fn one(&self, service: &Service) -> ExitCode {
        let name = &service.name;
        let (removed, exit) = self.remove_markers(service);
        let removed = match removed.as_slice() {
            [] => "there was no marker".to_owned(),
            removed => format!("removed {}", removed.join(", ")),
        };
        match reset::forget(self.store, service) {
            Ok(Forgotten::Attempts { .. }) if exit == ExitCode::Ok => {
                crate::say!("{name}: will be restarted again when it is down ({removed})");
                exit
            }
            Ok(Forgotten::Attempts { .. }) => {
                crate::say!("{name}: its failure window was cleared ({removed})");
                exit
            }
            Ok(Forgotten::Busy) => {
                crate::complain!(
                    "error: {name}: a pass is at work on it, its failure window was not cleared ({removed})"
                );
                exit.merge(ExitCode::TryAgain)
            }
            Err(error) => {
                crate::complain!("error: {name}: {error}");
                exit.merge(ExitCode::Io)
            }
        }
    }

    /// Removes the markers of a service wherever they are, and says what could not be removed.
    fn remove_markers(&self, service: &Service) -> (Vec<String>, ExitCode) {
        let name = &service.name;
        let mut exit = ExitCode::Ok;
        let mut removed: Vec<String> = Vec::new();
        match self.store.markers().clear(name) {
            Ok(paths) => removed.extend(paths.iter().map(|path| path.display().to_string())),
            Err(error) => {
                crate::complain!("error: {name}: {error}");
                exit = ExitCode::Io;
            }
        }
        let Some(listing) = &self.listing else {
            let unseen = if service.container.is_some() { ExitCode::CannotLook } else { ExitCode::Ok };
            return (removed, exit.merge(unseen));
        };
        if let Some(container) = container_of(self.config, service, listing) {
            match in_container(self.engine, container, service) {
                Ok(true) => removed.push(format!("the marker in container {}", container.at.name)),
                Ok(false) => {}
                Err(why) => {
                    crate::complain!("error: {name}: {why}");
                    exit = exit.merge(ExitCode::CannotLook);
                }
            }
        }
        (removed, exit)
    }
}

/// Whether there was a marker in the container, which is gone now.
fn in_container(engine: &dyn Engine, container: &Container, service: &Service) -> Result<bool, String> {
    let ContainerRef { name, .. } = &container.at;
    if container.state != "running" {
        let hint = if container.state == "exited" { "; where somebody stopped it, start it" } else { "" };
        return Err(format!(
            "container {name} is {}: a marker in it, if there is one, stays{hint}",
            container.state
        ));
    }
    engine
        .remove_marker(&container.at, &service.name)
        .map_err(|why| format!("the marker in container {name} cannot be looked for: {why}"))
}
