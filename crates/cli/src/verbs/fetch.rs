//! `fetch`: bring a model or a dataset onto this machine.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::console::{self, Usage};
use crate::fetch::catalogue::CATALOGUE;
use crate::fetch::dataset::{self, Wanted};
use crate::fetch::{Connection, Source, fetch};

/// Bring a model into models/NAME, or a dataset's rows into data/, checked by SHA-256; what is there, whole, is left alone
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask fetch smollm2-135m-instruct\n  cargo xtask fetch owner/name --from hub\n  cargo xtask fetch --dataset openai/gsm8k --config main --split train"
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
    /// A dataset of the hub, `owner/name`, in place of a model: its rows as Parquet, into `data/OWNER--NAME/CONFIG/SPLIT/`
    #[arg(long, value_name = "NAME", conflicts_with_all = ["name", "list", "from"])]
    dataset: Option<String>,
    /// Of a dataset: the configuration [default: the only one, or `default`]
    #[arg(long)]
    config: Option<String>,
    /// Of a dataset: one split [default: all]
    #[arg(long)]
    split: Option<String>,
    /// The folder that holds `models/` and `data/`
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Fetch {
    pub(crate) fn run(self) -> Result<()> {
        if let Some(name) = &self.dataset {
            return self.rows(name);
        }
        let of_rows = [("--config", self.config.is_some()), ("--split", self.split.is_some())];
        console::unread("a fetch without --dataset", &of_rows)?;
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
        let fetched = fetch(&name, self.from, &self.root, self.force, self.connection)?;
        if self.json {
            return console::json(&json!({
                "name": name, "dir": fetched.dir, "from": fetched.from, "already": fetched.already,
            }));
        }
        let how = if fetched.already { "already there, whole" } else { "fetched" };
        console::line(&format!("{} ({how}, from {})", fetched.dir.display(), fetched.from))
    }

    fn rows(&self, name: &str) -> Result<()> {
        let wanted = Wanted { name, config: self.config.as_deref(), split: self.split.as_deref() };
        let fetched = dataset::fetch(wanted, &self.root, self.force, self.connection)?;
        for split in fetched.iter().filter(|split| split.partial) {
            tracing::warn!(
                "{name}, {}: the hub has converted only the beginning of this split to Parquet",
                split.split
            );
        }
        if self.json {
            let splits: Vec<Value> = fetched
                .iter()
                .map(|split| {
                    json!({"config": split.config, "split": split.split, "dir": split.dir,
                           "from": split.from, "partial": split.partial, "already": split.already})
                })
                .collect();
            return console::json(&json!({"name": name, "splits": splits}));
        }
        for split in &fetched {
            let how = if split.already { "already there, whole" } else { "fetched" };
            console::line(&format!("{} ({how}, from {})", split.dir.display(), split.from))?;
        }
        Ok(())
    }
}
