//! The two set-ups of `contrib/docker` end to end, with `docker run` on a network of their own: a victim with a
//! kill switch beside a sidecar, and four services that are looked at over the network. Their configurations are
//! those that ship, but for the containers' names, which the whole engine shares.

use crate::common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::docker::{Container, Docker, docker, docker_ok, require_docker, unique_name};
use common::fixture::LIMIT;
use common::sidecar::{FOLDER, Image, Volume, log, said, sidecar, socket};
use common::until::until;
use serde_json::Value;
use tempfile::TempDir;

/// A network of its own, removed at Drop.
struct Network(String);

impl Network {
    fn create() -> Self {
        let name = unique_name();
        docker_ok(&["network", "create", "--internal", &name]);
        Self(name)
    }

    /// The options of a container that is known by that name in it.
    fn known_as(&self, name: &str) -> [String; 2] {
        [format!("--network={}", self.0), format!("--network-alias={name}")]
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = docker(&["network", "rm", &self.0]);
    }
}

/// The configuration of a set-up with the names that its containers have here.
fn configuration(setup: &str, containers: &[(&str, &Container)], changes: &[(&str, &str)]) -> TempDir {
    let file = Path::new(FOLDER).join(setup).join("config/system-config.json");
    let mut text = fs::read_to_string(file).expect("it ships");
    let mut change = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        text = text.replace(from, to);
    };
    for (name, container) in containers {
        change(&format!(r#""container": "{name}""#), &format!(r#""container": "{}""#, container.name));
    }
    for (from, to) in changes {
        change(from, to);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("system-config.json"), text).expect("a configuration");
    folder
}

/// `/crash` of the demo service: its process 1, and with it the container, ends hard.
fn pull_the_switch(victim: &Container) {
    victim.exec(&["busybox", "wget", "-qO-", "http://127.0.0.1:8080/crash"]);
}

#[test]
fn a_victim_with_a_kill_switch_stays_dead_alone_and_comes_back_with_the_sidecar() {
    let Some(docker) = require_docker() else { return };
    let Some(socket) = socket() else { return };
    let (image, network, volume) = (Image::from_local_parts(), Network::create(), Volume::create());
    let at = network.known_as("victim");
    let options: Vec<&str> = at.iter().map(String::as_str).collect();
    let serve = ["recovery", "demo-service", "--listen", "0.0.0.0:8080"];
    let victim = Container::start(docker, &image.0, &options, &serve);

    pull_the_switch(&victim);
    victim.wait_for("exited");
    let end = Instant::now() + Duration::from_secs(6);
    while Instant::now() < end {
        assert_eq!(victim.state().status, "exited", "something else than the sidecar started it");
        std::thread::sleep(Duration::from_millis(500));
    }

    let folder = configuration("kill-switch", &[("victim", &victim)], &[]);
    let more = [at[0].as_str(), "--env=RECOVERY_REST_SECONDS=2"];
    let sidecar = sidecar(docker, &image, &socket, folder.path(), &volume, &more);
    victim.wait_for("running");
    said(&sidecar, "Successfully recovered victim");
    for _ in 0..2 {
        let (before, recovered) = (victim.state().started_at, recoveries(&sidecar));
        let killed = Instant::now();
        pull_the_switch(&victim);
        let runs_again = || {
            let state = victim.state();
            (state.status == "running" && state.started_at != before).then_some(())
        };
        until("the victim runs again", LIMIT, runs_again);
        println!("running again after {:.1} s", killed.elapsed().as_secs_f64());
        until("its recovery is told", LIMIT, || (recoveries(&sidecar) > recovered).then_some(()));
    }
    // A person who stops it is obeyed all the same.
    victim.stop();
    said(&sidecar, "victim manually stopped, skipping auto-recovery");
    assert_eq!(victim.state().status, "exited", "{}", log(&sidecar));
}

fn recoveries(sidecar: &Container) -> usize {
    log(sidecar).matches("Successfully recovered victim").count()
}

/// One of the four: a small web server whose health is a file, there again at each start.
fn service(docker: Docker, network: &Network, name: &str) -> Container {
    let (port, path) = if name == "dashboard" { (3000, "/www/api") } else { (8080, "/www") };
    let serve = format!("mkdir -p {path} && echo ok > {path}/health && exec httpd -f -p {port} -h /www");
    let at = network.known_as(name);
    Container::start(docker, "busybox", &["--init", &at[0], &at[1]], &["sh", "-c", &serve])
}

/// Takes what is posted to it, one line each.
fn receiver(docker: Docker, network: &Network) -> Container {
    let script = r#"mkdir -p /hooks/cgi-bin && cat > /hooks/cgi-bin/components <<'END'
#!/bin/sh
cat >> /hooks/posted; echo >> /hooks/posted
printf 'Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nthanks\n'
END
chmod +x /hooks/cgi-bin/components; exec httpd -f -p 80 -h /hooks"#;
    let at = network.known_as("hooks");
    Container::start(docker, "busybox", &["--init", &at[0], &at[1]], &["sh", "-c", script])
}

fn posted(receiver: &Container) -> Vec<Value> {
    let text = receiver.sh("cat /hooks/posted 2>/dev/null || :");
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect()
}

/// `(kind, component)` of what was posted.
fn kinds(receiver: &Container) -> Vec<(String, String)> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    posted(receiver).iter().map(|event| (text(event, "kind"), text(event, "component_name"))).collect()
}

#[test]
fn of_four_services_over_the_network_the_one_that_fails_three_times_is_restarted_and_posted() {
    let Some(docker) = require_docker() else { return };
    let Some(socket) = socket() else { return };
    let (image, network, volume) = (Image::from_local_parts(), Network::create(), Volume::create());
    let names = ["gateway-manager", "executor", "monitor", "dashboard"];
    let services = names.map(|name| service(docker, &network, name));
    let hooks = receiver(docker, &network);
    let containers: Vec<(&str, &Container)> = names.into_iter().zip(&services).collect();
    let folder = configuration(
        "fleet",
        &containers,
        &[(r#""start_period_seconds": 10"#, r#""start_period_seconds": 0"#)],
    );
    let [at, _] = network.known_as("recovery");
    let more = [at.as_str(), "--env=WEBHOOK_URL=http://hooks/cgi-bin/components"];
    let sidecar = sidecar(docker, &image, &socket, folder.path(), &volume, &more);
    for name in names {
        said(&sidecar, &format!("Health check passed for {name}"));
    }
    let before: Vec<String> = services.iter().map(|service| service.state().started_at).collect();

    services[1].sh("rm /www/health");
    services[3].sh("rm /www/api/health");
    for name in ["executor", "dashboard"] {
        said(&sidecar, &format!("Health check failed for {name}, not attempting recovery (failure 1 of 3)"));
        said(&sidecar, &format!("Health check failed for {name}, not attempting recovery (failure 2 of 3)"));
        said(&sidecar, &format!("Health check failed for {name}, attempting recovery..."));
        said(&sidecar, &format!("Successfully recovered {name}"));
    }
    let after: Vec<String> = services.iter().map(|service| service.state().started_at).collect();
    let restarted: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before != after).collect();
    assert_eq!(restarted, [false, true, false, true], "{}", log(&sidecar));

    let wanted = ["executor", "dashboard"].into_iter().flat_map(|name| {
        ["COMPONENT_DOWN", "COMPONENT_RECOVERED"].map(|kind| (kind.to_owned(), name.to_owned()))
    });
    let wanted: Vec<(String, String)> = wanted.collect();
    let all = || wanted.iter().all(|one| kinds(&hooks).contains(one)).then_some(());
    until("all four events are posted", LIMIT, all);
    let down =
        posted(&hooks).into_iter().find(|event| event["kind"] == "COMPONENT_DOWN").expect("it is there");
    assert_eq!(down["consecutive_failures"], 3, "{down}");
    assert_eq!(down["severity"], "recoverable", "{down}");
    assert!(down["reason"].as_str().is_some_and(|reason| reason.contains("404")), "{down}");
    let of_executor: Vec<_> = kinds(&hooks).into_iter().filter(|(_, name)| name == "executor").collect();
    assert_eq!(of_executor, [wanted[0].clone(), wanted[1].clone()], "each once, in order");
}
