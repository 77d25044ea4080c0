//! The documentation site: the pages of `docs/SUMMARY.md` as a book, the API of the crates beside it, and a check that
//! every link leads somewhere.
//!
//! The book is made of a copy of the repository's documents, in the folders that they have there, so that links between
//! them, and to the sources that they name, work on the site as they do in the repository.

use crate::metadata::Metadata;
use crate::place::Place;
use crate::run::{Run as _, program};
use crate::setup;
use crate::tool::{HYPERLINK, MDBOOK};
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is copied for the book: its pages, and the files that pages link to.
const SOURCES: [&str; 8] =
    [":(glob)*.md", "LICENSE", "benches/README.md", "deploy", "docs", "examples", "tests/conformance/scenarios", "wit"];

/// The folder of the API within the site.
const API: &str = "api";

/// Checks the book, builds the site with the book and the API, checks its links, and returns its folder.
pub fn build(place: &Place) -> Result<PathBuf> {
    check_book(place)?;
    build_site(place)
}

/// Renders the documentation of all crates, those that are not on the site too, and then builds the site and checks its links.
pub fn check_api(place: &Place) -> Result<()> {
    setup::for_docs(place)?;
    rustdoc(place).arg("--workspace").must("rendering the documentation of all crates")?;
    build_site(place).map(drop)
}

/// Builds the site with the book and the API, checks its links, and returns its folder.
fn build_site(place: &Place) -> Result<PathBuf> {
    let metadata = Metadata::read(place)?;
    let documented = ["host", "guest-sdk"].map(|folder| place.root.join(folder));
    let libraries = metadata.packages().iter().filter(|package| package.has_library());
    let libraries = libraries.filter(|package| documented.iter().any(|folder| package.is_below(folder)));
    let names: Vec<&str> = libraries.map(|package| package.name.as_str()).collect();
    let site = build_book(place, &names)?;
    api(place, &names, &site.join(API))?;
    check_links(place, &site, &[])?;
    Ok(site)
}

/// Builds the book alone, and checks its links, to headings too. In rustdoc's pages these cannot be checked: it links ranges
/// of lines, which a script of the page marks.
pub fn check_book(place: &Place) -> Result<()> {
    setup::for_docs(place)?;
    let site = build_book(place, &[])?;
    check_links(place, &site, &["--check-anchors"])
}

/// Builds the book, with a page that leads to the API of these libraries if there are any.
fn build_book(place: &Place, libraries: &[&str]) -> Result<PathBuf> {
    let book = place.target.join("book");
    let site = place.target.join("site");
    for folder in [&book, &site] {
        empty(folder)?;
    }
    stage(place, &book, libraries)?;
    let mut mdbook = MDBOOK.command(place);
    mdbook.env("RUST_LOG", "warn").arg("build").arg(&book).arg("--dest-dir").arg(&site).must("building the book")?;
    Ok(site)
}

/// Lays out what mdBook reads: `book.toml`, and `src/` with the documents and the summary.
fn stage(place: &Place, book: &Path, libraries: &[&str]) -> Result<()> {
    let source = book.join("src");
    let mut git = program("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]);
    let files = git.current_dir(&place.root).args(SOURCES).quiet().context("`git ls-files` failed")?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (place.root.join(file), source.join(file));
        copy(&from, &to)?;
        if file.ends_with(".md") {
            let text = fs::read_to_string(&from).with_context(|| format!("cannot read {}", from.display()))?;
            write(&to, &with_index_links(&text))?;
        }
    }
    copy(&place.root.join("docs/book.toml"), &book.join("book.toml"))?;
    let mut summary = summary(place)?;
    for (folder, prefix) in [("", ""), ("docs", "docs/")] {
        for page in pages(&place.root.join(folder))? {
            let is_linked = page == "SUMMARY.md" || summary.contains(&format!("]({prefix}{page})"));
            ensure!(is_linked, "{prefix}{page} is not in docs/SUMMARY.md: add it");
        }
    }
    if !libraries.is_empty() {
        summary.push_str("- [Rust API](api.md)\n");
        write(&source.join("api.md"), &api_page(libraries))?;
    }
    write(&source.join("SUMMARY.md"), &summary)
}

/// The text of a page with its links to a `README.md` changed to the page that mdBook makes of it, `index.html`.
fn with_index_links(text: &str) -> String {
    let mut parts = text.split("](");
    let mut changed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (link, rest) = part.split_at(part.find(')').unwrap_or(0));
        changed.push_str("](");
        changed.push_str(&link.replace("README.md", "index.md"));
        changed.push_str(rest);
    }
    changed
}

/// The summary, with its links as seen from the root of the repository, and with a page for each error code.
fn summary(place: &Place) -> Result<String> {
    let path = place.root.join("docs/SUMMARY.md");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut summary = String::new();
    for line in text.lines() {
        writeln!(summary, "{}", seen_from_root(line))?;
        if line.contains("](errors/README.md)") {
            for page in pages(&place.root.join("docs/errors"))?.iter().filter(|page| *page != "README.md") {
                writeln!(summary, "  - [{}](docs/errors/{page})", page.trim_end_matches(".md"))?;
            }
        }
    }
    Ok(summary)
}

/// A line of `docs/SUMMARY.md`, whose link is relative to `docs/` so that it works on GitHub too, with the link as seen from
/// the root of the repository.
fn seen_from_root(line: &str) -> String {
    match line.split_once("](") {
        Some((title, link)) if link.starts_with("../") => format!("{title}]({}", link.trim_start_matches("../")),
        Some((title, link)) if !link.starts_with(')') => format!("{title}](docs/{link}"),
        _ => line.to_owned(),
    }
}

/// The names of the pages in a folder, in order.
fn pages(folder: &Path) -> Result<Vec<String>> {
    let mut pages = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            pages.push(name);
        }
    }
    pages.sort();
    Ok(pages)
}

/// The page that leads to the API of each crate.
fn api_page(libraries: &[&str]) -> String {
    let mut page = String::from("# Rust API\n\n");
    for name in libraries {
        page.push_str(&format!("- [{name}]({API}/{}/index.html)\n", name.replace('-', "_")));
    }
    page
}

/// Renders the API of the libraries.
fn api(place: &Place, libraries: &[&str], folder: &Path) -> Result<()> {
    let rendered = place.target.join("doc");
    // What earlier builds rendered, of crates that are gone.
    if rendered.exists() {
        fs::remove_dir_all(&rendered).with_context(|| format!("cannot clear {}", rendered.display()))?;
    }
    let mut cargo = rustdoc(place);
    cargo.arg("--lib");
    for name in libraries {
        cargo.args(["--package", name]);
    }
    cargo.must("rendering the API")?;
    copy_folder(&rendered, folder)?;
    complete(folder, folder)?;
    // The help and the settings lead to it, and rustdoc writes one only with an unstable option.
    let list = "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0; url=../api.html\">\
                <title>Rust API</title><a href=\"../api.html\">Rust API</a>\n";
    write(&folder.join("index.html"), list)
}

/// `cargo doc`, for which a link in a comment that leads nowhere is an error.
fn rustdoc(place: &Place) -> Command {
    let mut cargo = place.cargo("doc");
    cargo.env("RUSTDOCFLAGS", "-D warnings").args(["--quiet", "--locked", "--no-deps"]);
    cargo
}

/// Mends what rustdoc leaves broken in the pages of the API: links in the descriptions of other crates' traits, and scripts
/// with implementors of traits that have none.
fn complete(folder: &Path, api: &Path) -> Result<()> {
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            complete(&path, api)?;
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            write(&path, &without_rust_links(&text))?;
            for script in implementors(&text).map(|script| api.join(script)).filter(|script| !script.exists()) {
                let folder = script.parent().context("a file without a folder")?;
                fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
                write(&script, "")?;
            }
        }
    }
    Ok(())
}

/// A page without the links that lead to a path of Rust, such as `super::Subscriber`, instead of a page. They come from the
/// descriptions of traits of other crates, which our types implement: rustdoc repeats these as they are. Of those in
/// our comments it makes links to pages, or it fails.
fn without_rust_links(page: &str) -> String {
    let mut parts = page.split("<a href=\"");
    let mut changed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let link = part.split_once('"').and_then(|(target, rest)| {
            let (_, rest) = rest.split_once('>')?;
            let (text, rest) = rest.split_once("</a>")?;
            is_rust_path(target).then_some((text, rest))
        });
        match link {
            Some((text, rest)) => changed.extend([text, rest]),
            None => changed.extend(["<a href=\"", part]),
        }
    }
    changed
}

/// Whether the target of a link is a path of Rust, perhaps with the heading of a page or the parentheses of a function.
fn is_rust_path(target: &str) -> bool {
    let path = target.split('#').next().unwrap_or_default().trim_end_matches("()").trim_end_matches('!');
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    path.split("::").all(is_name)
}

/// The scripts with the implementors of a trait that a page asks for, relative to the folder of the API.
fn implementors(page: &str) -> impl Iterator<Item = &str> {
    let scripts = page.split("<script src=\"").skip(1).filter_map(|part| Some(part.split_once('"')?.0));
    scripts.filter_map(|script| Some(&script[script.find("trait.impl/")?..]))
}

/// Fails if a link of the site leads nowhere. Links to other sites are not followed.
fn check_links(place: &Place, site: &Path, arguments: &[&str]) -> Result<()> {
    let mut hyperlink = HYPERLINK.command(place);
    hyperlink.args(arguments).arg(site).must("broken links in the documentation")
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in from.read_dir().with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Copies a file into a folder that may not exist yet.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_a_readme_lead_to_the_index_that_is_made_of_it() {
        let text = "See [a](../README.md#start), [b](x/y.md) and README.md; ![c](p.png) [d](errors/README.md)";
        let changed = "See [a](../index.md#start), [b](x/y.md) and README.md; ![c](p.png) [d](errors/index.md)";
        assert_eq!(with_index_links(text), changed);
        assert_eq!(with_index_links("an array](with no end README.md"), "an array](with no end README.md");
    }

    #[test]
    fn links_to_paths_of_rust_become_text_and_others_stay() {
        let page = "the <a href=\"dispatcher#the-default\">default</a> <a href=\"super::Subscriber\"><code>S</code></a>, \
                    <a href=\"tracing_core::Subscriber::enabled()\">enabled</a>, <a href=\"fn.run.html\">run</a>, \
                    <a href=\"#here\">here</a>, <a href=\"https://docs.rs\">there</a>";
        let changed = "the default <code>S</code>, enabled, <a href=\"fn.run.html\">run</a>, <a href=\"#here\">here</a>, \
                       <a href=\"https://docs.rs\">there</a>";
        assert_eq!(without_rust_links(page), changed);
        assert_eq!(without_rust_links("no end <a href=\"Context\">"), "no end <a href=\"Context\">");
    }

    #[test]
    fn a_page_says_which_scripts_with_implementors_it_needs() {
        let page = "<script src=\"../../trait.impl/a/trait.B.js\" async></script><script src=\"../main.js\"></script>";
        assert_eq!(implementors(page).collect::<Vec<_>>(), ["trait.impl/a/trait.B.js"]);
    }

    #[test]
    fn the_summary_links_from_the_root_of_the_repository() {
        assert_eq!(seen_from_root("- [HTTP](http.md)"), "- [HTTP](docs/http.md)");
        assert_eq!(seen_from_root("  - [greet](../examples/greet/README.md)"), "  - [greet](examples/greet/README.md)");
        assert_eq!(seen_from_root("- [Draft]()"), "- [Draft]()");
        assert_eq!(seen_from_root("# For authors"), "# For authors");
    }
}
