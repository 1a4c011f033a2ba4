//! Who decided that a check failed: its text is followed as the shell ran it, knowing which programs were missing.

use std::collections::{HashMap, HashSet};

use super::base;
use super::complaint::{Complaint, Who};
use super::syntax::{self, Node, Simple, Word};

/// Functions that call each other are not followed deeper, nor for longer.
const DEPTH: usize = 40;
const STEPS: usize = 20_000;
/// Shells, and programs that hand a text to one, with `-c`.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "ksh", "mksh", "su", "runuser"];
/// Programs and builtins that only tell or wait: their exit code is no verdict.
const TELLERS: [&str; 15] = [
    "echo", "printf", "true", ":", "sleep", "date", "logger", "mail", "sendmail", "set", "unset", "shift",
    "trap", "umask", "ulimit",
];
/// Builtins whose verdict is that of what they are given.
const BUILTINS: [&str; 16] = [
    "cd", "export", "readonly", "local", "declare", "typeset", "let", "alias", "hash", "type", "wait",
    "read", "false", "break", "continue", "command",
];
/// Programs that print what others wrote: a complaint in that is none of the check's.
const READERS: [&str; 22] = [
    "cat",
    "tail",
    "head",
    "grep",
    "egrep",
    "fgrep",
    "zgrep",
    "zcat",
    "sed",
    "awk",
    "curl",
    "wget",
    "less",
    "journalctl",
    "docker",
    "tr",
    "cut",
    "sort",
    "uniq",
    "wc",
    "tee",
    "jq",
];

/// Whose failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Blame {
    Nobody,
    /// A program that could look, and did not find the service well.
    Looked,
    /// The lack of a program.
    Missing,
}

/// What came of a command.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    blame: Blame,
    /// Whether it failed, where that is certain.
    failed: Option<bool>,
    /// Nothing of the text ran after it.
    ended: bool,
}

const NOTHING: Outcome = Outcome { blame: Blame::Nobody, failed: Some(false), ended: false };

/// The last complaint, where the lack of a program decided.
pub(super) fn missing<'c>(tree: &Node, complaints: &'c [Complaint]) -> Option<&'c Complaint> {
    let mut placed = HashSet::new();
    programs(tree, &mut |name| {
        placed.insert(name.to_owned());
    });
    let mut run =
        Run { complaints, placed, variables: HashMap::new(), functions: HashMap::new(), depth: 0, steps: 0 };
    let outcome = run.node(tree);
    complaints.last().filter(|_| outcome.blame == Blame::Missing)
}

struct Run<'a> {
    complaints: &'a [Complaint],
    /// All programs that stand in the text by name.
    placed: HashSet<String>,
    /// What the variables hang on; `?` is one of them.
    variables: HashMap<String, Blame>,
    functions: HashMap<String, Node>,
    depth: usize,
    steps: usize,
}

impl Run<'_> {
    fn node(&mut self, node: &Node) -> Outcome {
        if self.depth >= DEPTH || self.steps >= STEPS {
            return NOTHING;
        }
        self.depth += 1;
        self.steps += 1;
        let outcome = match node {
            Node::Simple(simple) => self.simple(simple),
            Node::Not(inner) => {
                let inner = self.node(inner);
                Outcome { failed: inner.failed.map(|failed| !failed), ..inner }
            }
            Node::Pipe(all) => {
                let all: Vec<Outcome> = all.iter().map(|part| self.node(part)).collect();
                Outcome { failed: all.last().and_then(|last| last.failed), ..either(&all) }
            }
            Node::And(left, right) => match self.node(left) {
                left if left.failed == Some(true) || left.ended => left,
                left if left.failed.is_none() => {
                    let right = self.node(right);
                    Outcome { ended: false, ..either(&[left, right]) }
                }
                left => after(left, self.node(right)),
            },
            Node::Or(left, right) => match self.node(left) {
                left if left.failed == Some(false) || left.ended => left,
                left => {
                    let certain = left.failed.is_some();
                    let right = after(left, self.node(right));
                    Outcome {
                        failed: right.failed.filter(|_| certain),
                        ended: right.ended && certain,
                        ..right
                    }
                }
            },
            Node::Sequence(all) => self.sequence(all),
            Node::If { condition, then, otherwise } => self.choose(condition, then, otherwise),
            Node::Loop { condition, body } => {
                let parts = [self.node(condition), self.node(body)];
                let both = Outcome { ended: false, ..either(&parts) };
                // What the condition saw decides when it is over.
                if parts[0].blame == Blame::Looked { Outcome { blame: Blame::Looked, ..both } } else { both }
            }
            Node::Case { word, bodies } => {
                let mut parts = vec![self.hangs_on(word)];
                parts.extend(bodies.iter().map(|body| self.node(body)));
                Outcome { ended: false, ..either(&parts) }
            }
            Node::Function { name, body } => {
                self.functions.insert(name.clone(), (**body).clone());
                NOTHING
            }
        };
        self.depth -= 1;
        self.variables.insert("?".to_owned(), outcome.blame);
        outcome
    }

    /// The last command decides. Where that is a constant, those decide that could have ended it all before.
    fn sequence(&mut self, all: &[Node]) -> Outcome {
        let (mut last, mut before) = (NOTHING, Blame::Nobody);
        for node in all {
            last = self.node(node);
            if last.ended {
                break;
            }
            if may_end(node) {
                match self.guard(node) {
                    Blame::Nobody => {}
                    blame => before = blame,
                }
            }
        }
        if last.blame == Blame::Nobody {
            last.blame = before;
        }
        last
    }

    /// Who decided whether an `exit` within was reached.
    fn guard(&mut self, node: &Node) -> Blame {
        match node {
            Node::And(left, right) | Node::Or(left, right) if may_end(right) => {
                let left = self.node(left).blame;
                left.max(self.guard(right))
            }
            Node::And(left, _) | Node::Or(left, _) => self.guard(left),
            Node::If { condition, then, otherwise } if may_end(then) || may_end(otherwise) => {
                self.node(condition).blame
            }
            Node::If { condition, .. } => self.guard(condition),
            Node::Loop { condition, body } => match self.guard(body) {
                Blame::Nobody => self.node(condition).blame,
                blame => blame,
            },
            Node::Sequence(all) => {
                let guards = all.iter().filter(|node| may_end(node)).map(|node| self.guard(node));
                guards.filter(|blame| *blame != Blame::Nobody).last().unwrap_or(Blame::Nobody)
            }
            other => self.node(other).blame,
        }
    }

    fn choose(&mut self, condition: &Node, then: &Node, otherwise: &Node) -> Outcome {
        let condition = self.node(condition);
        match condition.failed {
            Some(true) => after(condition, self.node(otherwise)),
            Some(false) => after(condition, self.node(then)),
            None => {
                let parts = [condition, self.node(then), self.node(otherwise)];
                Outcome { ended: false, ..either(&parts) }
            }
        }
    }

    fn simple(&mut self, simple: &Simple) -> Outcome {
        let mut given = NOTHING;
        for (name, value) in &simple.assignments {
            let value = self.hangs_on(value);
            self.variables.insert(name.clone(), value.blame);
            given = either(&[given, value]);
        }
        let mut words = simple.words.as_slice();
        for word in words {
            given = either(&[given, self.hangs_on(word)]);
        }
        // What only says how to run the rest.
        while let [first, second, ..] = words
            && ["command", "exec", "builtin", "time"].contains(&first.text.as_str())
            && !second.text.starts_with('-')
        {
            words = &words[1..];
        }
        let Some(program) = words.first() else {
            // A substitution alone hands on its exit code.
            return if simple.opens { looked(given) } else { given };
        };
        let name = program.text.as_str();
        if let Some(body) = self.functions.get(name).cloned() {
            let inner = self.node(&body);
            return Outcome { ended: false, ..after(given, inner) };
        }
        match name {
            "exit" | "return" => {
                let none = words.len() == 1;
                let status = self.variables.get("?").copied().filter(|_| none).unwrap_or(Blame::Nobody);
                return Outcome { blame: given.blame.max(status), failed: None, ended: true };
            }
            "false" => return Outcome { failed: Some(true), ..given },
            "test" | "[" | "[[" => {
                let looks = words.iter().any(|word| is_file_test(&word.text));
                return if looks { looked(given) } else { unsure(given) };
            }
            "eval" => {
                let text: Vec<&str> = words[1..].iter().map(|word| word.text.as_str()).collect();
                return match syntax::parse(&text.join(" ")) {
                    Some(inner) => after(given, self.node(&inner)),
                    None => looked(given),
                };
            }
            _ if self.lacks(words) => {
                return Outcome { blame: Blame::Missing, failed: Some(true), ended: name == "exec" };
            }
            _ => {}
        }
        if let Some(text) = shell_text(words) {
            let inner = syntax::parse(text).map_or(looked(given), |inner| self.node(&inner));
            return Outcome { ended: false, ..after(given, inner) };
        }
        if TELLERS.contains(&name) {
            return if simple.opens { looked(given) } else { Outcome { failed: Some(false), ..given } };
        }
        if BUILTINS.contains(&name) && !simple.opens { unsure(given) } else { looked(given) }
    }

    /// Whether that command could not be run.
    fn lacks(&self, words: &[Word]) -> bool {
        let Some(program) = words.first() else { return false };
        let stands = |name: &str| words.iter().any(|word| word.text == name);
        self.complaints.iter().any(|complaint| match complaint.who {
            Who::Shell if complaint.program == program.text => !is_builtin(&program.text),
            Who::Launcher if stands(&complaint.program) => true,
            // The words of others tell it only where nothing was said after them.
            _ if self.placed.contains(&complaint.program) || !complaint.is_plain() || !complaint.last => {
                false
            }
            _ if !program.is_literal() => true,
            _ if stands(&complaint.by) => true,
            _ => is_opaque(&program.text),
        })
    }

    fn hangs_on(&mut self, word: &Word) -> Outcome {
        let mut parts: Vec<Outcome> = word.commands.iter().map(|inner| self.node(inner)).collect();
        let known = |name: &String| self.variables.get(name).copied();
        let blame = word.variables.iter().filter_map(known).max().unwrap_or(Blame::Nobody);
        parts.push(Outcome { blame, ..NOTHING });
        let failed = match parts.as_slice() {
            [_] => Some(false),
            [inner, _] => inner.failed,
            _ => None,
        };
        Outcome { failed, ended: false, ..either(&parts) }
    }
}

/// Of several of which any may have decided.
fn either(parts: &[Outcome]) -> Outcome {
    let blame = parts.iter().map(|part| part.blame).max().unwrap_or(Blame::Nobody);
    let failed = match parts {
        [first, second] if first.blame == Blame::Nobody && first.failed == Some(false) => second.failed,
        [first, second] if second.blame == Blame::Nobody && second.failed == Some(false) => first.failed,
        _ => None,
    };
    Outcome { blame, failed, ended: false }
}

/// The later one decided, unless it is a constant.
fn after(before: Outcome, later: Outcome) -> Outcome {
    let blame = if later.blame == Blame::Nobody { before.blame } else { later.blame };
    Outcome { blame, ..later }
}

fn looked(given: Outcome) -> Outcome {
    unsure(Outcome { blame: given.blame.max(Blame::Looked), ..given })
}

fn unsure(given: Outcome) -> Outcome {
    Outcome { failed: None, ended: false, ..given }
}

fn is_file_test(word: &str) -> bool {
    matches!(word.as_bytes(), [b'-', operator] if b"bcdefghkprstuwxGLNOS".contains(operator))
}

fn is_builtin(name: &str) -> bool {
    TELLERS[..4].contains(&name) || BUILTINS.contains(&name) || ["kill", "test", "[", "[["].contains(&name)
}

/// Whether a program may itself run others.
fn is_opaque(name: &str) -> bool {
    !is_builtin(name) && !TELLERS.contains(&name) && !READERS.contains(&base(name))
}

/// The text that a shell is given with `-c`, however that shell is started.
fn shell_text(words: &[Word]) -> Option<&str> {
    let shell = words.iter().position(|word| SHELLS.contains(&base(&word.text)))?;
    let flag =
        |word: &Word| word.text.starts_with('-') && !word.text.starts_with("--") && word.text.ends_with('c');
    let at = words[shell..].iter().position(flag)? + shell;
    words.get(at + 1).map(|word| word.text.as_str())
}

/// Whether the text may end there.
fn may_end(node: &Node) -> bool {
    match node {
        Node::Simple(simple) => {
            simple.words.first().is_some_and(|word| ["exit", "return"].contains(&word.text.as_str()))
        }
        Node::Not(inner) => may_end(inner),
        Node::Pipe(_) | Node::Function { .. } => false,
        Node::And(left, right) | Node::Or(left, right) => may_end(left) || may_end(right),
        Node::Sequence(all) => all.iter().any(may_end),
        Node::If { condition, then, otherwise } => {
            [condition, then, otherwise].into_iter().any(|part| may_end(part))
        }
        Node::Loop { condition, body } => may_end(condition) || may_end(body),
        Node::Case { bodies, .. } => bodies.iter().any(may_end),
    }
}

/// Calls `each` with every program that stands by name in the text.
fn programs(node: &Node, each: &mut dyn FnMut(&str)) {
    match node {
        Node::Simple(simple) => {
            let values = simple.assignments.iter().map(|(_, value)| value);
            for word in values.chain(&simple.words) {
                word.commands.iter().for_each(|inner| programs(inner, each));
            }
            let wrappers = ["command", "exec", "builtin", "time"];
            let named = simple.words.iter().find(|word| !wrappers.contains(&word.text.as_str()));
            named.into_iter().for_each(|word| each(&word.text));
            let inner = shell_text(&simple.words).and_then(syntax::parse);
            inner.iter().for_each(|inner| programs(inner, each));
        }
        Node::Not(inner) => programs(inner, each),
        Node::Function { body, .. } => programs(body, each),
        Node::Pipe(all) | Node::Sequence(all) => all.iter().for_each(|part| programs(part, each)),
        Node::And(left, right) | Node::Or(left, right) => {
            programs(left, each);
            programs(right, each);
        }
        Node::If { condition, then, otherwise } => {
            [condition, then, otherwise].into_iter().for_each(|part| programs(part, each));
        }
        Node::Loop { condition, body } => {
            programs(condition, each);
            programs(body, each);
        }
        Node::Case { word, bodies } => {
            word.commands.iter().for_each(|inner| programs(inner, each));
            bodies.iter().for_each(|part| programs(part, each));
        }
    }
}
