//! What is printed: tables for people, JSON for machines, and how a failure reads.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use comfy_table::Table;
use serde_json::Value;

use super::args::Cli;

/// Why the command did not do it.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// A sentence, and what to do next.
    pub message: String,
}

impl Failure {
    /// It was tried and failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            message: message.into(),
        }
    }

    /// The command or the configuration is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            code: 2,
            message: message.into(),
        }
    }

    /// Something that is needed does not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            code: 69,
            message: message.into(),
        }
    }
}

/// Where output goes.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    /// JSON instead of tables.
    pub json: bool,
    /// No talk.
    pub quiet: bool,
}

impl Out {
    /// A line of data.
    pub fn line(&self, text: &str) {
        // A closed pipe is the reader's choice.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// A line of talk.
    pub fn talk(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// A list: a table, or JSON as it is.
    pub fn list(&self, columns: &[&str], rows: &Value) {
        if self.json {
            return self.line(&rows.to_string());
        }
        let mut table = Table::new();
        table.set_header(columns.iter().map(|column| column.replace('_', " ")));
        for row in rows.as_array().into_iter().flatten() {
            table.add_row(columns.iter().map(|column| text_of(&row[*column])));
        }
        self.line(&table.to_string());
    }

    /// One thing: its fields line by line, or JSON as it is.
    pub fn one(&self, value: &Value) {
        if self.json {
            return self.line(&value.to_string());
        }
        let Some(fields) = value.as_object() else {
            return self.line(&text_of(value));
        };
        let width = fields.keys().map(String::len).max().unwrap_or(0);
        for (name, value) in fields {
            self.line(&format!("{name:width$}  {}", text_of(value)));
        }
    }

    /// The completion script of a shell.
    pub fn completions(&self, shell: clap_complete::Shell) {
        // Written by clap into memory first: it panics where a reader closes the pipe.
        let mut script = vec![];
        clap_complete::generate(shell, &mut Cli::command(), "counterfoil", &mut script);
        let _ = std::io::stdout().lock().write_all(&script);
    }

    /// Tells a failure; gives the exit code.
    pub fn fail(&self, failure: &Failure) -> ExitCode {
        let _ = writeln!(std::io::stderr().lock(), "counterfoil: {}", failure.message);
        ExitCode::from(failure.code)
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name}={}", text_of(value)))
            .collect::<Vec<_>>()
            .join(" "),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
