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

/// What is copied for the book: its pages, and the files that pages link to.
const SOURCES: [&str; 7] = [":(glob)*.md", "LICENSE", "benches/README.md", "deploy", "docs", "examples", "wit"];

/// The folder of the API within the site.
const API: &str = "api";

/// Builds the site with the book and the API, checks its links, and returns its folder.
pub fn build(place: &Place) -> Result<PathBuf> {
    check_book(place)?;
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
    let mut cargo = place.cargo("doc");
    cargo.env("RUSTDOCFLAGS", "-D warnings").args(["--quiet", "--locked", "--no-deps", "--lib"]);
    for name in libraries {
        cargo.args(["--package", name]);
    }
    cargo.must("rendering the API")?;
    copy_folder(&rendered, folder)
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
    fn the_summary_links_from_the_root_of_the_repository() {
        assert_eq!(seen_from_root("- [HTTP](http.md)"), "- [HTTP](docs/http.md)");
        assert_eq!(seen_from_root("  - [greet](../examples/greet/README.md)"), "  - [greet](examples/greet/README.md)");
        assert_eq!(seen_from_root("- [Draft]()"), "- [Draft]()");
        assert_eq!(seen_from_root("# For authors"), "# For authors");
    }
}
