//! A new project: how long it takes to build, and how soon `faas-flow dev` answers with what was edited.

use super::Language;
use crate::Options;
use crate::server::address;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use std::fs;
use std::io::{Read as _, Write as _};
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
const LONGEST: Duration = Duration::from_secs(120);

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

/// Makes a new project and measures it.
pub fn measure(options: &Options, language: &Language, lang: &str) -> Result<Project> {
    let folder = tempfile::tempdir().context("cannot make a folder for a project")?;
    let tool = |arguments: &[&str]| {
        let mut tool = Command::new(&options.host);
        tool.args(arguments).current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
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
    let address = address(&mut dev.0)?;
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
