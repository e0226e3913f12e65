//! Integration tests of the binary and of the pages that are made from it.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "it/cli.rs"]
mod cli;
#[path = "it/events_page.rs"]
mod events_page;
#[path = "it/pages.rs"]
mod pages;
#[path = "it/settings_page.rs"]
mod settings_page;
#[path = "it/tutorial.rs"]
mod tutorial;
