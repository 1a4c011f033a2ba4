//! A log: figures do not depend on how it is cut or by how many threads it is read, and what is taken for a line
//! of ours can be written again.

use recovery::journal::files::Pieces;
use recovery::journal::{Format, parse, render};
use recovery::stats::{Calendar, Filter, Scanner, Tally, count, first_time};
use time::macros::datetime;

pub fn run(data: &[u8]) {
    let calendar = Calendar::new(datetime!(2026-11-21 12:00 UTC));
    let mut lines = Tally::new(Filter::default());
    for line in data.split_inclusive(|&byte| byte == b'\n') {
        Scanner::new(calendar).scan(line, &mut |fact| lines.add(fact));
    }
    let lines = lines.finish();
    for threads in [0, 2] {
        let mut whole = Tally::new(Filter::default());
        let mut pieces = Pieces::new(data);
        count(&mut whole, calendar, threads, Pieces::<&[u8]>::SIZE, |buffer| pieces.next(buffer));
        assert_eq!(whole.finish(), lines);
    }
    let _ = first_time(data, &calendar);
    for line in String::from_utf8_lossy(data).lines() {
        let Some(event) = parse(line) else { continue };
        for format in [Format::Text, Format::Json] {
            let line = render(&event, format);
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}
