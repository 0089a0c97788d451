//! Where a completions server is, and how it is asked.

use std::fmt;
use std::time::Duration;

/// Where a completions server is, and how it is asked.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ServerSettings {
    /// Its address, as `http://host:8000`; with or without `/v1` or `/v1/completions` behind.
    pub url: String,
    /// The model, or adapter, to ask for; `None` takes what the server serves.
    pub model: Option<String>,
    /// Requests under way at the same time, at least 1.
    pub concurrency: usize,
    /// Time until a request has to be answered whole.
    pub timeout: Duration,
    /// Further attempts at a request that met no server, a busy one or a broken one.
    pub retries: u32,
    /// The wait before the first of them; each later one is twice as long, up to half a minute.
    pub first_wait: Duration,
    /// What is sent as `Authorization: Bearer`.
    pub api_key: Option<String>,
}

impl fmt::Debug for ServerSettings {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSettings").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ServerSettings {
    /// A server at this address with the defaults: what it serves, 16 requests at a time, 10 minutes, 5 retries
    /// from half a second on, no key.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            model: None,
            concurrency: 16,
            timeout: Duration::from_mins(10),
            retries: 5,
            first_wait: Duration::from_millis(500),
            api_key: None,
        }
    }

    /// The address that completions are asked from.
    pub(super) fn endpoint(&self) -> String {
        let url = self.url.trim_end_matches('/');
        if url.ends_with("/completions") {
            url.to_owned()
        } else if url.ends_with("/v1") {
            format!("{url}/completions")
        } else {
            format!("{url}/v1/completions")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_be_short_or_whole() {
        for url in
            ["http://a:8000", "http://a:8000/", "http://a:8000/v1", "http://a:8000/v1/completions/"]
        {
            let endpoint = ServerSettings::new(url).endpoint();
            assert_eq!(endpoint, "http://a:8000/v1/completions");
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        let settings = ServerSettings {
            api_key: Some("secret".to_owned()),
            ..ServerSettings::new("http://a")
        };
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
