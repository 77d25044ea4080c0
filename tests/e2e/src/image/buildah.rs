//! Builds the Dockerfiles unchanged, with Debian's buildah, which needs no daemon.
//!
//! Their base images would come from a registry, which tests do not use. Stand-ins of the same names are made from this
//! machine instead: its own toolchain, through mounts, and for the host the libraries that it is linked with.

use super::{Building, Image, dockerfile, ends_in, libraries};
use crate::{machine, program};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The platforms to build images for: that of this machine, and another one.
pub fn platforms() -> [&'static str; 2] {
    match std::env::consts::ARCH {
        "x86_64" => ["linux/amd64", "linux/arm64"],
        "aarch64" => ["linux/arm64", "linux/amd64"],
        other => panic!("the tests know no platform of {other}"),
    }
}

/// A store of images, removed with its folder.
pub struct Buildah {
    folder: PathBuf,
}

impl Buildah {
    /// A store in a folder. None if buildah is not installed; in CI it must be.
    pub fn find(folder: &Path) -> Option<Self> {
        let found = Command::new("buildah").arg("--version").output();
        let lacking = found.is_err().then_some("there is no buildah: run `cargo xtask setup --ci`");
        if !machine::can_run(lacking) {
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        Some(Self { folder: folder.to_owned() })
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut buildah = Command::new("buildah");
        buildah.arg("--root").arg(self.folder.join("images")).arg("--runroot").arg(self.folder.join("run"));
        ends_in(buildah.args(["--storage-driver", "vfs"]).args(arguments))
    }

    /// Builds a Dockerfile with this context. `name` is `--tag=NAME`, or `--manifest=NAME`, which the image is added
    /// to.
    fn build(&self, name: &str, dockerfile: &Path, context: &Path, more: &[String]) -> Result<(), String> {
        let file = dockerfile.display().to_string();
        let context = context.display().to_string();
        let mut arguments = vec!["bud", "--isolation", "chroot", "--format", "docker", "--pull-never"];
        arguments.extend(["--layers=false", name, "--file", &file]);
        arguments.extend(more.iter().map(String::as_str));
        self.run(&[arguments.as_slice(), &[&context]].concat()).map(drop)
    }

    /// Makes an image of a folder and of more instructions.
    fn stand_in(&self, name: &str, root: &Path, more: &str, platforms: &[&str]) {
        let dockerfile = self.folder.join("stand-in");
        fs::write(&dockerfile, format!("FROM scratch\nCOPY . /\n{more}")).unwrap();
        for platform in platforms {
            self.build(&format!("--manifest={name}"), &dockerfile, root, &[format!("--platform={platform}")]).unwrap();
        }
    }

    /// Builds the image of the host for all platforms, by its Dockerfile without the stage that compiles it. The one
    /// for another platform than this machine's has the same program, and is never run.
    pub fn host(&self, name: &str) {
        let base = self.folder.join("base");
        let source = self.folder.join("source");
        fs::create_dir_all(base.join("tmp")).unwrap();
        fs::create_dir_all(&source).unwrap();
        let program = program::path();
        fs::copy(program, source.join("faas-flow")).unwrap();
        for file in libraries(program) {
            super::faas_cli::copy(&file, &base.join(file.strip_prefix("/").unwrap()), &|_| true);
        }
        self.stand_in("localhost/base:1", &base, "", &platforms());
        let text = super::read(&program::root().join("deploy/image/Dockerfile"));
        let (_, last) = text.split_once("\nFROM ${BASE_IMAGE}\n").expect("a last stage on the base");
        let dockerfile = self.folder.join("host-dockerfile");
        let compiled = "ARG BASE_IMAGE\nFROM scratch AS build\nCOPY faas-flow /source/faas-flow\n";
        fs::write(&dockerfile, format!("{compiled}\nFROM ${{BASE_IMAGE}}\n{last}")).unwrap();
        for platform in platforms() {
            let mut more = arguments(&[("BASE_IMAGE", "localhost/base:1")]);
            more.push(format!("--platform={platform}"));
            self.build(&format!("--manifest={name}"), &dockerfile, &source, &more).unwrap();
        }
    }

    /// Builds the images of a flow by the template's Dockerfile, one for each platform.
    pub fn flow(&self, name: &str, context: &Path, host: &str) -> Result<[Image; 2], String> {
        let [ours, _] = platforms();
        let root = self.folder.join("toolchain");
        fs::create_dir_all(root.join("tmp")).unwrap();
        for link in ["bin", "lib", "lib64"] {
            symlink(format!("usr/{link}"), root.join(link)).unwrap();
        }
        let home = |variable: &str, folder: &str| match std::env::var_os(variable) {
            Some(set) => PathBuf::from(set),
            None => PathBuf::from(std::env::var_os("HOME").unwrap()).join(folder),
        };
        let cargo = home("CARGO_HOME", ".cargo");
        let rustup = home("RUSTUP_HOME", ".rustup");
        let toolchain = std::env::var("RUSTUP_TOOLCHAIN").map(|name| format!(" RUSTUP_TOOLCHAIN={name}"));
        let environment = format!(
            "ENV PATH={0}/bin:/usr/bin CARGO_HOME={0} RUSTUP_HOME={1}{2}\n",
            cargo.display(),
            rustup.display(),
            toolchain.unwrap_or_default()
        );
        self.stand_in("localhost/rust:1", &root, &environment, &[ours]);
        let building = Building::new();
        let target = building.clear().join("target");
        fs::create_dir_all(&target).unwrap();
        let mut more = arguments(&[("RUST_IMAGE", "localhost/rust:1"), ("HOST_IMAGE", host)]);
        // Docker sets it without being told, Debian's buildah does not.
        more.extend(arguments(&[("BUILDPLATFORM", ours)]));
        let mount = |from: &Path, to: &str, how: &str| format!("--volume={}:{to}{how}", from.display());
        // Not all of /usr: every stage has these mounts, and the host is in /usr/local/bin.
        for folder in ["/usr/bin", "/usr/lib", "/usr/lib64", "/usr/include", "/etc"] {
            more.push(mount(Path::new(folder), folder, ":ro"));
        }
        for folder in [&cargo, &rustup] {
            more.push(mount(folder, folder.to_str().unwrap(), ""));
        }
        more.push(mount(&target, "/build/target", ""));
        let [ours, other] = platforms().map(|platform| {
            let name = format!("{name}:{}", platform.replace('/', "-"));
            let more = [more.as_slice(), &[format!("--platform={platform}")]].concat();
            self.build(&format!("--tag={name}"), &context.join("Dockerfile"), context, &more)?;
            Ok::<_, String>(self.image(&name))
        });
        Ok([ours?, other?])
    }

    /// An image that was built, with its files mounted.
    fn image(&self, name: &str) -> Image {
        let inspected = self.run(&["inspect", "--type", "image", name]).unwrap();
        let docker = serde_json::from_str::<Value>(&inspected).unwrap()["Docker"].clone();
        let config = &docker["config"];
        let words = |words: &Value| -> Vec<String> { serde_json::from_value(words.clone()).unwrap() };
        let container = self.run(&["from", "--pull-never", name]).unwrap();
        let root = PathBuf::from(self.run(&["mount", container.trim()]).unwrap().trim());
        let variables = words(&config["Env"]);
        Image {
            platform: format!("{}/{}", docker["os"].as_str().unwrap(), docker["architecture"].as_str().unwrap()),
            root,
            environment: variables.iter().map(|pair| dockerfile::pair(pair)).collect(),
            user: config["User"].as_str().unwrap().to_owned(),
            entry_point: words(&config["Entrypoint"]),
            command: words(&config["Cmd"]),
            health: words(&config["Healthcheck"]["Test"])[1..].to_vec(),
            ports: BTreeSet::from_iter(
                config["ExposedPorts"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(|port| port.strip_suffix("/tcp").unwrap().parse().unwrap()),
            ),
        }
    }
}

fn arguments(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--build-arg={name}={value}")).collect()
}
