//! A process group that ends with this process, whatever ends this one.

use std::io;
use std::process::{Child, Command, Stdio};

/// A group of processes, killed when dropped.
///
/// Its first process is a shell that waits for the end of a pipe, which this process alone holds open, and then kills
/// the group. So the group ends with this process, by SIGKILL as well. A process that is started into the group is in
/// it before it runs, and holds the pipe open until then: there is no instant at which it could be missed. The shell is
/// reaped last, so that the group's number passes to nobody else.
#[derive(Debug)]
pub(super) struct Group {
    #[cfg(unix)]
    shell: Child,
}

#[cfg(unix)]
impl Group {
    pub(super) fn start() -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let shell = Command::new("sh")
            .args(["-c", "read -r _; kill -s KILL 0"])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                let reason = format!("`sh`, which ends it with this process: {error}");
                io::Error::new(error.kind(), reason)
            })?;
        Ok(Self { shell })
    }

    /// Lets `command` start in the group.
    pub(super) fn join(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        command.process_group(rustix::process::Pid::from_child(&self.shell).as_raw_pid());
    }

    /// Kills all that is in the group.
    pub(super) fn kill(&self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        // It fails where nothing is left to kill.
        let _ = kill_process_group(Pid::from_child(&self.shell), Signal::KILL);
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        let _ = self.shell.wait();
    }
}

/// Where there are no groups, the process itself is killed and what it started is not.
#[cfg(not(unix))]
impl Group {
    pub(super) fn start() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(super) fn join(&self, _: &mut Command) {}

    pub(super) fn kill(&self) {}
}
