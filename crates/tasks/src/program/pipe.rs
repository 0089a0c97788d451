//! Pipes of a process, each served by a thread that ends with it.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::Arc;

/// How much is read of a pipe after the process has ended: more than a pipe can hold.
#[cfg(unix)]
const LEFT_BEHIND: usize = 1 << 21;

/// A portion that a pipe takes whole once it takes anything.
#[cfg(unix)]
const PORTION: usize = 512;

/// Says when pipes are to be left, since what the process started may hold them open for ever: dropped.
#[derive(Debug)]
pub(super) struct Cutter {
    _end: PipeWriter,
    cut: Arc<PipeReader>,
}

impl Cutter {
    pub(super) fn new() -> io::Result<Self> {
        let (cut, end) = io::pipe()?;
        Ok(Self { _end: end, cut: Arc::new(cut) })
    }

    /// A pipe that this one cuts.
    pub(super) fn cuts<P>(&self, pipe: P) -> Pipe<P> {
        Pipe {
            inner: pipe,
            #[cfg(unix)]
            cut: self.cut.clone(),
            #[cfg(unix)]
            left: LEFT_BEHIND,
        }
    }
}

/// A pipe that reads as ended once it is cut and what was written before has been read, and that takes no more then.
#[derive(Debug)]
pub(super) struct Pipe<P> {
    inner: P,
    #[cfg(unix)]
    cut: Arc<PipeReader>,
    /// Bytes that are read once it is cut.
    #[cfg(unix)]
    left: usize,
}

#[cfg(unix)]
impl<P: std::os::fd::AsFd> Pipe<P> {
    /// Waits for the pipe or its cut: whether the pipe is ready, and whether it is cut.
    fn wait(&self, flags: rustix::event::PollFlags) -> io::Result<(bool, bool)> {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut both = [PollFd::new(&self.inner, flags), PollFd::new(&*self.cut, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut both, None))?;
        Ok((!both[0].revents().is_empty(), !both[1].revents().is_empty()))
    }
}

#[cfg(unix)]
impl<P: Read + std::os::fd::AsFd> Read for Pipe<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.wait(rustix::event::PollFlags::IN)? {
            (_, false) => self.inner.read(buffer),
            (false, true) => Ok(0),
            (true, true) => {
                let most = buffer.len().min(self.left);
                let read = self.inner.read(&mut buffer[..most])?;
                self.left -= read;
                Ok(read)
            }
        }
    }
}

#[cfg(unix)]
impl<P: Write + std::os::fd::AsFd> Write for Pipe<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.wait(rustix::event::PollFlags::OUT)? {
            (_, false) => self.inner.write(&bytes[..bytes.len().min(PORTION)]),
            (_, true) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(not(unix))]
impl<P: Read> Read for Pipe<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

#[cfg(not(unix))]
impl<P: Write> Write for Pipe<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
