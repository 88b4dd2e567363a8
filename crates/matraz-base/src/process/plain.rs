//! Scripts that need no shell.
//!
//! Most stages run one program with plain words. A shell would do nothing but start it, after some milliseconds of
//! reading its own libraries and locales; so such a script is started as the shell would start it. Whatever a shell
//! could see differently (quotes, variables, patterns, its own commands, functions in the environment) is left to it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What shells do themselves: the commands and words of bash 5.2 and dash, sorted.
const OF_SHELLS: &[&str] = &[
    ".",
    ":",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "case",
    "cd",
    "chdir",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "coproc",
    "declare",
    "dirs",
    "disown",
    "do",
    "done",
    "echo",
    "elif",
    "else",
    "enable",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "fi",
    "for",
    "function",
    "getopts",
    "hash",
    "help",
    "history",
    "if",
    "in",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "select",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "then",
    "time",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "until",
    "wait",
    "while",
];

/// The program and the words of `script` when `shell` would only start the program that the first word names. `variable`
/// gives the value of a variable that the command will see, `names` the names of all of them.
pub(super) fn words<'s>(
    script: &'s str,
    shell: &str,
    folder: &Path,
    variable: impl Fn(&str) -> Option<OsString>,
    names: impl Iterator<Item = OsString>,
) -> Option<(PathBuf, Vec<&'s str>)> {
    if !matches!(shell, "bash" | "sh" | "dash") {
        return None;
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" \t_./,:@%+=-".contains(&byte);
    let words: Vec<&str> = script.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let program = *words.first()?;
    if !script.bytes().all(is_plain)
        || program.contains(['=', '%'])
        || OF_SHELLS.binary_search(&program).is_ok()
        || ["BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS"].iter().any(|name| variable(name).is_some())
        || names.into_iter().any(|name| name.as_encoded_bytes().starts_with(b"BASH_FUNC_"))
    {
        return None;
    }
    if program.contains('/') {
        // A script learns the path by which it was called.
        let path = folder.join(program);
        return (is_program(&path) && starts(&path)).then(|| (program.into(), words));
    }
    let path = find(program, folder, &variable("PATH")?)?;
    starts(&path).then_some((path, words))
}

/// What shells set before they start a program in `folder`.
pub(super) fn environment(folder: &Path) -> Vec<(OsString, OsString)> {
    let place = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let known = std::env::var_os("PWD").filter(|path| Path::new(path).is_absolute());
    if known.is_some_and(|path| place(Path::new(&path)) == place(folder)) {
        return Vec::new();
    }
    fs::canonicalize(folder).map(|path| ("PWD".into(), path.into_os_string())).into_iter().collect()
}

/// The program of this name in the folders of `PATH`.
fn find(program: &str, folder: &Path, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).map(|place| folder.join(place).join(program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Whether the system itself can run the file: a shell would read any other as a script.
fn starts(path: &Path) -> bool {
    let mut head = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && (head.starts_with(b"#!") || head == *b"\x7fELF")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(script: &str, shell: &str, variables: &[(&str, &str)]) -> Option<Vec<String>> {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        let names = variables.iter().map(|(name, _)| name.into());
        let (_, found) = words(script, shell, Path::new("/"), variable, names)?;
        Some(found.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn the_words_of_shells_are_sorted() {
        assert!(OF_SHELLS.is_sorted());
    }

    #[test]
    fn only_what_a_shell_would_merely_start_is_plain() {
        let path = [("PATH", "/nowhere:/bin:/usr/bin")];
        let words = |script: &str| plain(script, "bash", &path);
        assert_eq!(words("cp  a.txt\tb.txt ").unwrap(), ["cp", "a.txt", "b.txt"]);
        assert_eq!(words("bin/cat -n --x=1 a@b").unwrap()[0], "bin/cat");
        let left_to_the_shell = [
            "",
            "cp $A b",
            "cp a* b",
            "cp a b; ls",
            "cp 'a' b",
            "cp ~/a b",
            "A=1 cp a b",
            "echo a",
            "cd /",
            "cp a b &",
            "cp a{b,c} d",
            "cp a b # c",
            "nosuchprogram a",
            "./nosuch",
            "cp a\nb",
            "time cp a b",
            "bin a",
            "cp a > b",
            "cp a | cat",
            "! cp a b",
            "cp a\\ b c",
            "cp é b",
        ];
        for script in left_to_the_shell {
            assert_eq!(words(script), None, "{script}");
        }
    }

    #[test]
    fn what_changes_a_shell_leaves_the_script_to_it() {
        let path = ("PATH", "/bin:/usr/bin");
        assert!(plain("cp a b", "sh", &[path]).is_some());
        assert_eq!(plain("cp a b", "zsh", &[path]), None);
        assert_eq!(plain("cp a b", "sh", &[]), None);
        for name in ["BASH_ENV", "SHELLOPTS", "BASH_FUNC_cp%%"] {
            assert_eq!(plain("cp a b", "bash", &[path, (name, "x")]), None, "{name}");
        }
    }

    #[test]
    fn a_script_without_an_interpreter_is_left_to_the_shell() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run");
        for (text, starts) in [("echo hi\n", false), ("#!/bin/sh\necho hi\n", true)] {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            let found = words("./run", "sh", folder.path(), |_| None, std::iter::empty());
            assert_eq!(found.is_some(), starts, "{text}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(words("./run", "sh", folder.path(), |_| None, std::iter::empty()).is_none());
    }
}
