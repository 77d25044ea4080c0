//! What faas-cli does to folders, as version 0.18.12 was observed to do it.

use std::fs;
use std::path::Path;

/// `faas-cli template pull` from a folder of this machine.
pub fn template_pull(repository: &Path, folder: &Path) {
    for entry in repository.join("template").read_dir().unwrap() {
        let entry = entry.unwrap();
        let to = folder.join("template").join(entry.file_name());
        copy(&entry.path(), &to, &|_| true);
        fs::write(to.join("meta.json"), r#"{"writtenAt":"2026-11-24T23:00:00Z"}"#).unwrap();
    }
}

/// `faas-cli new NAME --lang LANG`
pub fn new(folder: &Path, name: &str, language: &str) {
    copy(&folder.join("template").join(language).join("function"), &folder.join(name), &|_| true);
    let stack = format!(
        "version: 1.0\nprovider:\n  name: openfaas\n  gateway: http://127.0.0.1:8080\nfunctions:\n  {name}:\n    \
         lang: {language}\n    handler: ./{name}\n    image: {name}:latest\n"
    );
    fs::write(folder.join("stack.yaml"), stack).unwrap();
}

/// `faas-cli build --shrinkwrap`: makes `build/NAME`, the context of `docker build`.
pub fn shrinkwrap(folder: &Path, name: &str, language: &str, handler: &Path) {
    let context = folder.join("build").join(name);
    let _ = fs::remove_dir_all(&context);
    copy(&folder.join("template").join(language), &context, &|_| true);
    let top = handler.to_owned();
    let skipped = move |path: &Path| {
        path.parent() == Some(&top) && path.is_dir() && (path.ends_with("build") || path.ends_with("template"))
    };
    copy(handler, &context.join("function"), &|path| !skipped(path));
}

/// Whether Docker's client leaves this path out of a context, by the patterns of `.dockerignore`.
pub fn ignored(patterns: &str, path: &str) -> bool {
    let patterns = patterns.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    patterns.into_iter().any(|pattern| match pattern.strip_prefix("**/") {
        Some(name) => path.split('/').any(|part| part == name),
        None => match pattern.split_once('*') {
            Some((start, end)) => {
                path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).is_some_and(|rest| !rest.contains('/'))
            }
            None => path == pattern || path.starts_with(&format!("{pattern}/")),
        },
    })
}

/// Copies a file or a folder. Files that are there already and equal are left alone, so that cargo sees what changed.
pub fn copy(from: &Path, to: &Path, take: &dyn Fn(&Path) -> bool) {
    if from.is_file() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let bytes = fs::read(from).unwrap();
        if fs::read(to).ok().as_ref() != Some(&bytes) {
            fs::write(to, bytes).unwrap();
            fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
        }
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        if take(&entry.path()) {
            copy(&entry.path(), &to.join(entry.file_name()), take);
        }
    }
}
