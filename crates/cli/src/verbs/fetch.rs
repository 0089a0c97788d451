//! `fetch`: bring a model onto this machine.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::json;

use crate::console::{self, Usage};
use crate::fetch::catalogue::CATALOGUE;
use crate::fetch::{Source, fetch};

/// Bring a model into models/NAME, checked by SHA-256; a no-op when it is already there
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask fetch smollm2-135m-instruct\n  cargo xtask fetch owner/name --from hub"
)]
pub(crate) struct Fetch {
    /// A name of the list, or `owner/name` of the Hugging Face hub
    name: Option<String>,
    /// Show the names that are known
    #[arg(long)]
    list: bool,
    /// Where to take it from
    #[arg(long, value_enum, default_value = "any")]
    from: Source,
    /// The folder that holds `models/`
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Fetch {
    pub(crate) fn run(self) -> Result<()> {
        if self.list {
            for entry in CATALOGUE {
                if self.json {
                    console::json(&json!({
                        "name": entry.name, "about": entry.about, "licence": entry.licence, "hub": entry.hub,
                    }))?;
                } else {
                    console::line(&format!(
                        "{:24} {} [{}]",
                        entry.name, entry.about, entry.licence
                    ))?;
                }
            }
            return Ok(());
        }
        let Some(name) = self.name else {
            bail!(Usage("fetch needs a name; `fetch --list` shows those that are known".into()));
        };
        let fetched = fetch(&name, self.from, &self.root, self.force)?;
        if self.json {
            return console::json(&json!({
                "name": name, "dir": fetched.dir, "from": fetched.from, "already": fetched.already,
            }));
        }
        let how = if fetched.already { "already there, whole" } else { "fetched" };
        console::line(&format!("{} ({how}, from {})", fetched.dir.display(), fetched.from))
    }
}
