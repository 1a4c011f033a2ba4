//! Regular expressions from a configuration, compiled within bounds.

use regex::{Regex, RegexBuilder};

/// A compiled expression may be so large; more is a mistake, and slow to build.
const SIZE_LIMIT: usize = 4 * 1024 * 1024;

/// Compiles `text`.
///
/// # Errors
/// One line saying what is wrong with it.
pub fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(SIZE_LIMIT).nest_limit(100).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn errors_are_one_line_and_bounds_hold() {
        assert!(compile("minio server").unwrap().is_match("/bin/minio server /data"));
        assert_eq!(compile("(a").unwrap_err(), "unclosed group");
        assert_eq!(compile("(((a{500}){500}){500})").unwrap_err(), "it is too large");
        let deep = format!("{}a{}", "(".repeat(5000), ")".repeat(5000));
        assert!(compile(&deep).unwrap_err().contains("nest"));
    }
}
