//! Looks at single services of one container that are asked for at the same moment share an exec.
//!
//! While an exec is being started in a container, further looks there wait at its *desk*, and then go together in
//! the next one. So a lone look goes at once, and many at a time cost few execs. Each is answered when its own check
//! is over, and an exec that does not start is not waited for: nobody waits for the time-out of another.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::DockerCli;
use crate::check::Look;
use crate::config::model::{HealthCheck, ServiceName};
use crate::engine::{ContainerRef, Request, batch};

/// How long a look waits for the start of another's exec; mostly that takes a fraction of it.
const PATIENCE: Duration = Duration::from_secs(1);

/// In which container, as which user.
type Desk = (ContainerRef, Option<String>);

/// The desks at which an exec is being started, and who waits there.
#[derive(Debug, Clone, Default)]
pub struct Gather(Arc<Mutex<HashMap<Desk, Vec<Waiting>>>>);

/// A look with its own copy of what it asks, since whoever started the exec may be gone before it ends.
#[derive(Debug)]
struct Waiting {
    service: ServiceName,
    check: HealthCheck,
    env: Vec<(String, String)>,
    since: Instant,
    answer: Sender<Look>,
}

impl Waiting {
    fn request<'w>(&'w self, user: Option<&'w str>) -> Request<'w> {
        Request { service: &self.service, check: &self.check, env: &self.env, user }
    }

    fn is_late(&self) -> bool {
        self.since.elapsed() >= PATIENCE
    }
}

impl Gather {
    /// Makes one look; `None`: it was lost for want of a thread.
    pub fn look(&self, docker: &DockerCli, at: &ContainerRef, request: &Request<'_>) -> Option<Look> {
        let (answer, look) = channel();
        let desk = (at.clone(), request.user.map(str::to_owned));
        let waiting = Waiting {
            service: request.service.clone(),
            check: request.check.clone(),
            env: request.env.to_vec(),
            since: Instant::now(),
            answer,
        };
        let first = match self.desks().entry(desk.clone()) {
            Entry::Occupied(mut others) => {
                others.get_mut().push(waiting);
                None
            }
            Entry::Vacant(free) => {
                free.insert(Vec::new());
                Some(waiting)
            }
        };
        if let Some(waiting) = first {
            self.turn(docker, &desk).send(vec![waiting]);
        }
        match look.recv_timeout(PATIENCE) {
            Ok(look) => Some(look),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                self.overtake(docker, &desk);
                look.recv().ok()
            }
        }
    }

    /// Sends all who wait at a desk beside the exec that does not start, where one of them has waited for too long.
    fn overtake(&self, docker: &DockerCli, desk: &Desk) {
        let mut all = match self.desks().get_mut(desk) {
            Some(waiting) if waiting.iter().any(Waiting::is_late) => std::mem::take(waiting),
            _ => return,
        };
        while !all.is_empty() {
            let rest = all.split_off(all.len().min(batch::SIDE_BY_SIDE));
            self.turn(docker, desk).send(std::mem::replace(&mut all, rest));
        }
    }

    fn turn(&self, docker: &DockerCli, desk: &Desk) -> Turn {
        Turn { gather: self.clone(), docker: docker.clone(), desk: desk.clone() }
    }

    /// Whatever panicked meanwhile, those who wait still do.
    fn desks(&self) -> MutexGuard<'_, HashMap<Desk, Vec<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to start an exec at a desk. When it ends, those who gathered there go next, or the desk is free.
///
/// There may be several at a desk after one of them took too long; whichever ends first sees to those who wait.
struct Turn {
    gather: Gather,
    docker: DockerCli,
    desk: Desk,
}

impl Turn {
    /// Looks for this group from a thread of its own. Where there is none, the group is dropped, which says so.
    fn send(self, group: Vec<Waiting>) {
        let _ = std::thread::Builder::new().spawn(move || self.look(&group));
    }

    fn look(self, group: &[Waiting]) {
        let (docker, (at, user)) = (self.docker.clone(), self.desk.clone());
        let requests: Vec<Request<'_>> =
            group.iter().map(|waiting| waiting.request(user.as_deref())).collect();
        let mut turn = Some(self);
        // The last one waits for the end of the exec: whoever then restarts the container finds none of ours in it.
        let mut pending = group.len();
        let looks = docker.observe_as(&at, user.as_deref(), &requests, &mut |step| match step {
            batch::Step::Started => drop(turn.take()),
            batch::Step::Look(index, look) if pending > 1 => {
                pending -= 1;
                // Whoever does not wait any more needs no answer.
                let _ = group[index].answer.send(look);
            }
            batch::Step::Look(..) => {}
        });
        drop(turn);
        for (waiting, look) in group.iter().zip(looks) {
            let _ = waiting.answer.send(look);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut desks = self.gather.desks();
        let Some(waiting) = desks.get_mut(&self.desk) else { return };
        let next: Vec<Waiting> = waiting.drain(..waiting.len().min(batch::SIDE_BY_SIDE)).collect();
        if next.is_empty() {
            desks.remove(&self.desk);
            return;
        }
        drop(desks);
        self.gather.turn(&self.docker, &self.desk).send(next);
    }
}
