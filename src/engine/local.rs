//! The real engine: the machine and its containers behind one trait.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::docker::DockerCli;
use super::host::Host;
use super::limited::Limited;
use super::{
    Container, ContainerDetails, ContainerRef, Earlier, Engine, Expected, Overrun, Request, RestartCommand,
    Run, RunResult, Target,
};
use crate::check::{Look, Unknown};
use crate::config::model::{ServiceName, Settings};
use crate::process::Interrupt;

/// Sends each request to where its target is.
#[derive(Debug, Clone)]
pub struct LocalEngine {
    docker: DockerCli,
    host: Host,
    limited: Limited,
}

impl LocalEngine {
    /// `exe` is this program, told to commands on the machine as `RECOVERY_EXE`.
    #[must_use]
    pub fn new(settings: &Settings, interrupt: Interrupt, exe: PathBuf) -> Self {
        Self {
            docker: DockerCli::new(&settings.engine, interrupt.clone()),
            host: Host::new(settings.max_parallel, interrupt.clone(), exe.clone()),
            limited: Limited::new(exe, interrupt),
        }
    }
}

impl Engine for LocalEngine {
    fn expect(&self, likely: &[Expected]) {
        self.docker.expect(likely);
    }

    fn list(&self) -> Result<Vec<Container>, Unknown> {
        self.docker.list()
    }

    fn inspect(&self, container: &ContainerRef, earlier: &Earlier) -> Result<ContainerDetails, Unknown> {
        self.docker.inspect(container, earlier)
    }

    fn is_being_stopped(&self, container: &ContainerRef, earlier: &Earlier) -> Result<bool, Unknown> {
        self.docker.is_being_stopped(container, earlier)
    }

    fn runs(&self, containers: &[ContainerRef]) -> Result<BTreeMap<ContainerRef, Run>, Unknown> {
        self.docker.runs(containers)
    }

    fn observe(&self, target: &Target, requests: &[Request<'_>]) -> Vec<Look> {
        let mut looks = match target {
            Target::Machine => self.host.observe(requests),
            Target::Container(container) => self.docker.observe(container, requests),
        };
        self.limited.settle(&mut looks);
        looks
    }

    fn run(
        &self,
        target: &Target,
        command: &RestartCommand<'_>,
        at_timeout: &mut dyn FnMut() -> Overrun,
    ) -> RunResult {
        match target {
            Target::Machine => self.host.run(command, at_timeout),
            Target::Container(container) => self.docker.run(container, command, at_timeout),
        }
    }

    fn start(&self, container: &ContainerRef, timeout: Duration) -> Result<(), Unknown> {
        self.docker.start(container, timeout)
    }

    fn restart(
        &self,
        container: &ContainerRef,
        stop_timeout: Duration,
        timeout: Duration,
    ) -> Result<(), Unknown> {
        self.docker.restart(container, stop_timeout, timeout)
    }

    fn remove_marker(&self, container: &ContainerRef, service: &ServiceName) -> Result<bool, Unknown> {
        self.docker.remove_marker(container, service)
    }
}
