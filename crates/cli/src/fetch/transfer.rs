//! Bytes from a hub: a token that goes where it belongs only, connections that may not stall, and
//! files of exactly the size that is stated for them, resumed where an earlier attempt stopped.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, Uri};

use crate::console::Bytes;

/// What a connection brings at least within the timeout, in bytes, or it has stalled.
const LEAST: u64 = 1024;
/// The longest page of a hub's list, in bytes.
const LONGEST_PAGE: u64 = 64 << 20;

/// How the hub is spoken to.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Connection {
    /// Give a connection up that brings less than 1 KiB in so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Send `HF_TOKEN` even where `HF_ENDPOINT` is plain http, where everyone on the way can read it
    #[arg(long)]
    token_over_http: bool,
}

impl Default for Connection {
    fn default() -> Self {
        Self { timeout: 60, token_over_http: false }
    }
}

/// Connections to one hub.
#[derive(Debug)]
pub(super) struct Transfer {
    agent: ureq::Agent,
    patience: Duration,
    /// The hub, and its token where it may be sent.
    hub: Option<(Uri, String)>,
}

impl Transfer {
    /// Connections to the hub at `endpoint`; `token` goes nowhere else.
    pub(super) fn new(endpoint: &str, token: Option<&str>, connection: Connection) -> Result<Self> {
        let hub: Uri = endpoint.parse().with_context(|| {
            format!(
                "HF_ENDPOINT is {endpoint:?}; expected an address such as https://huggingface.co"
            )
        })?;
        let token = token.map(str::trim).filter(|token| !token.is_empty());
        let safe = hub.scheme_str() == Some("https") || connection.token_over_http;
        if token.is_some() && !safe {
            tracing::warn!(
                "HF_TOKEN is not sent: {endpoint} is plain http, where everyone on the way can read it; --token-over-http sends it all the same"
            );
        }
        let patience = Duration::from_secs(connection.timeout);
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(patience.min(Duration::from_secs(20))))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .redirect_auth_headers(RedirectAuthHeaders::Never)
            // Sizes are those of the files, not of what they are packed into on the way.
            .accept_encoding("identity")
            .build()
            .into();
        let hub = token.filter(|_| safe).map(|token| (hub, token.to_owned()));
        Ok(Self { agent, patience, hub })
    }

    fn get(&self, url: &str, from: u64) -> Result<Response<ureq::Body>> {
        let mut request = self.agent.get(url);
        if let Some((hub, token)) = &self.hub
            && url.parse().is_ok_and(|url: Uri| {
                url.scheme() == hub.scheme() && url.authority() == hub.authority()
            })
        {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        request.call().with_context(|| {
            format!(
                "the download of {url} was refused, or not answered within {} s",
                self.patience.as_secs()
            )
        })
    }

    /// A page of a list: its text, and the address of the next one.
    pub(super) fn page(&self, url: &str) -> Result<(String, Option<String>)> {
        let mut response = self.get(url, 0)?;
        let link = response.headers().get("link");
        let next = link.and_then(|link| next_page(link.to_str().ok()?));
        let mut text = Vec::new();
        let body = response.body_mut().as_reader();
        self.receive(body, &mut text, LONGEST_PAGE, &mut |_| ()).with_context(|| {
            format!("{url} broke off; run fetch again, or with a longer --timeout")
        })?;
        Ok((String::from_utf8(text).with_context(|| format!("{url} gave no text"))?, next))
    }

    /// Downloads a file of `size` bytes to `local`. With `resume`, what an earlier try left there is kept.
    pub(super) fn file(
        &self,
        url: &str,
        size: Option<u64>,
        local: &Path,
        resume: bool,
    ) -> Result<()> {
        let have = local.metadata().map(|meta| meta.len()).ok();
        if have.is_some() && have == size {
            return Ok(());
        }
        let resume = have.filter(|have| resume && Some(*have) < size).unwrap_or(0);
        let mut response = self.get(url, resume)?;
        // A server that ignores the range sends the whole file again.
        let start = if response.status() == 206 { resume } else { 0 };
        let sent = response.body().content_length().map(|length| start + length);
        let Some(size) = size.or(sent) else {
            bail!("neither the hub's list nor the answer says how long {url} is; it is not fetched")
        };
        if let Some(sent) = sent {
            ensure!(
                sent == size,
                "{url} is {sent} bytes long by its answer and {size} by the hub's list; \
                 run fetch again once the hub agrees with itself"
            );
        }
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(local)?;
        file.set_len(start)?;
        file.seek(SeekFrom::Start(start))?;
        let bar = Bytes::new("download");
        let body = response.body_mut().as_reader();
        let came =
            self.receive(body, &mut file, size - start, &mut |done| bar.at(start + done, size));
        bar.done();
        file.sync_all()?;
        let broke_off = || {
            format!(
                "the download of {url} broke off; run fetch again to resume it, or with a longer --timeout"
            )
        };
        let done = start + came.with_context(broke_off)?;
        if done > size {
            drop(file);
            std::fs::remove_file(local).ok();
            bail!(
                "{url} goes on after the {size} bytes that it is to have; what came was removed. \
                 Run fetch again, or from another HF_ENDPOINT"
            );
        }
        if done < size {
            return Err(anyhow::anyhow!("{done} of {size} bytes came").context(broke_off()));
        }
        Ok(())
    }

    /// Copies up to `most` bytes; what comes back is their number, or `most + 1` where there are more.
    fn receive(
        &self,
        mut from: impl Read,
        to: &mut impl Write,
        most: u64,
        at: &mut dyn FnMut(u64),
    ) -> Result<u64> {
        let mut buffer = vec![0_u8; 1 << 16];
        let (mut done, mut seen, mut since) = (0_u64, 0, Instant::now());
        loop {
            let n = from.read(&mut buffer)? as u64;
            if n == 0 {
                return Ok(done);
            }
            if done + n > most {
                return Ok(most + 1);
            }
            to.write_all(&buffer[..n as usize])?;
            done += n;
            at(done);
            if since.elapsed() >= self.patience {
                let came = done - seen;
                let seconds = self.patience.as_secs();
                ensure!(came >= LEAST, "{came} bytes came in {seconds} s");
                (seen, since) = (done, Instant::now());
            }
        }
    }
}

/// The address of the next page in a `Link` header.
fn next_page(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    Some(rest.split_once('>')?.0.to_owned())
}
