//! What a phone hears of a real container's service: a failure with its machine, runbook and name, the recovery that
//! takes its place, and a recovery of which no failure was told.

use crate::common;

use common::docker::{Container, require_docker};
use common::fixture::Fixture;
use common::ntfy::Ntfy;
use serde_json::json;

#[test]
fn a_phone_hears_of_a_real_container_where_what_and_what_to_read() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "debian", &[], &[]);
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    fixture.ntfy(&ntfy).service(
        "web",
        json!({
            "display_name": "Web",
            "container": container.name,
            "health_check": {"type": "http", "endpoint": "http://localhost:8080/health", "timeout_seconds": 3},
            "restart_cmd": "test ! -e /tmp/broken && { httpd -f -p 8080 -h /www & }",
            "restart": "command",
            "startup_delay_seconds": 0,
            "startup_timeout_seconds": 2,
            "start_period_seconds": 0,
            "runbook_url": "https://wiki.example.org/web",
            "notify_on_recovery": true
        }),
    );
    fixture.config["notifications"]["host_label"] = json!("vps-1");

    // A recovery that needed no alert.
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), ["[vps-1] Web Recovered"], "{}", fixture.log());

    // It is really dead, and cannot be brought back.
    container.sh("touch /tmp/broken; pkill httpd");
    fixture.pass().expect_code(1);
    // A person mends it.
    container.spawn("httpd -f -p 8080 -h /www");
    common::until::until("it answers", common::fixture::LIMIT, || {
        (container.exec(&["curl", "-fs", "http://localhost:8080/health"]).code == 0).then_some(())
    });
    fixture.pass().expect_code(0);
    let messages = ntfy.messages();
    let titles = ["[vps-1] Web Recovered", "[vps-1] Web Recovery Failed", "[vps-1] Web Recovered"];
    assert_eq!(ntfy.titles(), titles, "{}", fixture.log());
    assert_eq!(messages[1]["click"], "https://wiki.example.org/web");
    assert_eq!(messages[1]["priority"], 5);
    // The recovery takes the place of the failure, and not that of the recovery before it.
    assert!(messages[1]["sequence_id"].is_string(), "{}", messages[1]);
    assert_eq!(messages[2]["sequence_id"], messages[1]["sequence_id"]);
    assert_ne!(messages[0]["sequence_id"], messages[1]["sequence_id"]);
}
