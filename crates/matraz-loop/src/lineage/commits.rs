//! Which commit recorded which data.

use std::collections::{HashMap, HashSet};

use matraz_data::Repo;

use crate::error::Result;

/// For each of the digests the oldest commit whose `dvc.lock` or `.dvc` files have it.
///
/// Files are scanned for `md5: DIGEST` as text, each content once, so that a long history takes no long time.
pub fn recorded_in(repo: &Repo, digests: &HashSet<String>) -> Result<HashMap<String, String>> {
    let mut found = HashMap::new();
    let Some(git) = &repo.git else { return Ok(found) };
    let mut known: HashMap<String, Vec<String>> = HashMap::new();
    for commit in git.commits()?.into_iter().rev() {
        if found.len() == digests.len() {
            break;
        }
        for (path, content) in git.files_at(&commit)? {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            let records = name == matraz_data::stage::LOCK_FILE
                || (name.ends_with(matraz_data::stage::DATA_SUFFIX) && name.len() > 4);
            if !records || known.contains_key(&content) {
                continue;
            }
            let bytes = git.read_at(&commit, &path)?.unwrap_or_default();
            let named = digests_in(&String::from_utf8_lossy(&bytes), digests);
            for digest in &named {
                found.entry(digest.clone()).or_insert_with(|| commit.clone());
            }
            known.insert(content, named);
        }
    }
    Ok(found)
}

fn digests_in(text: &str, wanted: &HashSet<String>) -> Vec<String> {
    let values = text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("md5:"));
    let digests = values.map(|value| value.trim().trim_matches(['\'', '"']));
    digests.filter(|digest| wanted.contains(*digest)).map(str::to_owned).collect()
}
