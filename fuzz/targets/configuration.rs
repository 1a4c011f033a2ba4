//! The configuration file: it ends with a configuration or with at least one error.

use std::path::Path;

use recovery::config::Severity;
use recovery::config::read::read;
use recovery::plan;

pub fn run(data: &[u8]) {
    let env = |_: &str| Some("value\n".to_owned());
    let (config, problems) = read(data, Path::new("/etc/recovery/system-config.json"), "/state".into(), &env);
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    assert_eq!(config.is_some(), errors == 0, "{problems:?}");
    for problem in &problems {
        let line = problem.render(Path::new("F"));
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    let Some(config) = config else { return };
    let enabled = config.services.iter().filter(|service| service.enabled).count();
    assert_eq!(plan::order(&config).len(), enabled);
    for service in &config.services {
        let _ = plan::dependents(&config, &service.name);
    }
}
