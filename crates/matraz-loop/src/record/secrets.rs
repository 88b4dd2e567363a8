//! Well-known forms of keys and tokens, which must not leave the machine with a run.

/// What begins a token, how many letters it has behind that at least, and what it is.
const TOKENS: [(&str, usize, &str); 17] = [
    ("AKIA", 16, "an AWS access key"),
    ("ASIA", 16, "an AWS access key"),
    ("ghp_", 30, "a GitHub token"),
    ("gho_", 30, "a GitHub token"),
    ("ghs_", 30, "a GitHub token"),
    ("github_pat_", 30, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
    ("sk-ant-", 20, "an API key"),
    ("sk-proj-", 20, "an API key"),
    ("sk_live_", 20, "an API key"),
    ("AIza", 35, "a Google API key"),
    ("hf_", 30, "a Hugging Face token"),
    ("dapi", 32, "a Databricks token"),
    ("npm_", 36, "an npm token"),
    ("pypi-AgEI", 40, "a PyPI token"),
];

/// Names of settings whose value is a secret when it is written out.
const SETTINGS: [&str; 4] =
    ["aws_secret_access_key", "aws_session_token", "azure_storage_key", "mlflow_tracking_password"];

/// The kind of secret that the text holds, if it holds one of a well-known form.
pub(super) fn find(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let token = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    for (start, least, kind) in TOKENS {
        for (at, _) in text.match_indices(start) {
            let begins_here = !text[..at].chars().next_back().is_some_and(token);
            let length = text[at + start.len()..].chars().take_while(|letter| token(*letter)).count();
            if begins_here && length >= least {
                return Some(kind);
            }
        }
    }
    text.lines().any(sets_a_secret).then_some("a password or secret key")
}

fn sets_a_secret(line: &str) -> bool {
    let line = line.trim_start_matches(['+', ' ', '\t']).to_ascii_lowercase();
    let Some((name, value)) = line.split_once(['=', ':']) else { return false };
    let name = name.trim().trim_matches(['"', '\'']);
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let value = value.trim().trim_matches(['"', '\'', ',']);
    // A value that is read from elsewhere (`os.environ[…]`, `$SECRET`) is none.
    let written_out = value.len() >= 8 && !value.contains(['$', '(', '[', '{', '<', ' ']);
    SETTINGS.contains(&name) && written_out
}

/// Whether a file is for secrets by its name.
pub(super) fn is_for_secrets(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == ".env"
        || name.starts_with(".env.")
        || ["id_rsa", "id_ed25519", "credentials", ".netrc", ".pgpass"].contains(&name.as_str())
        || [".pem", ".key", ".p12", ".pfx", ".kdbx"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_forms_are_found() {
        let token = format!("x = \"{}{}\"", "ghp", "_0123456789abcdefghij0123456789abcdef");
        let key = format!("-----BEGIN RSA {} KEY-----\nMII", "PRIVATE");
        let aws = format!("+{}{}", "AKIA", "IOSFODNN7EXAMPLE");
        for text in [
            token.as_str(),
            &key,
            &aws,
            "AWS_SECRET_ACCESS_KEY=abcd1234efgh",
            "'aws_session_token': 'abcdefghi',",
        ] {
            assert!(find(text).is_some(), "{text}");
        }
        for text in ["task_AKIA", "AKIA", "aws_secret_access_key = os.environ['KEY']", "sk-learn", "dapi", ""]
        {
            assert_eq!(find(text), None, "{text}");
        }
        assert!(is_for_secrets(".env") && is_for_secrets("server.pem") && !is_for_secrets("train.py"));
    }
}
