//! Job control: the terminal follows the command that runs.

/// The terminal in the hands of a child's group, so that it may read from the keyboard; given back on drop.
pub(super) struct Terminal {
    ours: libc::pid_t,
}

impl Terminal {
    #[expect(unsafe_code, reason = "the standard library has no job control")]
    /// Lends the terminal when it is ours; `None` when there is none, or another has it.
    pub(super) fn lend_to(group: libc::pid_t) -> Option<Self> {
        // SAFETY: plain system calls on standard input.
        unsafe {
            if libc::isatty(0) != 1 {
                return None;
            }
            let ours = libc::getpgrp();
            if libc::tcgetpgrp(0) != ours || libc::tcsetpgrp(0, group) != 0 {
                return None;
            }
            // It may have tried to read before the terminal was its own.
            libc::killpg(group, libc::SIGCONT);
            Some(Self { ours })
        }
    }
}

impl Drop for Terminal {
    #[expect(unsafe_code, reason = "the standard library has no job control")]
    fn drop(&mut self) {
        // SAFETY: plain system calls. Taking the terminal back from the background would stop us by SIGTTOU.
        unsafe {
            let before = libc::signal(libc::SIGTTOU, libc::SIG_IGN);
            libc::tcsetpgrp(0, self.ours);
            libc::signal(libc::SIGTTOU, before);
        }
    }
}
