//! Whom to tell when the configuration cannot be read: the notification settings of the last good pass.
//!
//! They lie in the *default* state folder, under the configuration's absolute path, because the file that
//! could name another folder is the one that cannot be read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::atomic::{self, Existing};
use super::error::StoreError;
use super::lock::file_name_for;
use crate::config::model::{
    Config, Header, HeaderValue, HostLabel, Notifications, Token, Topic, Webhook, WebhookUrl,
};

/// Below the default state folder; not readable for others, because topics are secrets.
const FOLDER: &str = "last-good";
const CAP: u64 = 256 * 1024;

/// What outlives a configuration that became unreadable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastGood {
    /// Where the state, and with it the outbox, is.
    pub state_dir: PathBuf,
    /// Whom to tell.
    pub notifications: Notifications,
}

/// The same as it lies on disk. Values from the environment are not kept, only the variables' names.
#[derive(Serialize, Deserialize)]
struct OnDisk {
    state_dir: PathBuf,
    server: Option<String>,
    label: Option<String>,
    topic: Option<String>,
    token_env: Option<String>,
    token_file: Option<PathBuf>,
    cooldown_seconds: u64,
    command: Option<String>,
    #[serde(default)]
    webhook: Option<WebhookOnDisk>,
    #[serde(default)]
    host_label: Option<LabelOnDisk>,
}

#[derive(Serialize, Deserialize)]
struct WebhookOnDisk {
    url: Option<String>,
    url_env: Option<String>,
    /// Names of headers and of the variables that hold them.
    headers_env: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum LabelOnDisk {
    Own(bool),
    Text(String),
}

impl LastGood {
    /// Of a configuration that could be read.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self { state_dir: config.recovery.state_dir.clone(), notifications: config.notifications.clone() }
    }

    /// What a pass kept; `None` where there never was a good one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn load(
        folder: &Path,
        config: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, StoreError> {
        let path = file(folder, config);
        let Some(content) = atomic::read(&path, CAP)? else { return Ok(None) };
        let disk: OnDisk = serde_json::from_slice(&content)
            .map_err(|error| StoreError::Damaged { path, what: error.to_string() })?;
        Ok(Some(disk.resolved(env)))
    }

    /// Keeps it, where it differs from what is kept.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn save(&self, folder: &Path, config: &Path) -> Result<(), StoreError> {
        let path = file(folder, config);
        let fail = |error| StoreError::io("write", &path, error);
        let content = serde_json::to_vec_pretty(&self.on_disk()).map_err(|error| fail(error.into()))?;
        if atomic::read(&path, CAP).is_ok_and(|old| old.as_deref() == Some(content.as_slice())) {
            return Ok(());
        }
        atomic::create_folder(folder, 0o755)?;
        atomic::create_folder(&folder.join(FOLDER), 0o700)?;
        atomic::write(&path, &content, 0o600, Existing::Replace).map_err(fail)
    }

    fn on_disk(&self) -> OnDisk {
        let Notifications { server, default_topic, token, cooldown, command, webhook, host_label } =
            &self.notifications;
        let (token_env, token_file) = match token {
            Token::None => (None, None),
            Token::Env { variable, .. } => (Some(variable.clone()), None),
            Token::File(path) => (None, Some(path.clone())),
        };
        OnDisk {
            state_dir: self.state_dir.clone(),
            server: server.clone(),
            label: default_topic.as_ref().and_then(|topic| topic.label.clone()),
            topic: default_topic.as_ref().map(|topic| topic.secret.clone()),
            token_env,
            token_file,
            cooldown_seconds: cooldown.as_secs(),
            command: command.clone(),
            webhook: webhook.as_ref().map(WebhookOnDisk::of),
            host_label: host_label.as_ref().map(|label| match label {
                HostLabel::Own => LabelOnDisk::Own(true),
                HostLabel::Text(text) => LabelOnDisk::Text(text.clone()),
            }),
        }
    }
}

impl WebhookOnDisk {
    fn of(webhook: &Webhook) -> Self {
        let (url, url_env) = match &webhook.url {
            WebhookUrl::Plain(url) => (Some(url.clone()), None),
            WebhookUrl::FromEnv { variable, .. } => (None, Some(variable.clone())),
        };
        let variable = |header: &Header| match &header.value {
            HeaderValue::FromEnv { variable, .. } => Some((header.name.clone(), variable.clone())),
            HeaderValue::Plain(_) => None,
        };
        Self { url, url_env, headers_env: webhook.headers.iter().filter_map(variable).collect() }
    }

    fn resolved(self, env: &dyn Fn(&str) -> Option<String>) -> Option<Webhook> {
        let held = |variable: &str| env(variable).filter(|value| !value.is_empty());
        let url = match (self.url, self.url_env) {
            (Some(url), _) => WebhookUrl::Plain(url),
            (None, Some(variable)) => WebhookUrl::FromEnv { value: held(&variable), variable },
            (None, None) => return None,
        };
        let header = |(name, variable): (String, String)| Header {
            name,
            value: HeaderValue::FromEnv { value: held(&variable), variable },
        };
        Some(Webhook { url, headers: self.headers_env.into_iter().map(header).collect() })
    }
}

impl OnDisk {
    fn resolved(self, env: &dyn Fn(&str) -> Option<String>) -> LastGood {
        let label = self.label;
        let token = match (self.token_env, self.token_file) {
            (Some(variable), _) => Token::Env { value: env(&variable), variable },
            (None, Some(path)) => Token::File(path),
            (None, None) => Token::None,
        };
        LastGood {
            state_dir: self.state_dir,
            notifications: Notifications {
                server: self.server,
                default_topic: self.topic.map(|secret| Topic { label, secret }),
                token,
                cooldown: Duration::from_secs(self.cooldown_seconds),
                command: self.command,
                webhook: self.webhook.and_then(|webhook| webhook.resolved(env)),
                host_label: self.host_label.and_then(|label| match label {
                    LabelOnDisk::Own(own) => own.then_some(HostLabel::Own),
                    LabelOnDisk::Text(text) => Some(HostLabel::Text(text)),
                }),
            },
        }
    }
}

/// Named by the whole path, in characters that every file system takes.
fn file(folder: &Path, config: &Path) -> PathBuf {
    let name = file_name_for(&config.to_string_lossy());
    folder.join(FOLDER).join(name.with_extension("json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_what_is_found_and_no_secret_of_the_environment_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let config = Path::new("/etc/recovery/system-config.json");
        let env = |name: &str| ["TOKEN", "HOOK", "KEY"].contains(&name).then(|| "tk_secret".to_owned());
        let from_env = |variable: &str| (variable.to_owned(), env(variable));
        let good = LastGood {
            state_dir: "/state".into(),
            notifications: Notifications {
                server: Some("http://127.0.0.1:1".into()),
                default_topic: Some(Topic { label: Some("alerts".into()), secret: "topic".into() }),
                token: Token::Env { variable: "TOKEN".into(), value: env("TOKEN") },
                cooldown: Duration::from_secs(3600),
                command: None,
                webhook: Some({
                    let ((variable, value), (header, held)) = (from_env("HOOK"), from_env("KEY"));
                    let value_of_header = HeaderValue::FromEnv { variable: header, value: held };
                    Webhook {
                        url: WebhookUrl::FromEnv { variable, value },
                        headers: vec![Header { name: "X-Key".into(), value: value_of_header }],
                    }
                }),
                host_label: Some(HostLabel::Text("vps-1".into())),
            },
        };
        assert_eq!(LastGood::load(folder.path(), config, &env).unwrap(), None);
        good.save(folder.path(), config).unwrap();
        assert_eq!(LastGood::load(folder.path(), config, &env).unwrap(), Some(good));
        assert_eq!(LastGood::load(folder.path(), Path::new("/other.json"), &env).unwrap(), None);
        let content = std::fs::read_to_string(file(folder.path(), config)).unwrap();
        assert!(!content.contains("tk_secret"));
    }
}
