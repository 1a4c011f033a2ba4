//! The last words of an operator's command, whose children may outlive it and us.
//!
//! A pipe is bounded and fills no disk, but it breaks with its last reader. So a relay, a small shell that becomes
//! `cat`, holds the reading end too: it reads on as soon as we are gone, however we went, until nobody writes any
//! more. Where the command wrote to its `log_path`, its words are read there.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Gid, OFlags, Uid};

use crate::check::judge::last_lines;
use crate::process::{self, CHECK_MARK, Interrupt};

/// Bytes kept of the end.
const KEPT: usize = 4 * 1024;
/// What is in the pipe when the command has ended is read so long: others may go on writing.
const DRAIN: Duration = Duration::from_millis(300);
/// It waits for the end of its standard input, which is ours, and then reads what nobody else does.
const RELAY: &str = "read -r x; exec cat <&1 >/dev/null";

/// User and group of a command.
pub type Owner = (u32, u32);

/// Listens to a command while it runs.
pub struct Listener {
    reading: Option<JoinHandle<Vec<u8>>>,
    over: Arc<AtomicBool>,
    log: Option<Log>,
    /// Closed with us: then the relay reads.
    _relay: PipeWriter,
}

/// A log file as it was before the command.
struct Log {
    path: PathBuf,
    length: u64,
    /// Only a file of the command's own user is read: as root we could be shown any file.
    owner: Option<Owner>,
}

impl Listener {
    /// Makes a pipe the standard output and error of a command that is not started yet. `None`, with both of them
    /// thrown away, where there is no relay to be had.
    pub fn attach(command: &mut Command, log: Option<&Path>, owner: Option<Owner>) -> Option<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (reader, writer) = std::io::pipe().ok()?;
        if let Some((user, group)) = owner {
            // As another user the command may not open /dev/stderr otherwise.
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            rustix::fs::fchown(&writer, Some(user), Some(group)).ok()?;
        }
        let second = writer.try_clone().ok()?;
        let relay = relay(&reader)?;
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let reading = std::thread::Builder::new().spawn(move || listen(reader, &told)).ok()?;
        command.stdout(writer).stderr(second);
        let log = log.map(|path| Log {
            path: path.to_owned(),
            length: path.metadata().map_or(0, |meta| meta.len()),
            owner,
        });
        Some(Self { reading: Some(reading), over, log, _relay: relay })
    }

    /// The last lines, after the command's end.
    pub fn last_lines(mut self) -> String {
        self.over.store(true, Ordering::Relaxed);
        let said = self.reading.take().and_then(|reading| reading.join().ok()).unwrap_or_default();
        let log = self.log.as_ref().and_then(Log::end).unwrap_or_default();
        last_lines(if said.is_empty() { &log } else { &said })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Log {
    /// What was appended since, up to [`KEPT`] bytes of it.
    fn end(&self) -> Option<Vec<u8>> {
        // Not blocked by a pipe that somebody put there.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
        let mut file: File = OpenOptions::new().read(true).custom_flags(flags).open(&self.path).ok()?;
        let meta = file.metadata().ok()?;
        let own = self.owner.is_none_or(|(user, _)| user == meta.uid());
        if !own || !meta.is_file() || meta.len() <= self.length {
            return None;
        }
        let from = self.length.max(meta.len().saturating_sub(KEPT as u64));
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = Vec::new();
        file.take(KEPT as u64).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// Starts the relay; it waits until the returned end is closed.
fn relay(reader: &PipeReader) -> Option<PipeWriter> {
    // Without it the shell could not become one, and nobody would read.
    process::find_program("cat", &[])?;
    let (waits, ours) = std::io::pipe().ok()?;
    let mut relay = process::in_own_session(process::find_program("sh", &[])?);
    relay
        .args(["-c", RELAY])
        .env_clear()
        .env("PATH", super::command::DEFAULT_PATH)
        .env(CHECK_MARK, "relay")
        .current_dir("/");
    relay.stdin(waits).stdout(reader.try_clone().ok()?).stderr(Stdio::null());
    process::spawn(&mut relay).ok()?;
    Some(ours)
}

/// Reads until nobody writes any more, or until it is over and nothing comes.
fn listen(mut reader: PipeReader, over: &AtomicBool) -> Vec<u8> {
    let mut kept = VecDeque::new();
    let mut buffer = [0; 16 * 1024];
    let mut until = None;
    loop {
        let told = over.load(Ordering::Relaxed);
        let tick = if told { Duration::ZERO } else { Interrupt::TICK };
        let limit = Timespec::try_from(tick).ok();
        let ready = rustix::event::poll(&mut [PollFd::new(&reader, PollFlags::IN)], limit.as_ref());
        let late = told && Instant::now() >= *until.get_or_insert_with(|| Instant::now() + DRAIN);
        if late || told && ready == Ok(0) {
            break;
        }
        if ready.is_ok_and(|ready| ready > 0) {
            match reader.read(&mut buffer) {
                Ok(bytes) if bytes > 0 => kept.extend(&buffer[..bytes]),
                _ => break,
            }
            kept.drain(..kept.len().saturating_sub(KEPT));
        }
    }
    kept.into()
}
