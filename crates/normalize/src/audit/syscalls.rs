/// `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_AARCH64` of `linux/audit.h`.
const X86_64: &str = "c000003e";
const AARCH64: &str = "c00000b7";

/// Names of the system calls we read, with their numbers on x86-64 (`syscall_64.tbl`) and aarch64
/// (`asm-generic/unistd.h`); -1 where there is none.
const NUMBERS: &[(&str, i64, i64)] = &[
    ("execve", 59, 221),
    ("execveat", 322, 281),
    ("clone", 56, 220),
    ("clone3", 435, 435),
    ("fork", 57, -1),
    ("vfork", 58, -1),
    ("kill", 62, 129),
    ("ptrace", 101, 117),
    ("open", 2, -1),
    ("openat", 257, 56),
    ("openat2", 437, 437),
    ("creat", 85, -1),
    ("truncate", 76, 45),
    ("ftruncate", 77, 46),
    ("rename", 82, -1),
    ("renameat", 264, 38),
    ("renameat2", 316, 276),
    ("unlink", 87, -1),
    ("unlinkat", 263, 35),
    ("rmdir", 84, -1),
    ("mkdir", 83, -1),
    ("mkdirat", 258, 34),
    ("mknod", 133, -1),
    ("mknodat", 259, 33),
    ("link", 86, -1),
    ("linkat", 265, 37),
    ("symlink", 88, -1),
    ("symlinkat", 266, 36),
    ("chmod", 90, -1),
    ("fchmod", 91, 52),
    ("fchmodat", 268, 53),
    ("fchmodat2", 452, 452),
    ("chown", 92, -1),
    ("fchown", 93, 55),
    ("lchown", 94, -1),
    ("fchownat", 260, 54),
    ("setxattr", 188, 5),
    ("connect", 42, 203),
    ("accept", 43, 202),
    ("accept4", 288, 242),
    ("bind", 49, 200),
    ("sendto", 44, 206),
    ("init_module", 175, 105),
    ("finit_module", 313, 273),
    ("delete_module", 176, 106),
    ("memfd_create", 319, 279),
    ("mount", 165, 40),
    ("setuid", 105, 146),
];

/// The system call of a SYSCALL record, by number; auditd's own name where we know no number.
pub(super) fn name<'a>(
    arch: Option<&str>,
    number: Option<&'a str>,
    named: Option<&'a str>,
) -> Option<&'a str> {
    let written = number?;
    let known = written.parse::<i64>().ok().and_then(|number| {
        NUMBERS.iter().find(|(_, x86_64, aarch64)| match arch {
            Some(X86_64) => *x86_64 == number,
            Some(AARCH64) => *aarch64 == number,
            _ => false,
        })
    });
    known.map(|(name, ..)| *name).or(named).or(Some(written))
}

/// Why a call failed, by its `exit` (`asm-generic/errno.h`).
pub(super) fn failure(exit: Option<&str>) -> &'static str {
    match exit {
        Some("-1" | "-13" | "EPERM" | "EACCES") => "no-permission",
        Some("-2" | "ENOENT") => "not-found",
        Some("-17" | "EEXIST") => "exists",
        Some("-101" | "-113" | "ENETUNREACH" | "EHOSTUNREACH") => "unreachable",
        Some("-110" | "ETIMEDOUT") => "timed-out",
        Some("-111" | "ECONNREFUSED") => "refused",
        _ => "failed",
    }
}

/// `EINPROGRESS`: a connection that does not wait; how it ends is not told.
pub(super) fn is_pending(exit: Option<&str>) -> bool {
    matches!(exit, Some("-115" | "EINPROGRESS"))
}
