//! The manual-stop marker, on the machine and in the container, as a fact for the decision.

use super::Pass;
use crate::alert::mask::mask;
use crate::clock::Timestamp;
use crate::config::model::ServiceName;
use crate::decide::Marker;
use crate::store::{self, Place, parse_marker};

/// The marker of a service on this machine. An expired one is removed, but not by a dry run.
pub(super) fn on_machine(pass: &Pass<'_>, service: &ServiceName) -> Marker {
    let markers = pass.world.store.markers();
    let now = pass.now();
    match markers.read(service, now) {
        Ok(store::Marker::None) => Marker::Absent,
        Ok(store::Marker::Stopped(info)) => Marker::Present(mask(&info.to_string())),
        Ok(store::Marker::Expired(places)) => {
            if !pass.scope.dry_run
                && let Err(error) = markers.remove_expired(&places, now)
            {
                pass.io_trouble(Some(service), &error);
            }
            Marker::Absent
        }
        Err(error) => {
            pass.io_trouble(Some(service), &error);
            Marker::Unreadable(error.to_string())
        }
    }
}

/// What was found in the service's container.
pub(super) fn in_container(content: &[u8], container: &str, now: Timestamp) -> Marker {
    match parse_marker(content, now, Place::Container(container.to_owned())) {
        store::Marker::Stopped(info) => Marker::Present(mask(&info.to_string())),
        // Expired ones in containers are passed over: a look writes nothing there.
        store::Marker::None | store::Marker::Expired(_) => Marker::Absent,
    }
}
