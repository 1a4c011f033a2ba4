//! Who is told of what, in how many messages, under which names.

use super::*;

fn report(service: &str, group: Option<&str>, kind: AlertKind, topic: &str) -> Report {
    Report {
        story: Story {
            kind,
            blocks: vec!["web".into()],
            sequence: Some(service.to_owned()),
            ..Story::sample(service)
        },
        incidents: vec![(service.to_owned(), format!("id-{service}"))],
        group: group.map(str::to_owned),
        to: BTreeSet::from([Destination::Ntfy { topic: topic.to_owned() }]),
    }
}

#[test]
fn nobody_means_nobody_and_the_command_hears_of_all_others() {
    use crate::config::model::{Token, Topic};
    let topic = |secret: &str| Notify::Topic(Topic { label: None, secret: secret.into() });
    let ntfy = |topic: &str| Destination::Ntfy { topic: topic.into() };
    let mut to = Notifications {
        server: Some("http://localhost".into()),
        default_topic: None,
        token: Token::None,
        cooldown: std::time::Duration::from_secs(3600),
        command: Some("mail ops".into()),
        webhook: None,
        host_label: None,
    };
    let all = [topic("a"), topic("b"), topic("a"), Notify::Nobody, Notify::CommandOnly];
    assert_eq!(destinations(&all, &to), [ntfy("a"), ntfy("b"), Destination::Command].into());
    assert_eq!(destinations(&[Notify::Nobody], &to), BTreeSet::new());
    assert_eq!(machine_destinations(&to), [Destination::Command].into());
    to.server = None;
    assert_eq!(destinations(&all[..1], &to), [Destination::Command].into());
    to.command = None;
    assert_eq!(destinations(&all, &to), BTreeSet::new());
}

#[test]
fn every_message_has_a_name_of_its_own_that_ntfy_takes() {
    use AlertKind::{ServiceCrashLoop, ServiceRecovered, ServiceRecoveryFailed};
    let due = |kind, incident: &str, count| incident::Due {
        kind,
        reminder: count > 1,
        incident: incident.to_owned(),
        down_since: None,
        recovered_at: None,
        count,
    };
    let failed = sequence("h", "web", &due(ServiceRecoveryFailed, "1", 1));
    assert_eq!(failed, sequence("h", "web", &due(ServiceRecoveryFailed, "1", 1)));
    let others = [
        sequence("h", "web", &due(ServiceRecoveryFailed, "1", 2)),
        sequence("h", "web", &due(ServiceRecoveryFailed, "2", 1)),
        sequence("h", "web", &due(ServiceCrashLoop, "1", 1)),
        sequence("h", "web", &due(ServiceRecovered, "1", 0)),
        sequence("h", "api", &due(ServiceRecoveryFailed, "1", 1)),
        sequence("g", "web", &due(ServiceRecoveryFailed, "1", 1)),
    ];
    assert!(!others.contains(&failed));
    let long = sequence("h", &"ä.b".repeat(60), &due(ServiceRecovered, "1", 0));
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(long.len() == 64 && long.chars().all(valid), "{long}");
}

#[test]
fn one_containers_trouble_is_one_alert_a_destination() {
    use AlertKind::{ServiceDown, ServiceRecoveryFailed};
    let joined = group(vec![
        report("db", Some("box"), ServiceDown, "ops"),
        report("cache", None, ServiceDown, "ops"),
        report("web", Some("box"), ServiceDown, "dev"),
        report("api", Some("box"), ServiceRecoveryFailed, "dev"),
    ]);
    let titles: Vec<_> = joined.iter().map(|r| text::title(&r.story)).collect();
    assert_eq!(titles, ["box Recovery Failed", "cache Down"]);
    assert_eq!(joined[0].story.services, ["api", "db", "web"]);
    assert!(joined[0].story.blocks.is_empty(), "what is in trouble itself is not blocked");
    assert_eq!(joined[1].story.sequence.as_deref(), Some("cache"));
    assert!(joined[0].story.sequence.as_deref().is_some_and(|name| name.starts_with("several-")));
    let alerts = joined[0].alerts();
    assert_eq!(alerts.len(), 2);
    assert!(alerts.iter().all(|a| a.incidents.len() == 3 && a.body.starts_with("Service: api, db, web\n")));
}
