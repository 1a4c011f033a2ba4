//! The head of an HTTP answer, as tools print it.

/// Status and body of an answer that begins with its head; interim 1xx heads are skipped.
pub(super) fn of(mut bytes: &[u8]) -> Option<(u16, &[u8])> {
    loop {
        let line = bytes.split(|&byte| byte == b'\n').next()?;
        let status = status(&String::from_utf8_lossy(line))?;
        let body = after(bytes);
        if is_interim(status) {
            bytes = body;
        } else {
            return Some((status, body));
        }
    }
}

/// The same of a head that has come to its end.
pub(super) fn whole(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (status, body) = of(bytes)?;
    let head = &bytes[..bytes.len() - body.len()];
    (head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")).then_some((status, body))
}

/// The status of the first line that is one; a small wget then follows redirects by itself.
pub(super) fn first_status(said: &str) -> Option<u16> {
    said.lines().filter_map(status).find(|status| !is_interim(*status))
}

/// The last value of that lower-case header in what a tool printed of a head.
pub(super) fn header<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    };
    said.lines().filter_map(value).next_back()
}

/// The status in a line such as `HTTP/1.1 503 Service Unavailable`, also after words of the tool.
fn status(line: &str) -> Option<u16> {
    let rest = &line[line.find("HTTP/")?..];
    let status = rest.split_ascii_whitespace().nth(1)?;
    status.parse().ok().filter(|status: &u16| (100..1000).contains(status))
}

fn is_interim(status: u16) -> bool {
    (100..200).contains(&status) && status != 101
}

fn after(bytes: &[u8]) -> &[u8] {
    let with_returns = memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4);
    let without = memchr::memmem::find(bytes, b"\n\n").map(|at| at + 2);
    let at = [with_returns, without].into_iter().flatten().min().unwrap_or(bytes.len());
    &bytes[at..]
}
