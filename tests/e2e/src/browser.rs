//! Chromium without a window, driven by WebDriver.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
];

/// A browser that ends with its test.
pub struct Browser {
    session: String,
    client: Client,
    driver: Child,
}

impl Browser {
    /// A browser whose profile is in this folder.
    pub async fn open(folder: &Path) -> Self {
        Self::open_with(folder, &[]).await
    }

    /// A browser whose profile is in this folder, with further options.
    pub async fn open_with(folder: &Path, options: &[&str]) -> Self {
        let mut driver = Command::new("chromedriver");
        driver.args(["--port=0"]).env("HOME", folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let driver = driver.spawn();
        let mut driver =
            driver.expect("chromedriver is not installed: `cargo xtask setup` installs it (Debian's chromium-driver)");
        let stdout = driver.stdout.take().unwrap();
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let port = lines.find_map(|line| line.split_once("successfully on port ").map(|(_, port)| port.to_owned()));
        let port = port.expect("chromedriver says where it is");
        let port = port.trim_end_matches('.').to_owned();
        // It writes more, and would stop once the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().unwrap();
        let mut browser = Self { session: String::new(), client, driver };
        let url = format!("http://127.0.0.1:{port}/session");
        let mut attempt = 1;
        let begun = loop {
            // What a browser that failed leaves in its profile would disturb the next one.
            let profile = folder.join(format!("profile-{attempt}"));
            let profile = format!("--user-data-dir={}", profile.display());
            let arguments = [&ARGUMENTS, options, &[&profile]].concat();
            let wants = json!({ "capabilities": { "alwaysMatch": {
                "goog:chromeOptions": { "args": arguments },
                "goog:loggingPrefs": { "browser": "ALL" },
            } } });
            match browser.answer(&url, wants).await {
                Ok(begun) => break begun,
                // On a busy machine the driver may give up a browser before that has started.
                Err(why) => assert!(attempt < 3, "the browser does not start: {why}"),
            }
            attempt += 1;
        };
        let id = begun["sessionId"].as_str().unwrap_or_else(|| panic!("{begun}"));
        browser.session = format!("http://127.0.0.1:{port}/session/{id}");
        // Some scripts take long on a busy machine.
        browser.ask("timeouts", json!({ "script": 110_000 })).await;
        browser
    }

    /// Opens a page, and waits until it is loaded.
    pub async fn go(&self, url: &str) {
        self.ask("url", json!({ "url": url })).await;
    }

    /// Clicks the element that this CSS selector selects. A page that renews itself may replace it in between, so it is
    /// looked for again.
    pub async fn click(&self, css: &str) {
        loop {
            let found = self.ask("element", json!({ "using": "css selector", "value": css })).await;
            let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap();
            let clicked = self.answer(&format!("{}/element/{id}/click", self.session), json!({})).await;
            match clicked {
                Ok(_) => return,
                Err(why) => assert!(why.contains("stale element reference"), "the browser refuses: {why}"),
            }
        }
    }

    /// Chooses a file in the field that this CSS selector selects.
    pub async fn choose(&self, css: &str, file: &Path) {
        let found = self.ask("element", json!({ "using": "css selector", "value": css })).await;
        let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        self.ask(&format!("element/{id}/value"), json!({ "text": file.to_str().unwrap() })).await;
    }

    /// What the console has logged since this was last asked: entries with a `level` and a `message`.
    pub async fn logged(&self) -> Vec<Value> {
        let logged = self.ask("se/log", json!({ "type": "browser" })).await;
        logged.as_array().cloned().unwrap_or_default()
    }

    /// What the window shows, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let answer = self.client.get(format!("{}/screenshot", self.session)).send().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        STANDARD.decode(answer["value"].as_str().unwrap()).unwrap()
    }

    /// Runs a script in the page, and returns what that returns.
    pub async fn script(&self, script: &str) -> Value {
        self.ask("execute/sync", json!({ "script": script, "args": [] })).await
    }

    fn end_session(&self) -> std::io::Result<usize> {
        let (host, path) = self.session.trim_start_matches("http://").split_once('/').unwrap_or_default();
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "DELETE /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        // The first byte of the answer.
        stream.read(&mut [0])
    }

    async fn ask(&self, what: &str, body: Value) -> Value {
        self.post(&format!("{}/{what}", self.session), body).await
    }

    async fn post(&self, url: &str, body: Value) -> Value {
        self.answer(url, body).await.unwrap_or_else(|why| panic!("the browser refuses: {why}"))
    }

    /// What the driver answers, or why it refuses.
    async fn answer(&self, url: &str, body: Value) -> Result<Value, String> {
        let answer = self.client.post(url).body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        if !status.is_success() {
            return Err(body);
        }
        let mut body: Value = serde_json::from_str(&body).unwrap();
        Ok(body["value"].take())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A driver that is killed may leave its browser behind; the browser ends with its session.
        let _ = self.end_session();
        let _ = kill_process(Pid::from_child(&self.driver), Signal::TERM);
        let _ = self.driver.wait();
    }
}
