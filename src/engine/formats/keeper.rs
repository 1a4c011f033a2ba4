//! Labels by which those sign who start, watch and replace containers themselves.
//!
//! A container of theirs that is restarted past them runs beside its replacement, or takes its unit down.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::engine::Keeper;

/// Whose mark a label is, and what helps in place of a restart: a command, and the labels whose values complete it.
const KEEPERS: &[(&str, &str, &str, &[&str])] = &[
    (
        "com.docker.swarm.task.id",
        "Docker Swarm",
        "docker service update --force",
        &["com.docker.swarm.service.name"],
    ),
    ("io.kubernetes.pod.uid", "Kubernetes", "kubectl delete pod -n", POD),
    ("io.kubernetes.container.name", "Kubernetes", "kubectl delete pod -n", POD),
    ("com.hashicorp.nomad.alloc_id", "Nomad", "nomad alloc restart", &["com.hashicorp.nomad.alloc_id"]),
    (
        "com.amazonaws.ecs.task-arn",
        "Amazon ECS",
        "aws ecs stop-task --cluster",
        &["com.amazonaws.ecs.cluster", "com.amazonaws.ecs.task-arn"],
    ),
    // Written by podman where a unit creates the container.
    ("PODMAN_SYSTEMD_UNIT", SYSTEMD, "systemctl restart", &["PODMAN_SYSTEMD_UNIT"]),
];

/// It starts what a person wants to run, and stops what a person wants to be stopped.
const SYSTEMD: &str = "systemd";

const POD: &[&str] = &["io.kubernetes.pod.namespace", "io.kubernetes.pod.name"];

/// The labels of a container, as a listing writes them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Labels {
    /// `key=value,key=value`, as docker does. A value may have commas; ours have none.
    Text(String),
    /// As podman does.
    Map(BTreeMap<String, Option<String>>),
    /// Anything else says nothing.
    Other(serde::de::IgnoredAny),
}

impl Labels {
    fn get(&self, key: &str) -> Option<&str> {
        match self {
            Self::Text(text) => text.split(',').find_map(|label| label.strip_prefix(key)?.strip_prefix('=')),
            Self::Map(map) => map.get(key)?.as_deref(),
            Self::Other(_) => None,
        }
    }

    /// Who keeps the container, where somebody else does.
    #[must_use]
    pub fn keeper(&self) -> Option<Keeper> {
        let (_, who, command, named_by) =
            KEEPERS.iter().find(|(mark, ..)| self.get(mark).is_some_and(|value| !value.is_empty()))?;
        let mut helps = (*command).to_owned();
        for label in *named_by {
            helps.push(' ');
            helps.push_str(self.get(label).filter(|name| is_plain(name)).unwrap_or("NAME"));
        }
        Some(Keeper { who, helps, replaces: *who != SYSTEMD })
    }
}

/// Whether a name may stand in a command that people will copy.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.len() <= 300 && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_a_container_is_told_by_its_labels() {
        let swarm =
            "com.docker.swarm.service.name=shop_web,com.docker.swarm.task=,com.docker.swarm.task.id=iz9l23";
        for (labels, who, helps) in [
            (swarm, "Docker Swarm", "docker service update --force shop_web"),
            (
                "io.kubernetes.container.name=web,io.kubernetes.pod.name=web-7d4,io.kubernetes.pod.namespace=shop",
                "Kubernetes",
                "kubectl delete pod -n shop web-7d4",
            ),
            ("x=y,io.kubernetes.pod.uid=17", "Kubernetes", "kubectl delete pod -n NAME NAME"),
            ("com.hashicorp.nomad.alloc_id=9a-7", "Nomad", "nomad alloc restart 9a-7"),
            (
                "com.amazonaws.ecs.cluster=prod,com.amazonaws.ecs.task-arn=arn:aws:ecs:eu:1:task/prod/7",
                "Amazon ECS",
                "aws ecs stop-task --cluster prod arn:aws:ecs:eu:1:task/prod/7",
            ),
            ("PODMAN_SYSTEMD_UNIT=web@1.service", "systemd", "systemctl restart web@1.service"),
            (
                "com.docker.swarm.task.id=x,com.docker.swarm.service.name=$(reboot)",
                "Docker Swarm",
                "docker service update --force NAME",
            ),
        ] {
            let expected = Some(Keeper { who, helps: helps.to_owned(), replaces: who != SYSTEMD });
            assert_eq!(Labels::Text(labels.to_owned()).keeper(), expected, "{labels}");
            let map = labels.split(',').filter_map(|label| label.split_once('='));
            let map = map.map(|(key, value)| (key.to_owned(), Some(value.to_owned()))).collect();
            assert_eq!(Labels::Map(map).keeper(), expected, "{labels}");
        }
    }

    #[test]
    fn other_labels_are_nobodys_mark() {
        for labels in [
            "",
            "com.docker.compose.project=shop,com.docker.compose.service=web",
            "com.docker.swarm.task.id=",
            "note=see com.docker.swarm.task.id=x",
        ] {
            assert_eq!(Labels::Text(labels.to_owned()).keeper(), None, "{labels}");
        }
    }
}
