//! A new project: how long it takes to build, and how soon `faas-flow dev` answers with what was edited.

use super::Language;
use crate::Options;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "greet";
/// What the sources of a new project say, and what is edited.
const SAYS: &str = "Hello, ";
/// How often it is edited.
const EDITS: usize = 3;
/// How often the flow is called after an edit.
const LOOK: Duration = Duration::from_millis(5);
/// A build that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(300);
/// The same, for the code of a module, as `faas-flow` reads it.
const COMPILE_TIMEOUT: (&str, &str) = ("compile_timeout", "300s");

#[derive(Serialize)]
pub struct Project {
    /// The first build of a new project, with what it depends on.
    pub build_first_s: f64,
    /// The build after an edit.
    pub build_again_s: f64,
    /// From the moment an edited source is written to the first answer of the new version.
    pub edit_to_answer_s: f64,
}

/// `faas-flow dev`; ended when it is dropped.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        // It ends the compiler that it may have started.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Where `dev` listens, once it is ready. What it says of each run is read and left out.
fn address(dev: &mut Dev) -> Result<SocketAddr> {
    let mut lines = BufReader::new(dev.0.stderr.take().context("dev has no stderr")?).lines();
    let (mut said, mut address) = (String::new(), None);
    for line in lines.by_ref() {
        let line = line?;
        if line == "ready" {
            thread::spawn(move || lines.for_each(drop));
            return address.context("dev did not say where it listens");
        }
        let after = line.split_once("http://").and_then(|(_, rest)| rest.split('/').next());
        address = address.or(after.and_then(|address| address.parse().ok()));
        said.push_str(&line);
        said.push('\n');
    }
    bail!("dev did not start:\n{said}")
}

/// Makes a new project and measures it.
pub fn measure(options: &Options, language: &Language, lang: &str) -> Result<Project> {
    let folder = tempfile::tempdir().context("cannot make a folder for a project")?;
    let tool = |arguments: &[&str]| {
        let mut tool = Command::new(&options.host);
        tool.args(arguments)
            .env(COMPILE_TIMEOUT.0, COMPILE_TIMEOUT.1)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        tool
    };
    done(tool(&["new", NAME, "--lang", lang]))?;
    let project = folder.path().join(NAME);
    if let Some([program, arguments @ ..]) = language.install {
        let mut install = Command::new(program);
        install.args(arguments).current_dir(&project).stdin(Stdio::null()).stdout(Stdio::null());
        done(install)?;
    }
    let source = project.join(language.source);
    let original = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    ensure!(original.matches(SAYS).count() >= 1, "{} does not say `{SAYS}`", source.display());
    let edit = |word: &str| fs::write(&source, original.replacen(SAYS, word, 1)).context("cannot edit");
    let first = done(tool(&["build", NAME]))?;
    edit("Welcome, ")?;
    let again = done(tool(&["build", NAME]))?;
    let mut dev = tool(&["dev", NAME, "--listen", "127.0.0.1:0"]);
    let mut dev = Dev(dev.stderr(Stdio::piped()).spawn().context("cannot start dev")?);
    let address = address(&mut dev)?;
    let mut edits = Vec::new();
    for number in 0..EDITS {
        let word = format!("Welcome {number}, ");
        edit(&word)?;
        let began = Instant::now();
        while !greeting(address)?.contains(&word) {
            if began.elapsed() > LONGEST {
                bail!("the flow in {lang} does not say what was edited");
            }
            thread::sleep(LOOK);
        }
        edits.push(began.elapsed().as_secs_f64());
    }
    edits.sort_by(f64::total_cmp);
    Ok(Project {
        build_first_s: first.as_secs_f64(),
        build_again_s: again.as_secs_f64(),
        edit_to_answer_s: edits.get(EDITS / 2).copied().unwrap_or_default(),
    })
}

/// Runs a command, and says how long it took.
fn done(mut command: Command) -> Result<Duration> {
    let program = Path::new(command.get_program()).display().to_string();
    let began = Instant::now();
    let output = command.stderr(Stdio::piped()).output().with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(began.elapsed())
}

/// What the flow answers.
fn greeting(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("cannot connect")?;
    write!(
        stream,
        "POST /function/{NAME} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 3\r\n\r\nAda"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
