//! What the agent in a container says. `@` stands for the dialogue's nonce, which no check can guess.

use std::io::{Cursor, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use recovery::config::model::{
    ClosedAtOnce, CustomCommand, HealthCheck, MissingProgram, Probe, ServiceName, Vantage,
};
use recovery::engine::batch::{self, Agent};
use recovery::engine::{Overrun, Request, RestartCommand};
use recovery::process::Interrupt;

pub fn run(data: &[u8]) {
    let name = ServiceName::new("svc").expect("a valid name");
    let check = |probe| HealthCheck {
        probe,
        timeout: Duration::from_secs(5),
        from: Vantage::Container,
        interval: None,
    };
    let checks = [
        check(Probe::Custom {
            command: CustomCommand::Shell("true".into()),
            expect_json: Vec::new(),
            missing_program: MissingProgram::Unknown,
        }),
        check(Probe::Tcp { host: "localhost".into(), port: 80, closed_at_once: ClosedAtOnce::Refused }),
    ];
    let request = |check| Request { service: &name, check, env: &[], user: None };
    let requests: Vec<Request<'_>> = checks.iter().map(request).collect();
    let looks = batch::look(Parrot::new(data), &requests, &Interrupt::default(), &mut |_| {});
    assert_eq!(looks.len(), requests.len());

    let command = RestartCommand {
        service: &name,
        text: "true",
        env: &[],
        user: None,
        log_path: None,
        timeout: Duration::from_secs(5),
    };
    let _ = batch::run(Parrot::new(data), &command, &Interrupt::default(), &mut || Overrun::End);
    let _ = batch::remove_marker(Parrot::new(data), &name);
}

/// Learns the nonce from the script that it is sent, says the bytes, and is gone.
struct Parrot {
    stdin: Option<Ear>,
    stdout: Option<Mouth>,
}

struct Ear(Option<Sender<Vec<u8>>>);

struct Mouth {
    nonce: Receiver<Vec<u8>>,
    text: Vec<u8>,
    said: Option<Cursor<Vec<u8>>>,
}

impl Parrot {
    fn new(data: &[u8]) -> Self {
        let (tell, nonce) = channel();
        let mouth = Mouth { nonce, text: data.to_owned(), said: None };
        Self { stdin: Some(Ear(Some(tell))), stdout: Some(mouth) }
    }
}

impl Agent for Parrot {
    fn take_stdin(&mut self) -> Box<dyn Write + Send> {
        Box::new(self.stdin.take().expect("it is taken once"))
    }

    fn take_stdout(&mut self) -> Box<dyn Read + Send> {
        Box::new(self.stdout.take().expect("it is taken once"))
    }

    fn finish(&mut self, _: Duration, _: &Interrupt) -> (Option<i32>, String) {
        (Some(0), String::new())
    }
}

impl Write for Ear {
    fn write(&mut self, script: &[u8]) -> std::io::Result<usize> {
        if let Some(tell) = self.0.take() {
            let nonce = script.windows(32).find(|run| run.iter().all(u8::is_ascii_hexdigit));
            let _ = tell.send(nonce.expect("the script holds the nonce").to_owned());
        }
        Ok(script.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Read for Mouth {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let said = self.said.get_or_insert_with(|| {
            let nonce = self.nonce.recv().unwrap_or_default();
            let parts: Vec<&[u8]> = self.text.split(|&byte| byte == b'@').collect();
            Cursor::new(parts.join(&nonce[..]))
        });
        said.read(buffer)
    }
}
