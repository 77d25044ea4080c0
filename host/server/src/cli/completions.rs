//! `faas-flow completions` and `faas-flow man`: what shells and `man` know of the commands.

use super::Cli;
use super::output::print;
use crate::Error;
use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};
use std::path::PathBuf;
use std::process::ExitCode;

/// What the program is called.
const NAME: &str = "faas-flow";

/// Load the script in the shell's start-up file, for example with `source <(faas-flow completions bash)`, or write it to the place
/// where the shell looks for such scripts.
#[derive(Args)]
pub(super) struct Completions {
    /// Shell that the script is for
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        print(script(self.shell));
        Ok(ExitCode::SUCCESS)
    }
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), NAME, &mut script);
    script
}

#[derive(Args)]
pub(super) struct Man {
    /// Folder for the pages, one for each command; it is created if it does not exist
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let folder = self.folder;
        let written = std::fs::create_dir_all(&folder).and_then(|()| clap_mangen::generate_to(Cli::command(), &folder));
        written.map_err(|source| Error::OutputUnwritable { path: folder, source })?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn bash_completes_a_command() {
        let mut bash =
            Command::new("bash").args(["--norc", "-s"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = script(Shell::Bash);
        // What the shell does when somebody presses the tab key: `complete -p` says which function it calls.
        input.extend_from_slice(
            b"\nspec=$(complete -p faas-flow)\nspec=${spec##*-F }\nCOMP_WORDS=(faas-flow sched)\nCOMP_CWORD=1\n\
              ${spec%% *} faas-flow sched faas-flow\necho \"${COMPREPLY[@]}\"\n",
        );
        bash.stdin.take().unwrap().write_all(&input).unwrap();
        let output = bash.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "schedules\n");
    }

    #[test]
    fn each_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("man1");
        Man { folder: pages.clone() }.run().unwrap();
        let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
        assert!(page("faas-flow.1").contains(".SH NAME"));
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let page = page(&format!("faas-flow-{}.1", command.get_name()));
            assert!(page.contains(".SH SYNOPSIS"), "{page}");
        }
        assert!(page("faas-flow-requests-show.1").contains("Request id of the run"));
    }
}
