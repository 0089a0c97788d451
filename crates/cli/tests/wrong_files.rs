//! Every verb with a file of another kind where it reads one: the message names the file and what it
//! is, nothing panics, and a gigabyte is not taken into memory.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use support::model::{completions, pairs, tiny};
use support::{command, text, words, write};
use tempfile::tempdir;

/// The most memory that a run may take, in KiB.
const MEMORY: u64 = 200 << 10;

/// Files of a wrong kind, each with the words of which a message has to have one.
fn wrong_files(dir: &Path) -> Vec<(PathBuf, &'static [&'static str])> {
    let file = |name: &str, bytes: &[u8]| PathBuf::from(write(dir, name, bytes));
    let folder = dir.join("five");
    fs::create_dir(&folder).unwrap();
    write(&folder, "nested.txt", "x");
    let line = dir.join("six");
    let mut long = File::create(&line).unwrap();
    long.write_all(b"{\"prompt\": \"").unwrap();
    let part = vec![b'a'; 1 << 20];
    for _ in 0..1024 {
        long.write_all(&part).unwrap();
    }
    vec![
        (file("one", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x02\x03\x04\x05\x06\x07\x08"), &["gzip"]),
        (file("two", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06"), &["image"]),
        (file("three", b""), &["empty", "has no row", "no rows"]),
        (
            file(
                "four",
                b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n",
            ),
            &["Git LFS pointer"],
        ),
        (folder, &["folder", "directory"]),
        (line, &["bytes", "JSON"]),
    ]
}

/// Where a verb reads a file.
enum Place {
    /// `FILE` in the arguments.
    Argument(&'static str),
    /// Standard input.
    Input(&'static str),
    /// A file of the model's folder, read by these arguments.
    Model(&'static str, &'static str),
    /// A key of a run's settings.
    Setting(&'static str, &'static str),
}

use Place::{Argument, Input, Model, Setting};

const SCORE: &str = "score --model MODEL --data ROWS --json";
const ADAPTER: &str = "score --model MODEL --adapter ADAPTER --data ROWS --json";

const PLACES: &[Place] = &[
    Argument("inspect --model MODEL --data FILE"),
    Argument("score --model MODEL --data FILE"),
    Argument("evaluate pass-at-k --model MODEL --data FILE"),
    Argument("evaluate preference --model MODEL --data FILE"),
    Argument("evaluate perplexity --model MODEL --data FILE"),
    Argument("evaluate longchat-lines --model MODEL --data FILE"),
    Argument("evaluate free-form-qa --model MODEL --data FILE"),
    Argument("evaluate altered-numeric-qa --model MODEL --data FILE"),
    Argument("evaluate passkey --model MODEL --data FILE"),
    Argument("pairs build --task gsm8k --from FILE --out OUT"),
    Argument("pairs build --task metamath --from FILE --out OUT"),
    Argument("pairs build --task multiple-choice --from FILE --out OUT"),
    Argument("sentiment prepare --csv FILE --out OUT"),
    Argument("sentiment prepare --data FILE --out OUT"),
    Argument("sentiment train --model logistic --data FILE --out OUT"),
    Argument("sentiment evaluate --data FILE --model FILE"),
    Argument("sentiment predict --model FILE --input ROWS"),
    Argument("reproduce yelp --no-pretrained --data FILE --out OUT"),
    Argument("rope --config FILE"),
    Argument("convert FILE OUT"),
    Argument("convert FILE OUT.gguf"),
    Argument("sft --config FILE"),
    Argument("prefer --config FILE"),
    Argument("reinforce --config FILE"),
    Argument("extend --config FILE"),
    Argument("report FILE --out OUT"),
    Argument("parity FILE"),
    Argument("generate --model FILE --prompt x"),
    Argument("quickstart --model FILE --out OUT"),
    Argument("score --model MODEL --adapter FILE --data ROWS"),
    Input("tokenize --model MODEL"),
    Input("tokenize --model MODEL --chat"),
    Input("loss --loss dpo"),
    Input("estimate --k 1"),
    Input("judge"),
    Argument("judge FILE"),
    Model("config.json", SCORE),
    Model("tokenizer.json", SCORE),
    Model("tokenizer_config.json", SCORE),
    Model("generation_config.json", "generate --model MODEL --prompt x"),
    Model("model.safetensors", SCORE),
    Model("adapter_config.json", ADAPTER),
    Model("adapter_model.safetensors", ADAPTER),
    Setting("sft", "data.train"),
    Setting("sft", "data.eval"),
    Setting("prefer", "data.train"),
    Setting("reinforce", "data.train"),
    Setting("extend", "data.train"),
    Setting("prefer", "data.eval"),
];

/// A tiny model, an adapter of it, rows, and settings of runs.
struct Bench {
    dir: PathBuf,
    model: PathBuf,
    adapter: PathBuf,
    rows: String,
}

impl Bench {
    fn new(dir: &Path) -> Self {
        let model = tiny(dir);
        let rows = write(dir, "rows.jsonl", completions(4));
        let run = dir.join("made");
        let settings = format!(
            "[model]\npath = {:?}\n[data]\ntrain = {rows:?}\n[output]\ndir = {:?}\n\
             [train]\nmax_steps = 1\n[lora]\nr = 2\n",
            text(&model),
            text(&run)
        );
        let settings = write(dir, "made.toml", settings);
        support::bestof(["sft", "--config", &settings, "--json"]).json();
        Self { dir: dir.to_path_buf(), model, adapter: run.join("adapter"), rows }
    }

    fn settings(&self, verb: &str, key: &str, file: &str) -> String {
        let good = match verb {
            "prefer" => write(&self.dir, "pairs.jsonl", pairs(4)),
            _ => self.rows.clone(),
        };
        let data = match key {
            "data.train" => format!("train = {file:?}\nmax_length = 64\n"),
            _ => format!("train = {good:?}\nmax_length = 64\neval = {file:?}\n"),
        };
        let more = match verb {
            "reinforce" => {
                "[rollout]\nnum_generations = 2\n[reward]\nverifier = \"number\"\n[objective]\nk = 1\n"
            }
            "extend" => "[extend]\nmethod = \"linear\"\nfactor = 2.0\n",
            _ => "",
        };
        let settings = format!(
            "[model]\npath = {:?}\n[data]\n{data}[output]\ndir = {:?}\n[train]\nmax_steps = 1\n{more}",
            text(&self.model),
            text(&self.dir.join("run")),
        );
        write(&self.dir, "run.toml", settings)
    }

    /// A verb with a wrong file.
    fn run(&self, place: &Place, file: &Path) -> Ended {
        let copy = self.dir.join("copy");
        fs::remove_dir_all(&copy).ok();
        let (mut model, mut adapter) = (self.model.clone(), self.adapter.clone());
        let mut input = Stdio::null();
        let named = text(file);
        let line = match place {
            Argument(line) => (*line).to_owned(),
            Input(line) => {
                input = File::open(file).unwrap().into();
                (*line).to_owned()
            }
            Model(part, line) => {
                let from = if part.starts_with("adapter") { &mut adapter } else { &mut model };
                fs::create_dir(&copy).unwrap();
                for entry in fs::read_dir(&*from).unwrap() {
                    let entry = entry.unwrap();
                    if entry.file_name() != *part {
                        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
                    }
                }
                std::os::unix::fs::symlink(file, copy.join(part)).unwrap();
                *from = copy;
                (*line).to_owned()
            }
            Setting(verb, key) => {
                format!("{verb} --config {}", self.settings(verb, key, &named))
            }
        };
        let arguments = words(&line).into_iter().map(|word| match word.as_str() {
            "FILE" => named.clone(),
            "MODEL" => text(&model),
            "ADAPTER" => text(&adapter),
            "ROWS" => self.rows.clone(),
            "OUT" => text(&self.dir.join("out")),
            "OUT.gguf" => text(&self.dir.join("out.gguf")),
            _ => word,
        });
        let mut command = command(arguments);
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let memory = std::thread::spawn(move || most_memory(Path::new(&status)));
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let what = match place {
            Argument(line) | Input(line) => (*line).to_owned(),
            Model(part, _) => (*part).to_owned(),
            Setting(verb, key) => format!("{verb}, {key}"),
        };
        let code = output.status.code().unwrap_or(-1);
        Ended { what, code, said, memory: memory.join().unwrap() }
    }
}

/// How a run ended.
struct Ended {
    what: String,
    code: i32,
    said: String,
    /// The most that it took, in KiB.
    memory: u64,
}

/// The most memory that a process has taken, in KiB, looked at until it is gone.
fn most_memory(status: &Path) -> u64 {
    let mut most = 0;
    while let Ok(text) = fs::read_to_string(status) {
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        // A process that has ended and waits to be taken note of has no memory.
        let Some(line) = line else { break };
        most = line.trim().trim_end_matches(" kB").parse().unwrap();
        std::thread::sleep(Duration::from_micros(500));
    }
    most
}

#[test]
fn a_file_of_another_kind_is_named_for_what_it_is() {
    let dir = tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let files = dir.path().join("wrong");
    fs::create_dir(&files).unwrap();
    let mut wrong = Vec::new();
    for (file, kinds) in wrong_files(&files) {
        for place in PLACES {
            let Ended { what, code, said, memory } = bench.run(place, &file);
            let name = file.file_name().unwrap().to_str().unwrap();
            let mut problem = |problem: &str| {
                wrong.push(format!("{name} for {what}: {problem}, code {code}: {}", said.trim()));
            };
            if said.contains("panicked") || ![1, 2].contains(&code) {
                problem("no error");
            } else if !kinds.iter().any(|kind| said.contains(kind)) {
                problem("not named");
            }
            if memory > MEMORY {
                problem(&format!("{} MiB", memory >> 10));
            }
        }
    }
    assert!(wrong.is_empty(), "{} problems\n{}", wrong.len(), wrong.join("\n"));
}
