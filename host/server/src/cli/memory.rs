//! How much memory payloads and flows may use: `memory_limit`, or a part of what this process may have.

use crate::config::Values;
use faas_flow_guest::Memory;
use std::fs;
use std::path::{Path, PathBuf};

/// What is left to the program itself, at least, in bytes.
const OWN: usize = 64 << 20;
/// What payloads and flows get in any case, in bytes.
const LEAST: usize = 16 << 20;

/// Sets the limit of this process.
pub(super) fn limit(values: &Values) {
    Memory::of_process().set_limit(match values.memory_limit.value {
        0 => available(Path::new("/")).map_or(usize::MAX, share),
        given => given,
    });
}

/// The part of this process's memory that payloads and flows get: three quarters, and no more than leaves enough for the rest.
fn share(bytes: usize) -> usize {
    (bytes - bytes / 4).min(bytes.saturating_sub(OWN)).max(LEAST)
}

/// How much memory this process may have, in bytes: the least that its cgroups and the machine allow.
fn available(root: &Path) -> Option<usize> {
    let cgroups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = cgroups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let path = path.trim_start_matches('/');
        match controllers {
            "" => least_of(&root.join("sys/fs/cgroup"), path, "memory.max"),
            other if other.split(',').any(|controller| controller == "memory") => {
                least_of(&root.join("sys/fs/cgroup/memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    limits.chain(machine(root)).min()
}

/// The least limit of a cgroup and those around it. In a container, the path may be that of the host, and the limit at the
/// top.
fn least_of(top: &Path, path: &str, file: &str) -> Option<usize> {
    let folder: PathBuf = top.join(path);
    let folders = folder.ancestors().take_while(|folder| folder.starts_with(top));
    folders.filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()).min()
}

/// The memory of the machine.
fn machine(root: &Path) -> Option<usize> {
    let info = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn root(files: &[(&str, &str)]) -> TempDir {
        let root = TempDir::new().unwrap();
        for (file, text) in files {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        root
    }

    #[test]
    fn the_least_limit_of_cgroups_and_machine_counts() {
        let machine = ("proc/meminfo", "MemTotal:    1048576 kB\nMemFree: 1 kB\n");
        let own = |text: &'static str| ("proc/self/cgroup", text);
        for (files, expected) in [
            (vec![machine], 1 << 30),
            (vec![machine, own("0::/\n"), ("sys/fs/cgroup/memory.max", "268435456\n")], 256 << 20),
            (
                vec![
                    machine,
                    own("0::/a/b\n"),
                    ("sys/fs/cgroup/a/memory.max", "1000"),
                    ("sys/fs/cgroup/a/b/memory.max", "max"),
                ],
                1000,
            ),
            (vec![machine, own("4:cpu,memory:/x\n"), ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "5000")], 5000),
            (
                vec![
                    machine,
                    own("4:memory:/x\n"),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
                ],
                1 << 30,
            ),
        ] {
            assert_eq!(available(root(&files).path()), Some(expected), "{files:?}");
        }
        assert_eq!(available(root(&[]).path()), None);
    }

    #[test]
    fn the_program_itself_keeps_a_part() {
        assert_eq!(share(1 << 30), 768 << 20);
        assert_eq!(share(128 << 20), 64 << 20);
        assert_eq!(share(1 << 20), LEAST);
    }
}
