//! `docs/reference/cli.md`, made from the arguments themselves. A test holds the page and the
//! program together; nothing else calls this, and it never looks at the terminal or the
//! environment, so that the page is the same on every machine.

use clap::{Command, CommandFactory};

use super::args::Cli;

/// Columns of the help texts on the page.
const WIDTH: usize = 100;

/// `docs/reference/cli.md`, as it must be.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Command line\n\nReference, generated from the arguments; a test holds the two equal.\n\
         Each text is what the command prints with `--help`; options of every command stand once, at the top.\n\
         Data goes to standard output, talk and errors to standard error.\n\
         Exit codes are 0 for done, 1 for failed, 2 for usage or configuration, and 69 for unavailable.\n",
    );
    let mut root = whole();
    // The name of a subcommand with those before it is known once the tree is built.
    root.build();
    describe(&root, "counterfoil", &mut page);
    page
}

/// Every command without subcommands as the words that call it, in the order of the page.
pub fn leaves() -> Vec<Vec<String>> {
    let mut found = vec![];
    collect(&whole(), &mut vec![], &mut found);
    found
}

/// The command tree without what differs between machines: widths and values of variables.
fn whole() -> Command {
    Cli::command()
        .term_width(WIDTH)
        .disable_help_subcommand(true)
        .mut_args(|arg| arg.hide_env_values(true))
}

fn describe(command: &Command, name: &str, page: &mut String) {
    let help = command.clone().render_long_help().to_string();
    let lines: Vec<_> = help.trim().lines().map(str::trim_end).collect();
    page.push_str(&format!(
        "\n## {name}\n\n```text\n{}\n```\n",
        lines.join("\n")
    ));
    for sub in command.get_subcommands() {
        let own = sub.clone().mut_args(|arg| {
            let of_all = arg.is_global_set() || arg.get_id() == "help";
            arg.hide(of_all)
        });
        describe(&own, &format!("{name} {}", sub.get_name()), page);
    }
}

fn collect(command: &Command, words: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if command.get_subcommands().next().is_none() {
        found.push(words.clone());
    }
    for sub in command.get_subcommands() {
        words.push(sub.get_name().to_owned());
        collect(sub, words, found);
        words.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_called_by_all_their_words() {
        let leaves = leaves();
        for words in [
            &["init"][..],
            &["clients", "create"],
            &["config", "check"],
            &["events", "replay"],
        ] {
            assert!(leaves.iter().any(|leaf| leaf == words), "{words:?}");
        }
        assert!(!leaves.iter().any(|leaf| leaf == &["clients"]));
    }

    /// Commands that stand as examples in the help texts, without what follows them.
    fn examples(command: &Command, found: &mut Vec<String>) {
        let text = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        for line in text.lines() {
            let line = line.strip_prefix("Example: ").unwrap_or(line).trim();
            let line = line.split("  ").next().unwrap_or_default();
            let line = line.split(" > ").next().unwrap_or_default();
            if line.starts_with("counterfoil ") {
                found.push(line.to_owned());
            }
        }
        for sub in command.get_subcommands() {
            examples(sub, found);
        }
    }

    #[test]
    fn every_example_of_a_help_text_is_a_command() {
        let mut found = vec![];
        examples(&whole(), &mut found);
        assert!(found.len() > 6, "{found:?}");
        for line in found {
            let parsed = whole().try_get_matches_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
