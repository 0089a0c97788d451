//! `evaluate`: scores of a model with 95 % intervals.

mod estimates;
mod long_prompts;
mod pass_at_k;
mod retrieval;
mod ruler;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bestof_models::{CausalLm, ForwardOptions};
use bestof_tasks::long_context::RetrievalTask;
use bestof_tasks::rows::holds_rows;
use bestof_trainer::data::{
    Boundary, EncodeOptions, EncodedCompletion, Encoder, load_pairs, load_supervised,
};
use bestof_trainer::evaluate::{Windows, perplexity_of_files, preference};
use bestof_trainer::rows::RowSet;
use bestof_trainer::score::{PairScore, ScoreSettings, check_finite, score_pairs};
use estimates::{show, show_of};
use retrieval::{AlteredNumericQa, FreeFormQa, LongchatLines, Passkey};

use crate::console::{self, Usage};
use crate::input::read_options;
use crate::model::{self, EvalFactorArg, ModelArg};
use crate::progress::Bars;
use crate::ranks;

/// Measure a model, with 95 % intervals
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask evaluate perplexity --model models/smollm2-135m-instruct --data book.txt\n  \
    cargo xtask evaluate longchat-lines --model models/smollm2-135m-instruct --lengths 1024,2048,4096 --report lines.html"
)]
pub(crate) struct Evaluate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    PassAtK(Box<pass_at_k::PassAtKArgs>),
    Preference(PreferenceArgs),
    Perplexity(PerplexityArgs),
    LongchatLines(LongchatLines),
    FreeFormQa(FreeFormQa),
    AlteredNumericQa(AlteredNumericQa),
    Passkey(Passkey),
    Ruler(Box<ruler::Ruler>),
}

/// How often the chosen answer of a pair is preferred
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask evaluate preference --model runs/dpop/final --reference models/smollm2-135m-instruct --data held-out.jsonl"
)]
struct PreferenceArgs {
    #[command(flatten)]
    model: ModelArg,
    /// The model before training; with it, implicit rewards and displacement are measured too
    #[arg(long)]
    reference: Option<PathBuf>,
    /// Pairs: JSON lines, a JSON array, CSV or Parquet, compressed or not, a folder or a quoted pattern
    #[arg(long)]
    data: PathBuf,
    /// With --reference: scale of the implicit rewards; by default 0.1
    #[arg(long, requires = "reference", allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Leave out bad rows, and list them, instead of failing
    #[arg(long)]
    skip_bad_rows: bool,
    /// Print one JSON object a metric
    #[arg(long)]
    json: bool,
}

/// Perplexity of texts, or of completions given their prompts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask evaluate perplexity --model models/smollm2-135m-instruct --data book.txt letters.jsonl --length 1024 --stride 512"
)]
struct PerplexityArgs {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    factor: EvalFactorArg,
    /// A text file, or rows in a file that ends as such with `text`, or with `prompt` and `completion`; may be given
    /// several times
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Tokens the model sees at once; by default its context, at most 1024
    #[arg(long)]
    length: Option<usize>,
    /// Tokens by which the window moves; by default half its length
    #[arg(long)]
    stride: Option<usize>,
    /// Leave out bad rows, and list them, instead of failing
    #[arg(long)]
    skip_bad_rows: bool,
    /// Print one JSON object, or one a file and one of all of them
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub(crate) fn run(self) -> Result<()> {
        match self.what {
            What::PassAtK(args) => args.run(),
            What::Preference(args) => args.run(),
            What::Perplexity(args) => args.run(),
            What::LongchatLines(verb) => verb.args.run(RetrievalTask::LongchatLines),
            What::FreeFormQa(verb) => verb.args.run(RetrievalTask::FreeFormQa),
            What::AlteredNumericQa(verb) => verb.args.run(RetrievalTask::AlteredNumericQa),
            What::Passkey(verb) => verb.args.run(RetrievalTask::Passkey),
            What::Ruler(verb) => verb.run(),
        }
    }
}

impl PreferenceArgs {
    fn run(&self) -> Result<()> {
        let beta = self.beta.unwrap_or(0.1);
        if !(beta.is_finite() && beta > 0.0) {
            bail!(Usage(format!("--beta {beta}: a finite number above 0")));
        }
        let policy = self.model.open()?;
        let encoder = policy.encoder(EncodeOptions::training())?;
        let loaded = load_pairs(&self.data, &encoder, &read_options(self.skip_bad_rows))?;
        console::left_out(&loaded.report);
        let rows = RowSet::from(loaded);
        let mut bars = Bars::new();
        let settings = ScoreSettings::default().with_ranks(ranks::ranks());
        let options = ForwardOptions::default();
        let scores =
            score_pairs(&policy.decoder, &rows.items, &options, settings, "policy", &mut bars)?;
        let check = |scores: &[PairScore]| {
            check_finite(scores.iter().map(PairScore::sum), |row| rows.names[row].to_string())
        };
        check(&scores)?;
        let reference = match &self.reference {
            None => None,
            Some(dir) => {
                let reference = model::open(dir, None, &self.model.place)?;
                if reference.folder.tokenizer_hash()? != policy.folder.tokenizer_hash()? {
                    console::note("note: the reference's tokenizer files differ from the policy's");
                }
                let model = &reference.decoder;
                let scores =
                    score_pairs(model, &rows.items, &options, settings, "reference", &mut bars)?;
                check(&scores).context("the reference cannot be used")?;
                Some(scores)
            }
        };
        show(&preference(&scores, reference.as_deref(), beta)?, self.json)
    }
}

impl PerplexityArgs {
    fn run(&self) -> Result<()> {
        let opened = self.model.open_at(self.factor)?;
        let longest = opened.decoder.max_positions();
        let length = self.length.unwrap_or_else(|| longest.min(1024));
        if length < 2 || length > longest {
            bail!(Usage(format!(
                "--length {length}: the model sees 2 to {longest} tokens at once"
            )));
        }
        let stride = self.stride.unwrap_or((length / 2).max(1));
        if stride == 0 {
            bail!(Usage("--stride 0: the window has to move by at least 1 token".into()));
        }
        if stride >= length {
            bail!(Usage(format!("--stride {stride} must be below --length {length}")));
        }
        let settings = ScoreSettings::default().with_ranks(ranks::ranks());
        let windows = Windows { length, stride };
        let options = EncodeOptions {
            vocab_size: Some(opened.decoder.vocab_size()),
            ..EncodeOptions::scoring()
        };
        let encoder = Encoder::new(opened.tokenizer()?, opened.template(), options)?;
        let files = self.data.iter().map(|path| self.rows(path, &encoder));
        let files = files.collect::<Result<Vec<_>>>()?;
        let (each, all) =
            perplexity_of_files(&opened.decoder, &files, windows, settings, &mut Bars::new())?;
        if each.len() > 1 {
            for (file, found) in self.data.iter().zip(&each) {
                show_of(found, self.json, Some(file))?;
            }
        }
        show_of(&all, self.json, None)
    }

    /// The rows of a file; a text is one of them.
    fn rows(&self, path: &Path, encoder: &Encoder<'_>) -> Result<RowSet<EncodedCompletion>> {
        if holds_rows(path).with_context(|| format!("could not read {}", path.display()))? {
            let loaded = load_supervised(path, encoder, &read_options(self.skip_bad_rows))?;
            console::left_out(&loaded.report);
            return Ok(loaded.into());
        }
        let text = bestof_files::read_text(path)
            .with_context(|| format!("could not read {} as text", path.display()))?;
        let mut ids = encoder.tokenizer().encode(&text, true)?;
        let completion_ids = ids.split_off(ids.len().min(1));
        let text = EncodedCompletion {
            prompt_ids: ids,
            completion_ids,
            boundary: Boundary::Joint,
            skipped: Vec::new(),
            truncated: false,
        };
        Ok(RowSet { items: vec![text], names: vec![path.display().to_string().into()] })
    }
}
