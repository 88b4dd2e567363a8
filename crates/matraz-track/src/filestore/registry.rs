//! Registered models with their versions.

use std::path::Path;

use super::Import;
use super::files::{META, files, folders, name_of, number, text, text_or};
use crate::db::Arg;
use crate::error::Result;

/// Copies all registered models.
pub(super) async fn models(import: &mut Import, folder: &Path) -> Result<()> {
    for path in folders(folder) {
        model(import, &path).await?;
    }
    Ok(())
}

async fn model(import: &mut Import, folder: &Path) -> Result<()> {
    let Some(meta) = import.document(&folder.join(META)) else { return Ok(()) };
    let name = text(&meta, "name").unwrap_or_else(|| name_of(folder));
    let own = || [("workspace", Arg::from("default")), ("name", Arg::from(&name))];
    let mut row = own().to_vec();
    row.extend([
        ("creation_time", number(&meta, "creation_timestamp").into()),
        ("last_updated_time", number(&meta, "last_updated_timestamp").into()),
        ("description", text(&meta, "description").into()),
    ]);
    import.add("registered_models", "registered_models", row).await?;
    for (key, value) in import.pairs(&folder.join("tags")) {
        let mut row = own().to_vec();
        row.extend([("key", key.into()), ("value", value.into())]);
        import.add("registered_model_tags", "registered_model_tags", row).await?;
    }
    for path in folders(folder) {
        if name_of(&path).starts_with("version-") {
            version(import, &path, &name).await?;
        }
    }
    for path in files(&folder.join("aliases")) {
        let Some(version) = import.text(&path) else { continue };
        let Ok(version) = version.trim().parse::<i64>() else {
            import.skip(&path, "it holds no number of a version");
            continue;
        };
        let mut row = own().to_vec();
        row.extend([("alias", name_of(&path).into()), ("version", version.into())]);
        import.add("registered_model_aliases", "registered_model_aliases", row).await?;
    }
    Ok(())
}

async fn version(import: &mut Import, folder: &Path, name: &str) -> Result<()> {
    let Some(meta) = import.document(&folder.join(META)) else { return Ok(()) };
    let Some(version) = number(&meta, "version") else {
        import.skip(folder, "its meta.yaml has no version");
        return Ok(());
    };
    let own = || {
        vec![("workspace", Arg::from("default")), ("name", Arg::from(name)), ("version", Arg::from(version))]
    };
    let mut row = own();
    row.extend([
        ("creation_time", number(&meta, "creation_timestamp").into()),
        ("last_updated_time", number(&meta, "last_updated_timestamp").into()),
        ("description", text(&meta, "description").into()),
        ("user_id", text(&meta, "user_id").into()),
        ("current_stage", text_or(&meta, "current_stage", "None")),
        ("source", text(&meta, "source").into()),
        ("storage_location", text(&meta, "storage_location").into()),
        ("run_id", text(&meta, "run_id").into()),
        ("run_link", text(&meta, "run_link").into()),
        ("status", text_or(&meta, "status", "READY")),
        ("status_message", text(&meta, "status_message").into()),
    ]);
    import.add("model_versions", "model_versions", row).await?;
    for (key, value) in import.pairs(&folder.join("tags")) {
        let mut row = own();
        row.extend([("key", key.into()), ("value", value.into())]);
        import.add("model_version_tags", "model_version_tags", row).await?;
    }
    Ok(())
}
