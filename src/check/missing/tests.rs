//! Texts as they stand in checks, with what bash says where `mytool` is missing; the real shells are asked in
//! `tests/cli/missing_programs.rs`.

use super::*;

const SAID: &str = "bash: line 1: mytool: command not found\n";

fn shell(text: &str) -> CustomCommand {
    CustomCommand::Shell(text.to_owned())
}

fn lacks(text: &str, said: &str) -> bool {
    decided(&shell(text), said.as_bytes()).is_some()
}

#[test]
fn a_missing_program_decides_where_nothing_else_looked_after_it() {
    for text in [
        "mytool",
        "mytool || exit 1",
        "mytool && exit 0; exit 1",
        "mytool && exit 0\nexit 1",
        "mytool | grep -q up",
        "curl -fs http://x/ | mytool -r .status | grep -q ok",
        "mytool | grep -q up && exit 0; exit 1",
        "mytool | grep -q up || exit 1",
        "[ \"$(mytool)\" = up ]",
        "[ \"`mytool`\" = up ] || exit 1",
        "[[ $(mytool) == up && 1 -lt 2 ]]",
        "test \"$(mytool | head -n 1)\" -gt 3 || exit 1",
        "if ! mytool; then exit 1; fi",
        "if mytool; then exit 0; else exit 1; fi",
        "if [ \"$(mytool)\" != up ]; then echo down; exit 1; fi",
        "if mytool\nthen\n  exit 0\nfi\nexit 1",
        "mytool; test $? -eq 0",
        "mytool; rc=$?; [ $rc -eq 0 ] || exit $rc",
        "mytool; exit $?",
        "mytool || { echo down; exit 1; }",
        "mytool || { logger -t check down; exit 1; }",
        "mytool || (curl -d down http://hook/ >/dev/null; exit 1)",
        "mytool || exit 1; curl -fs http://x/",
        "mytool && curl -fs http://x/ || exit 1",
        "curl -fs http://x/ && mytool || exit 1",
        "out=$(mytool) || exit 1",
        "out=$(mytool); [ \"$out\" = up ]",
        "out=$(mytool)\ncase $out in up) exit 0 ;; *) exit 1 ;; esac",
        "case $(mytool) in up|ok) ;; (*) exit 1 ;; esac",
        "curl -fs \"http://$(mytool)/\" || exit 1",
        "host=$(mytool); curl -fs \"http://$host/\" || exit 1",
        "for i in 1 2 3; do mytool && exit 0; sleep 1; done; exit 1",
        "until mytool; do sleep 1; done && false",
        "check() { mytool; }; check || exit 1",
        "check() {\n  mytool\n}\nif ! check; then exit 1; fi",
        "sh -c mytool || exit 1",
        "sh -c 'mytool || exit 1'",
        "su app -c 'mytool | grep up' || exit 1",
        "timeout 3 bash -lc \"mytool || exit 1\" || exit 1",
        "eval \"mytool\" || exit 1",
        "command mytool || exit 1",
        "A=b mytool || exit 1",
        "$TOOL status || exit 1",
        "mytool <<< hello || exit 1",
        "mytool || # curl http://x/\nexit 1",
        "mytool \\\n  --all || exit 1",
        "! mytool && exit 1",
        "mytool 2>&1 || exit 1",
        "{ mytool; } || exit 1",
        "(mytool) || exit 1",
        "test -f /x && mytool || exit 1",
        "cat <<END | mytool || exit 1\nhello\nEND",
    ] {
        assert!(lacks(text, SAID), "{text}");
    }
}

#[test]
fn a_program_that_looked_after_it_decides_itself() {
    for text in [
        "mytool || curl -fs http://x/",
        "mytool || curl -fs http://x/ || exit 1",
        "mytool -fs http://x/ || wget -qO- http://x/ >/dev/null || exit 1",
        "mytool || curl -fs http://x/ | grep -q ok || exit 1",
        "mytool && exit 0; curl -fs http://x/ && exit 0; exit 1",
        "mytool; curl -fs http://x/ || exit 1",
        "if mytool; then exit 0; fi; curl -fs http://x/ || exit 1",
        "if ! mytool; then curl -fs http://x/ || exit 1; fi",
        "if mytool; then exit 0; elif curl -fs http://x/; then exit 0; else exit 1; fi",
        "mytool || [ -S /run/x.sock ] || exit 1",
        "mytool || (exec 3<>/dev/tcp/localhost/80) || exit 1",
        "mytool || kill -0 \"$(cat /run/x.pid)\" || exit 1",
        "mytool >/dev/null; out=$(curl -fs http://x/); [ \"$out\" = up ]",
        "mytool || sh -c 'curl -fs http://x/' || exit 1",
        "check() { curl -fs http://x/; }; mytool || check || exit 1",
        "curl -fs http://x/ || { mytool 'x is down'; exit 1; }",
        "mytool x; curl -fs http://x/ || exit 1",
    ] {
        assert!(!lacks(text, SAID), "{text}");
        let last = format!("{SAID}something else\n");
        assert!(!lacks(text, &last), "{text}");
    }
}

#[test]
fn the_last_of_several_ways_decides() {
    let text = "curl -fs http://x/ || wget -qO- http://x/ || exit 1";
    let (curl, wget) = ("sh: 1: curl: not found\n", "sh: 1: wget: not found\n");
    assert!(!lacks(text, curl));
    assert!(!lacks(text, &format!("{curl}wget: can't connect to remote host: Connection refused\n")));
    assert!(lacks(text, wget));
    assert!(lacks(text, &format!("{curl}{wget}")));
}

#[test]
fn words_of_others_are_no_complaint() {
    for (text, said) in [
        ("curl -fsS http://x/ || exit 1", "curl: (22) The requested URL returned error: 404 not found\n"),
        ("curl -s http://x/ | grep -q up", "command not found in registry\n"),
        ("grep -q ok /var/log/x || tail -n 1 /var/log/x; exit 1", "sh: 1: mytool: not found\n"),
        ("tail -n 1 /var/log/x; exit 1", "/etc/init.d/x: line 3: mytool: command not found\n"),
        ("mytool get key || exit 1", "mytool: key: not found\n"),
        ("read -r pid </run/x.pid && kill -0 $pid", "bash: line 1: /run/x.pid: No such file or directory\n"),
        ("kill -0 $(cat /run/x.pid)", "cat: /run/x.pid: No such file or directory\n"),
        ("find data -mmin -5 | grep -q .", "find: ‘data’: No such file or directory\n"),
        ("xargs -n 1 grep -q up </run/list", "xargs: grep: terminated by signal 11\n"),
        ("[ x = ]", "dash: 1: [: x: unexpected operator\n"),
        ("cd /opt/x && ls", "bash: line 1: cd: /opt/x: No such file or directory\n"),
        ("mytool || exit 1", ""),
        ("mytool || exit 1", "refused\n"),
    ] {
        assert!(!lacks(text, said), "{text}: {said}");
    }
}

#[test]
fn what_cannot_be_run_is_missing_too() {
    for (text, said) in [
        ("/opt/x/mytool || exit 1", "bash: line 1: /opt/x/mytool: No such file or directory\n"),
        ("/opt/x/mytool || exit 1", "dash: 1: eval: /opt/x/mytool: not found\n"),
        ("/opt/x/mytool || exit 1", "dash: 1: eval: /opt/x/mytool: Permission denied\n"),
        ("/opt/x/mytool || exit 1", "bash: line 1: /opt/x/mytool: cannot execute: required file not found\n"),
        ("/opt/x/mytool || exit 1", "bash: line 1: /opt/x/mytool: Is a directory\n"),
        ("/opt/x/mytool || exit 1", "/opt/x/mytool: line 4: jq: command not found\n"),
        ("/opt/x/mytool || exit 1", "/usr/bin/env: ‘python3’: No such file or directory\n"),
        ("python3 /opt/x/check.py || exit 1", "sh: 1: jq: not found\n"),
        ("mytool || exit 1", "bash: Zeile 1: mytool: Kommando nicht gefunden.\n"),
        ("env A=b mytool || exit 1", "env: ‘mytool’: No such file or directory\n"),
        (
            "nice timeout 3 mytool || exit 1",
            "timeout: failed to run command ‘mytool’: No such file or directory\n",
        ),
        ("echo a | xargs mytool || exit 1", "xargs: mytool: No such file or directory\n"),
        (
            "docker exec web mytool || exit 1",
            "OCI runtime exec failed: exec: \"mytool\": executable file not found in $PATH\n",
        ),
    ] {
        assert!(lacks(text, said), "{text}: {said}");
    }
    // Inside a script nobody sees what ran: what is said later was said by something that did.
    assert!(!lacks("/app/check || exit 1", "/app/check: 3: curl: not found\nwget: Connection refused\n"));
    let argv = CustomCommand::Argv(["sh", "-c", "mytool || exit 1"].map(str::to_owned).to_vec());
    assert_eq!(decided(&argv, b"sh: 1: mytool: not found\n").as_deref(), Some("mytool: not found"));
    let script = CustomCommand::Argv(vec!["/app/check".to_owned()]);
    assert!(decided(&script, b"/app/check: 3: mytool: not found\n").is_some());
}

#[test]
fn no_text_is_too_odd_to_be_read() {
    let deep =
        ["( ", "! ", "{ ", "a || ", "a | ", "$(", "if ", "f() ", "a; "].map(|part| part.repeat(100_000));
    let calls: String = (1..40).map(|n| format!("f{n}() {{ f{0}; f{0}; }}\n", n - 1)).collect();
    let _ = decided(&shell(&format!("f0() {{ mytool; }}\n{calls}f39")), SAID.as_bytes());
    let texts =
        ["", ";", "&&", "|", "$(", "`", "${", "\"", "'", "case", "if", "a=(b)", "((1))", "<<", "f() (", "\\"];
    for text in texts.iter().copied().chain(deep.iter().map(String::as_str)) {
        for text in [text.to_owned(), format!("mytool {text}"), format!("if a; then b; el{text}")] {
            let _ = decided(&shell(&text), SAID.as_bytes());
        }
    }
}
