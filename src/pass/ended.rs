//! Details of a container, and with them who ended it: found out once, and remembered for all passes.

use super::Pass;
use super::sight::container_of;
use crate::check::Unknown;
use crate::clock::Timestamp;
use crate::engine::{ContainerDetails, ContainerRef, Earlier};
use crate::event::Level;
use crate::store::ContainerMemory;

/// Asks the engine about a container.
pub(super) fn inspect(pass: &Pass<'_>, at: &ContainerRef) -> Result<ContainerDetails, Unknown> {
    let memory = memory(pass, at);
    let earlier = earlier(pass, at, memory.as_ref());
    let details = pass.world.engine.inspect(at, &earlier)?;
    if details.state == "exited" && memory.is_none() {
        // What was found out about this end must not be judged anew from weaker signs.
        let text = format!("what is remembered of the end of container {} cannot be read", at.name);
        return Err(Unknown::Other(text));
    }
    if details.state == "exited" && earlier.judged != Some(details.judged()) && !pass.scope.dry_run {
        found_out(pass, at, &details);
    }
    Ok(details)
}

/// Whether somebody else is just stopping a container that runs.
pub(super) fn is_being_stopped(pass: &Pass<'_>, at: &ContainerRef) -> Result<bool, Unknown> {
    let earlier = earlier(pass, at, memory(pass, at).as_ref());
    pass.gates.command(|| pass.world.engine.is_being_stopped(at, &earlier))
}

fn earlier(pass: &Pass<'_>, at: &ContainerRef, memory: Option<&ContainerMemory>) -> Earlier {
    let booted = |uptime: std::time::Duration| pass.now().checked_sub(uptime.try_into().ok()?);
    Earlier {
        judged: memory.and_then(|memory| memory.ended),
        restarted_at: memory.and_then(|memory| memory.restarted_at),
        seen_at: seen_at(pass, at),
        booted_at: pass.world.clock.uptime().and_then(booted),
    }
}

/// Writes down that we restart a container, before that is done: its end is then ours.
pub(super) fn restarting(pass: &Pass<'_>, at: &ContainerRef) {
    if let Some(memory) = memory(pass, at) {
        remember(pass, at, &ContainerMemory { restarted_at: Some(pass.now()), ..memory });
    }
}

fn found_out(pass: &Pass<'_>, at: &ContainerRef, details: &ContainerDetails) {
    let judged = details.judged();
    let text = format!("container {} exited {}, {judged}", at.name, details.exit_code);
    pass.note(None, Level::Info, &text);
    // Read again: while the engine was asked, another pass may have written.
    if let Some(memory) = memory(pass, at) {
        remember(pass, at, &ContainerMemory { ended: Some(judged), ..memory });
    }
}

/// `None` where it cannot be read, which was said. A damaged file is set aside for the next pass.
fn memory(pass: &Pass<'_>, at: &ContainerRef) -> Option<ContainerMemory> {
    let error = match pass.world.store.container(at) {
        Ok(memory) => return Some(memory),
        Err(error) => error,
    };
    pass.io_trouble(None, &error);
    if error.is_damaged() && !pass.scope.dry_run {
        match pass.world.store.set_aside_container(at, pass.now()) {
            Ok(aside) => pass.note(None, Level::Warning, &format!("it is kept as {}", aside.display())),
            Err(error) => pass.io_trouble(None, &error),
        }
    }
    None
}

fn remember(pass: &Pass<'_>, at: &ContainerRef, memory: &ContainerMemory) {
    if let Err(error) = pass.world.store.remember_container(at, memory) {
        pass.io_trouble(None, &error);
    }
}

/// When a service that lives in it was last looked at by an earlier pass.
fn seen_at(pass: &Pass<'_>, at: &ContainerRef) -> Option<Timestamp> {
    let listing = pass.listing.as_ref().ok()?;
    let lives_in = |service: &&&crate::config::model::Service| {
        container_of(pass.config, service, listing).is_some_and(|found| found.at == *at)
    };
    let services = pass.scope.services.iter().filter(lives_in);
    services.filter_map(|service| pass.last_pass.look(service.name.as_str())).max()
}
