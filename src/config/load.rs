//! The thin shell around `read`: opens the file, judges who could have written it, reads it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::model::Config;
use super::problem::{ConfigError, Problem, Severity};
use super::{Env, TrustPolicy, default_state_dir, read, trust};

/// More than any configuration needs, in bytes; the registry may be shared with other tools.
const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// A configuration that may be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// It.
    pub config: Config,
    /// What is probably not meant so.
    pub warnings: Vec<Problem>,
}

/// Loads the configuration at `path`.
///
/// # Errors
/// All that is wrong with it: missing, unreadable, not to be trusted, or any number of mistakes.
pub fn load(path: &Path, env: &Env<'_>, trust: TrustPolicy) -> Result<Loaded, ConfigError> {
    let fail = |problems: Vec<Problem>| ConfigError { path: path.to_owned(), problems };
    let source = open(path).map_err(|text| fail(vec![Problem::of_file(Severity::Error, text)]))?;
    let places = trust::inspect(path, &source.meta).map_err(|error| {
        fail(vec![Problem::of_file(Severity::Error, format!("cannot be judged: {error}"))])
    })?;
    let mut problems = trust::judge(&places, trust);
    let state_dir = default_state_dir(path, env);
    let (config, found) = read::read(&source.bytes, &source.path, state_dir, env);
    problems.extend(found);
    let wrong = problems.iter().any(|problem| problem.severity == Severity::Error);
    match config {
        Some(config) if !wrong => Ok(Loaded { config, warnings: problems }),
        _ => Err(fail(problems)),
    }
}

struct Source {
    /// Absolute; the folder without symbolic links, so that relative paths in the file are clear.
    path: PathBuf,
    meta: std::fs::Metadata,
    bytes: Vec<u8>,
}

/// Owner and content are taken from the same open file, so that neither can be exchanged in between.
fn open(path: &Path) -> Result<Source, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    // Opening a pipe would wait for its writer.
    let before = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "no such file; name the configuration with --config or $RECOVERY_CONFIG".to_owned()
        }
        _ => cannot(error),
    })?;
    if !before.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let file = File::open(path).map_err(cannot)?;
    let meta = file.metadata().map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(format!("is larger than {MAX_SIZE} bytes"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(cannot)?;
    Ok(Source { path: folder.join(path.file_name().unwrap_or_default()), meta, bytes })
}
