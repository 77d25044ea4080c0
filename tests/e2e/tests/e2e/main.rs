//! The program as its users see it. Each module is about one side of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod asynchronous;
mod bad_input;
mod c;
mod callbacks;
mod callers;
mod calling_flows;
mod cases;
mod catches;
mod commands;
mod conformance;
mod contract;
mod dashboard;
mod dev;
mod every_page;
mod faas_cli;
mod finding;
mod flows;
mod forwarded;
mod full_disk;
mod function;
mod gc;
mod go;
mod headers;
mod hostile_modules;
mod http;
mod labels;
mod limits;
mod live_pages;
mod logs;
mod media_types;
mod memory;
mod metrics;
mod modules;
mod node_pages;
mod openapi;
mod operations;
mod operators;
mod pages;
mod payloads;
mod permissions;
mod plan;
mod programs;
mod projects;
mod proxies;
mod python;
mod queues;
mod readme;
mod redaction;
mod repeats;
mod replicas;
mod requests;
mod responses;
mod scenarios;
mod schedules;
mod secrets;
mod serve;
mod shapes;
mod sign_in;
mod signals;
mod signing;
mod sleeps;
mod slow;
mod starting;
mod starts;
mod stopping;
mod stores;
mod swap;
mod template;
mod texts;
mod tracing;
mod typescript;
mod wasi;
mod watchdog;
mod who_did_it;
