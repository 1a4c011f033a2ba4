//! Shell text as a tree, as far as it takes to tell which of its commands decided the result.
//!
//! What is not needed for that is dropped (redirections, arithmetic); what is not understood (here-documents,
//! process substitution) makes the whole text unreadable, which the caller must bear.

/// Deeper nesting is not read, nor is a longer chain of `&&` and `||`: what follows the tree calls itself.
const DEPTH: usize = 40;
const CHAIN: usize = 200;

/// A command, or several.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Simple(Simple),
    Not(Box<Node>),
    Pipe(Vec<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Sequence(Vec<Node>),
    If { condition: Box<Node>, then: Box<Node>, otherwise: Box<Node> },
    Loop { condition: Box<Node>, body: Box<Node> },
    Case { word: Word, bodies: Vec<Node> },
    Function { name: String, body: Box<Node> },
}

/// A program or builtin with its arguments, or assignments alone.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Simple {
    pub(super) assignments: Vec<(String, Word)>,
    pub(super) words: Vec<Word>,
    /// A redirection reads a file or opens a connection, which may fail by itself.
    pub(super) opens: bool,
}

/// One word.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Word {
    /// Its text without quotes; an expansion is missing in it.
    pub(super) text: String,
    /// The variables that stand in it.
    pub(super) variables: Vec<String>,
    /// The commands whose output stands in it.
    pub(super) commands: Vec<Node>,
}

impl Word {
    pub(super) fn literal(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// Whether nothing in it is expanded.
    pub(super) fn is_literal(&self) -> bool {
        self.variables.is_empty() && self.commands.is_empty()
    }
}

/// Reads shell text; `None` where it is not understood.
pub(super) fn parse(text: &str) -> Option<Node> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0, depth: 0 };
    let node = reader.list(&[])?;
    (reader.at == reader.chars.len()).then_some(node)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn starts(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(offset, c)| self.chars.get(self.at + offset) == Some(&c))
    }

    fn take(&mut self, text: &str) -> bool {
        let there = self.starts(text);
        if there {
            self.at += text.chars().count();
        }
        there
    }

    /// Blanks, continued lines and comments.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.starts("\\\n") => self.at += 2,
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn lines(&mut self) {
        self.blanks();
        while self.take("\n") {
            self.blanks();
        }
    }

    /// Whether that word stands here as one of the shell's own.
    fn reserved(&self, word: &str) -> bool {
        let after = self.chars.get(self.at + word.chars().count());
        self.starts(word) && after.is_none_or(|&c| c.is_whitespace() || ";&|()<>".contains(c))
    }

    fn expect(&mut self, word: &str) -> Option<()> {
        (self.reserved(word) && self.take(word)).then_some(())
    }

    /// Commands one after the other, up to one of these words, a closing bracket or the end.
    fn list(&mut self, ends: &[&str]) -> Option<Node> {
        self.depth += 1;
        let mut all = Vec::new();
        while self.depth < DEPTH {
            self.lines();
            if self.starts(";;") || ends.iter().any(|end| self.reserved(end)) {
                break;
            }
            match self.peek() {
                None | Some(')') => break,
                Some(';' | '&') => self.at += 1,
                Some(_) => all.push(self.and_or()?),
            }
        }
        self.depth -= 1;
        (self.depth < DEPTH - 1).then_some(Node::Sequence(all))
    }

    fn and_or(&mut self) -> Option<Node> {
        let mut left = self.pipeline()?;
        for _ in 0..CHAIN {
            self.blanks();
            let and = self.starts("&&");
            if !self.take("&&") && !self.take("||") {
                return Some(left);
            }
            self.lines();
            let sides = (Box::new(left), Box::new(self.pipeline()?));
            left = if and { Node::And(sides.0, sides.1) } else { Node::Or(sides.0, sides.1) };
        }
        None
    }

    fn pipeline(&mut self) -> Option<Node> {
        self.blanks();
        let mut not = false;
        while self.reserved("!") && self.take("!") {
            not = !not;
            self.blanks();
        }
        let mut all = vec![self.command()?];
        loop {
            self.blanks();
            if self.starts("||") || !self.take("|") {
                let node = if all.len() > 1 { Node::Pipe(all) } else { all.pop()? };
                return Some(if not { Node::Not(Box::new(node)) } else { node });
            }
            self.take("&");
            self.lines();
            all.push(self.command()?);
        }
    }

    fn command(&mut self) -> Option<Node> {
        self.depth += 1;
        let node = if self.depth < DEPTH { self.whole_command() } else { None };
        self.depth -= 1;
        node
    }

    fn whole_command(&mut self) -> Option<Node> {
        self.blanks();
        let node = if self.starts("((") {
            return None;
        } else if self.take("(") {
            let inner = self.list(&[])?;
            self.take(")").then_some(inner)?
        } else if self.expect("{").is_some() {
            let inner = self.list(&["}"])?;
            self.expect("}")?;
            inner
        } else if self.expect("if").is_some() {
            self.rest_of_if()?
        } else if self.expect("while").is_some() || self.expect("until").is_some() {
            let condition = Box::new(self.list(&["do"])?);
            Node::Loop { condition, body: self.body()? }
        } else if self.expect("for").is_some() {
            let condition = Box::new(self.simple(false)?);
            self.blanks();
            self.take(";");
            self.lines();
            Node::Loop { condition, body: self.body()? }
        } else if self.expect("case").is_some() {
            self.rest_of_case()?
        } else {
            return self.simple(true);
        };
        // Whatever is redirected there.
        let redirected = self.simple(false)?;
        matches!(&redirected, Node::Simple(simple) if simple.words.is_empty()).then_some(node)
    }

    fn rest_of_if(&mut self) -> Option<Node> {
        let condition = Box::new(self.list(&["then"])?);
        self.expect("then")?;
        let then = Box::new(self.list(&["elif", "else", "fi"])?);
        let otherwise = if self.expect("elif").is_some() {
            self.depth += 1;
            let rest = if self.depth < DEPTH { self.rest_of_if() } else { None };
            self.depth -= 1;
            rest?
        } else {
            let nothing = Node::Sequence(Vec::new());
            let other = if self.expect("else").is_some() { self.list(&["fi"])? } else { nothing };
            self.expect("fi")?;
            other
        };
        Some(Node::If { condition, then, otherwise: Box::new(otherwise) })
    }

    fn body(&mut self) -> Option<Box<Node>> {
        self.expect("do")?;
        let body = self.list(&["done"])?;
        self.expect("done")?;
        Some(Box::new(body))
    }

    fn rest_of_case(&mut self) -> Option<Node> {
        self.blanks();
        let word = self.word()?;
        self.lines();
        self.expect("in")?;
        let mut bodies = Vec::new();
        loop {
            self.lines();
            if self.expect("esac").is_some() {
                return Some(Node::Case { word, bodies });
            }
            self.take("(");
            while !self.take(")") {
                self.blanks();
                self.take("|");
                self.blanks();
                self.word()?;
                self.blanks();
            }
            bodies.push(self.list(&["esac"])?);
            self.take(";;");
        }
    }

    /// A simple command, or a function where one may be defined.
    fn simple(&mut self, may_define: bool) -> Option<Node> {
        let mut simple = Simple::default();
        loop {
            self.blanks();
            let tests = simple.words.first().is_some_and(|first| first.text == "[[");
            if tests && (self.take("&&") || self.take("||")) {
                continue;
            }
            match self.peek() {
                None | Some('\n' | ';') => break,
                Some('&') if !self.starts("&>") => break,
                // Within [[ … ]] these are no operators of the shell.
                Some('|' | '(' | ')' | '<' | '>') if tests => self.at += 1,
                Some('|' | ')') => break,
                Some('(') if may_define && simple.words.len() == 1 => {
                    self.take("(");
                    self.blanks();
                    self.take(")").then_some(())?;
                    self.lines();
                    let name = simple.words[0].text.clone();
                    return Some(Node::Function { name, body: Box::new(self.command()?) });
                }
                Some('(') => return None,
                Some('<' | '>' | '&') => self.redirection(&mut simple)?,
                Some(_) => {
                    let word = self.word()?;
                    let number = word.is_literal() && word.text.bytes().all(|b| b.is_ascii_digit());
                    if number && !word.text.is_empty() && matches!(self.peek(), Some('<' | '>')) {
                        self.redirection(&mut simple)?;
                    } else {
                        simple.add(word);
                    }
                }
            }
        }
        Some(Node::Simple(simple))
    }

    fn redirection(&mut self, simple: &mut Simple) -> Option<()> {
        let reads = self.starts("<");
        if self.take("<<<") {
            self.blanks();
            simple.words.push(self.word()?);
            return Some(());
        }
        if self.starts("<<") || self.starts("<(") || self.starts(">(") {
            return None;
        }
        while matches!(self.peek(), Some('<' | '>' | '&' | '|')) {
            self.at += 1;
        }
        self.blanks();
        let target = self.word()?;
        let connects = target.text.starts_with("/dev/tcp/") || target.text.starts_with("/dev/udp/");
        simple.opens |= connects || reads && target.text != "/dev/null";
        Some(())
    }

    fn word(&mut self) -> Option<Word> {
        let (mut word, begun) = (Word::default(), self.at);
        while let Some(c) = self.peek() {
            match c {
                c if c.is_whitespace() || ";&|()<>".contains(c) => break,
                '\'' => {
                    self.at += 1;
                    while self.peek()? != '\'' {
                        word.text.push(self.peek()?);
                        self.at += 1;
                    }
                    self.at += 1;
                }
                '"' => {
                    self.at += 1;
                    while self.peek()? != '"' {
                        self.one(&mut word)?;
                    }
                    self.at += 1;
                }
                _ => self.one(&mut word)?,
            }
        }
        (self.at > begun).then_some(word)
    }

    /// One character of a word, or one expansion.
    fn one(&mut self, word: &mut Word) -> Option<()> {
        let c = self.peek()?;
        self.at += 1;
        match c {
            '\\' => {
                word.text.extend(self.peek().filter(|&c| c != '\n'));
                self.at += usize::from(self.peek().is_some());
            }
            '`' => {
                let mut inner = String::new();
                while self.peek()? != '`' {
                    self.take("\\");
                    inner.push(self.peek()?);
                    self.at += 1;
                }
                self.at += 1;
                self.depth += 1;
                let mut reader = Self { chars: inner.chars().collect(), at: 0, depth: self.depth };
                word.commands.push(reader.list(&[])?);
                self.depth -= 1;
            }
            '$' if self.take("((") => {
                while !self.take("))") {
                    self.peek()?;
                    self.at += 1;
                }
            }
            '$' if self.take("(") => {
                word.commands.push(self.list(&[])?);
                self.take(")").then_some(())?;
            }
            '$' if self.take("{") => {
                self.take("#");
                word.variables.push(self.name());
                let mut open = 1;
                while open > 0 {
                    match self.peek()? {
                        '{' => open += 1,
                        '}' => open -= 1,
                        _ => {}
                    }
                    self.at += 1;
                }
            }
            '$' if self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || "_?!#@*$-".contains(c)) => {
                word.variables.push(self.name());
            }
            c => word.text.push(c),
        }
        Some(())
    }

    /// The name of a variable.
    fn name(&mut self) -> String {
        let rest = &self.chars[self.at..];
        let length = rest.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').count().max(1);
        let name = rest.iter().take(length).collect();
        self.at = (self.at + length).min(self.chars.len());
        name
    }
}

impl Simple {
    fn add(&mut self, word: Word) {
        if self.words.is_empty()
            && let Some((name, value)) = word.text.split_once('=')
            && super::is_name(name)
        {
            let value = Word { text: value.to_owned(), ..word.clone() };
            self.assignments.push((name.to_owned(), value));
        } else {
            self.words.push(word);
        }
    }
}
