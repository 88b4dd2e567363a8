//! The overview of commands: in groups, by what a person wants to do.

use std::fmt::Write as _;

use clap::Command;

/// A heading and the commands below it. A command that no group names goes below the last heading.
pub type Groups = &'static [(&'static str, &'static [&'static str])];

/// Gives `command` a help page with its sub-commands in groups.
pub fn grouped(command: Command, groups: Groups) -> Command {
    let mut sections = String::new();
    let is_named = |name: &str| groups.iter().any(|(_, names)| names.contains(&name));
    let width = command.get_subcommands().map(|inner| names_of(inner).len()).max().unwrap_or(0);
    for (place, (heading, names)) in groups.iter().enumerate() {
        let mut shown: Vec<&Command> =
            names.iter().filter_map(|name| command.find_subcommand(name)).collect();
        if place + 1 == groups.len() {
            shown.extend(command.get_subcommands().filter(|inner| !is_named(inner.get_name())));
        }
        shown.retain(|inner| !inner.is_hide_set());
        if shown.is_empty() {
            continue;
        }
        let _ = writeln!(sections, "{heading}:");
        for inner in shown {
            let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(sections, "  {:width$}  {about}", names_of(inner));
        }
        sections.push('\n');
    }
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{sections}Options:\n{{options}}"
    ))
}

/// The command's name and its other names.
fn names_of(command: &Command) -> String {
    let mut names = vec![command.get_name()];
    names.extend(command.get_visible_aliases());
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visible_command_is_in_the_overview_once() {
        let command = Command::new("x")
            .subcommand(Command::new("add").about("Add"))
            .subcommand(Command::new("gate").about("Gate"))
            .subcommand(Command::new("secret").hide(true))
            .subcommand(Command::new("other").about("Other"));
        let mut page = grouped(command, &[("Data", &["add", "absent"]), ("Models", &["gate"])]);
        let text = page.render_help().to_string();
        assert!(
            text.contains("Data:\n  add     Add\n\nModels:\n  gate    Gate\n  other   Other\n"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
    }
}
