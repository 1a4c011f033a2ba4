//! Values for tests of the pure core.

use std::time::Duration;

use recovery::check::Health;
use recovery::check::severity::SeverityMap;
use recovery::config::model::{
    ClosedAtOnce, ContainerStart, HealthCheck, Notify, Policy, Probe, RestartMethod, Retry, Service,
    ServiceName, Strategies, Topic, Vantage,
};
use recovery::decide::{Facts, Marker, Situation, Upstream};

/// A service in the container `services` with a restart command and the documented defaults.
pub fn service(name: &str) -> Service {
    Service {
        name: ServiceName::new(name).expect("a valid name"),
        enabled: true,
        kind: "daemon".into(),
        display_name: name.into(),
        container: Some("services".into()),
        check: HealthCheck {
            probe: Probe::Tcp { host: "localhost".into(), port: 80, closed_at_once: ClosedAtOnce::Refused },
            timeout: Duration::from_secs(5),
            from: Vantage::Container,
            interval: None,
        },
        restart_cmd: Some(format!("{name} start")),
        restart: RestartMethod::Command,
        restart_timeout: Duration::from_secs(60),
        container_start: ContainerStart::OnFailure,
        startup_delay: Duration::from_secs(5),
        startup_timeout: Duration::from_secs(30),
        start_period: Duration::from_secs(30),
        max_failures: 3,
        failure_window: Duration::from_secs(3600),
        notify: Notify::Topic(Topic { label: Some("alerts".into()), secret: "secret-topic".into() }),
        notify_on_recovery: false,
        runbook_url: None,
        log_path: None,
        env: Vec::new(),
        user: None,
        dependencies: Vec::new(),
        follows: Vec::new(),
        policy: policy(),
    }
}

/// The documented defaults, and no command but the restart command.
pub fn policy() -> Policy {
    Policy {
        failure_threshold: 1,
        success_threshold: 1,
        escalate_after: 5,
        severity: SeverityMap::default(),
        strategies: Strategies {
            transient: Strategies::TRANSIENT.to_vec(),
            recoverable: Strategies::RECOVERABLE.to_vec(),
            critical: Strategies::CRITICAL.to_vec(),
            alive: Vec::new(),
        },
        retry: Retry { attempts: 4, base_delay: Duration::from_secs(1) },
        cleanup_cmd: None,
        fallback_cmd: None,
    }
}

/// What is known of a service about which nothing is special but what a look said, for the first time.
#[allow(dead_code, reason = "each test uses a part")]
pub fn facts(health: &Health) -> Facts<'_> {
    Facts {
        health,
        marker: Marker::Absent,
        remembered: true,
        booting: false,
        starting: false,
        upstream: Upstream::Fine,
        follow: None,
        container: Situation::Running,
        kept_by: None,
        attempts: 0,
        free_at: None,
        follows: 0,
        failures: 1,
        escalating: 1,
        made: &[],
        worst: None,
        container_spent: false,
        fallback_spent: false,
        degraded: None,
        time_left: true,
    }
}
