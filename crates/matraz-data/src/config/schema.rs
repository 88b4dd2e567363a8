//! Which options exist and what they may be set to.
//!
//! The table follows DVC 3.67's configuration reference, retired options included, so that a file which DVC
//! takes is taken here.

use super::Section;
use super::syntax::{SectionName, Setting};

/// What an option's value must look like.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Bool,
    /// A whole number of at least one.
    Count,
    Integer,
    Number,
    Choice(&'static [&'static str]),
    /// A comma list of link kinds.
    Links,
}

/// Options and the forms of their values.
type Table = &'static [(&'static str, Form)];

use Form::{Bool, Choice, Count, Integer, Links, Number, Text};

const CORE: Table = &[
    ("remote", Text),
    ("checksum_jobs", Count),
    ("interactive", Bool),
    ("analytics", Bool),
    ("hardlink_lock", Bool),
    ("no_scm", Bool),
    ("autostage", Bool),
    ("experiments", Bool),
    ("check_update", Bool),
    ("site_cache_dir", Text),
    ("machine", Text),
];

const LOCAL: Table = &[
    ("type", Links),
    ("protected", Bool),
    ("shared", Choice(&["group"])),
    ("slow_link_warning", Bool),
    ("verify", Bool),
];

const CACHE: Table = &[
    ("dir", Text),
    ("local", Text),
    ("s3", Text),
    ("gs", Text),
    ("hdfs", Text),
    ("webhdfs", Text),
    ("ssh", Text),
    ("azure", Text),
];

const REMOTE: Table = &[
    ("url", Text),
    ("checksum_jobs", Count),
    ("jobs", Count),
    ("worktree", Bool),
    ("no_traverse", Bool),
    ("version_aware", Bool),
];

const S3: Table = &[
    ("region", Text),
    ("profile", Text),
    ("credentialpath", Text),
    ("configpath", Text),
    ("endpointurl", Text),
    ("access_key_id", Text),
    ("secret_access_key", Text),
    ("session_token", Text),
    ("listobjects", Bool),
    ("use_ssl", Bool),
    ("allow_anonymous_login", Bool),
    ("ssl_verify", Text),
    ("sse", Text),
    ("sse_kms_key_id", Text),
    ("sse_customer_algorithm", Text),
    ("sse_customer_key", Text),
    ("acl", Text),
    ("grant_read", Text),
    ("grant_read_acp", Text),
    ("grant_write_acp", Text),
    ("grant_full_control", Text),
    ("cache_regions", Bool),
    ("read_timeout", Integer),
    ("connect_timeout", Integer),
    ("verify", Bool),
];

const GS: Table = &[
    ("projectname", Text),
    ("credentialpath", Text),
    ("endpointurl", Text),
    ("verify", Bool),
    ("allow_anonymous_login", Bool),
];

const SSH: Table = &[
    ("type", Links),
    ("port", Integer),
    ("user", Text),
    ("password", Text),
    ("ask_password", Bool),
    ("passphrase", Text),
    ("ask_passphrase", Bool),
    ("keyfile", Text),
    ("timeout", Integer),
    ("gss_auth", Bool),
    ("allow_agent", Bool),
    ("max_sessions", Integer),
    ("verify", Bool),
];

const HDFS: Table = &[("user", Text), ("kerb_ticket", Text), ("replication", Integer)];

const WEBHDFS: Table = &[
    ("kerberos", Bool),
    ("kerberos_principal", Text),
    ("proxy_to", Text),
    ("ssl_verify", Text),
    ("token", Text),
    ("use_https", Bool),
    ("user", Text),
    ("password", Text),
    ("data_proxy_target", Text),
    ("verify", Bool),
];

const AZURE: Table = &[
    ("connection_string", Text),
    ("sas_token", Text),
    ("account_name", Text),
    ("account_key", Text),
    ("tenant_id", Text),
    ("client_id", Text),
    ("client_secret", Text),
    ("allow_anonymous_login", Bool),
    ("exclude_environment_credential", Bool),
    ("exclude_visual_studio_code_credential", Bool),
    ("exclude_shared_token_cache_credential", Bool),
    ("exclude_managed_identity_credential", Bool),
    ("verify", Bool),
    ("timeout", Integer),
    ("read_timeout", Integer),
    ("connection_timeout", Integer),
];

const OSS: Table =
    &[("oss_key_id", Text), ("oss_key_secret", Text), ("oss_endpoint", Text), ("verify", Bool)];

const GDRIVE: Table = &[
    ("profile", Text),
    ("gdrive_use_service_account", Bool),
    ("gdrive_client_id", Text),
    ("gdrive_client_secret", Text),
    ("gdrive_user_credentials_file", Text),
    ("gdrive_service_account_user_email", Text),
    ("gdrive_service_account_json_file_path", Text),
    ("gdrive_trash_only", Bool),
    ("gdrive_acknowledge_abuse", Bool),
    ("verify", Bool),
];

const HTTP: Table = &[
    ("auth", Choice(&["basic", "digest", "custom"])),
    ("custom_auth_header", Text),
    ("user", Text),
    ("password", Text),
    ("ask_password", Bool),
    ("ssl_verify", Text),
    ("method", Text),
    ("connect_timeout", Number),
    ("read_timeout", Number),
    ("verify", Bool),
];

const WEBDAV: Table = &[
    ("user", Text),
    ("password", Text),
    ("ask_password", Bool),
    ("token", Text),
    ("bearer_token_command", Text),
    ("custom_auth_header", Text),
    ("cert_path", Text),
    ("key_path", Text),
    ("timeout", Integer),
    ("ssl_verify", Text),
    ("verify", Bool),
];

const MACHINE: Table = &[
    ("cloud", Choice(&["aws", "azure"])),
    ("region", Choice(&["us-west", "us-east", "eu-west", "eu-north"])),
    ("image", Text),
    ("spot", Bool),
    ("spot_price", Number),
    ("instance_hdd_size", Integer),
    ("instance_type", Text),
    ("instance_gpu", Text),
    ("ssh_private", Text),
    ("startup_script", Text),
    ("setup_script", Text),
];

const PLOTS: Table = &[("html_template", Text), ("auto_open", Bool), ("out_dir", Text)];

const EXP: Table = &[
    ("code", Text),
    ("data", Text),
    ("models", Text),
    ("metrics", Text),
    ("params", Text),
    ("plots", Text),
    ("live", Text),
    ("auto_push", Bool),
    ("git_remote", Text),
];

const PARSING: Table =
    &[("bool", Choice(&["store_true", "boolean_optional"])), ("list", Choice(&["nargs", "append"]))];

const HYDRA: Table = &[
    ("enabled", Bool),
    ("config_dir", Text),
    ("config_module", Text),
    ("config_name", Text),
    ("plugins_path", Text),
];

const STUDIO: Table = &[("token", Text), ("url", Text), ("repo_url", Text), ("offline", Bool)];
const STATE: Table = &[("dir", Text), ("row_limit", Count), ("row_cleanup_quota", Integer)];
const INDEX: Table = &[("dir", Text)];
const DB: Table = &[("url", Text), ("username", Text), ("password", Text)];

/// Whether options whose value is a path are resolved against the folder of the file that sets them.
pub(super) fn is_path(section: &SectionName, key: &str) -> bool {
    match section.kind.as_str() {
        "cache" => key == "dir",
        "remote" => matches!(
            key,
            "url"
                | "gdrive_user_credentials_file"
                | "gdrive_service_account_json_file_path"
                | "credentialpath"
                | "configpath"
                | "keyfile"
                | "cert_path"
                | "key_path"
        ),
        "machine" => matches!(key, "startup_script" | "setup_script"),
        _ => false,
    }
}

/// Checks the options of one section; the error is a sentence for the user.
pub(super) fn check(name: &SectionName, section: &Section) -> Result<(), String> {
    let tables: &[Table] = match (name.kind.as_str(), &name.name) {
        ("core", None) => &[CORE],
        ("cache", None) => &[CACHE, LOCAL],
        ("remote", Some(remote)) => {
            let Some(url) = section.get("url") else {
                return Err(format!("remote '{remote}' has no 'url'"));
            };
            match remote_tables(&url.text())? {
                Some(tables) => tables,
                None => return Ok(()),
            }
        }
        ("machine", Some(_)) => &[MACHINE],
        ("db", Some(_)) => &[DB],
        ("state", None) => &[STATE],
        ("index", None) => &[INDEX],
        ("feature", None) => return Ok(()),
        ("plots", None) => &[PLOTS],
        ("exp", None) => &[EXP],
        ("parsing", None) => &[PARSING],
        ("hydra", None) => &[HYDRA],
        ("studio", None) => &[STUDIO],
        _ => return Err(format!("there is no section '{name}'")),
    };
    for (key, value) in section {
        let form = tables.iter().flat_map(|table| table.iter()).find(|(known, _)| known == key);
        let Some((_, form)) = form else {
            return Err(format!("there is no option '{key}' in section '{name}'"));
        };
        check_value(*form, value).map_err(|expected| format!("'{key}' in section '{name}': {expected}"))?;
    }
    if name.kind == "hydra" && section.contains_key("config_dir") && section.contains_key("config_module") {
        return Err("'config_dir' and 'config_module' in section 'hydra' exclude each other".into());
    }
    Ok(())
}

/// Whether DVC knows addresses that start so.
pub(crate) fn is_known_scheme(scheme: &str) -> bool {
    scheme == "file" || remote_tables(&format!("{scheme}://x")).is_ok()
}

/// The tables for a remote at this address; `None` when anything goes.
fn remote_tables(url: &str) -> Result<Option<&'static [Table]>, String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Ok(Some(&[LOCAL, REMOTE]));
    };
    if rest.is_empty() || rest.starts_with('/') {
        return Ok(Some(&[LOCAL, REMOTE]));
    }
    Ok(Some(match scheme {
        "s3" => &[S3, REMOTE],
        "gs" => &[GS, REMOTE],
        "ssh" => &[SSH, REMOTE],
        "hdfs" => &[HDFS, REMOTE],
        "webhdfs" => &[WEBHDFS, REMOTE],
        "azure" => &[AZURE, REMOTE],
        "oss" => &[OSS, REMOTE],
        "gdrive" => &[GDRIVE, REMOTE],
        "http" | "https" => &[HTTP, REMOTE],
        "webdav" | "webdavs" => &[WEBDAV, REMOTE],
        "remote" => return Ok(None),
        _ => return Err(format!("Unsupported URL type {scheme}://")),
    }))
}

fn check_value(form: Form, value: &Setting) -> Result<(), String> {
    let text = match value {
        Setting::Text(text) => text.as_str(),
        Setting::List(items) => {
            if matches!(form, Links) {
                return items.iter().try_for_each(|item| check_link(item));
            }
            return Err("expected one value, found a list".into());
        }
    };
    match form {
        Text => Ok(()),
        Bool if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") => Ok(()),
        Bool => Err("expected true or false".into()),
        Count => match text.trim().parse::<i64>() {
            Ok(n) if n >= 1 => Ok(()),
            _ => Err("expected a whole number of at least 1".into()),
        },
        Integer => text.trim().parse::<i64>().map(|_| ()).map_err(|_| "expected a whole number".into()),
        Number => match text.trim().parse::<f64>() {
            Ok(x) if x >= 0.0 => Ok(()),
            _ => Err("expected a number that is not negative".into()),
        },
        Choice(choices) if choices.contains(&text.to_lowercase().as_str()) => Ok(()),
        Choice(choices) => Err(format!("expected one of {}", choices.join(", "))),
        Links => text.split(',').try_for_each(check_link),
    }
}

fn check_link(kind: &str) -> Result<(), String> {
    match kind.trim() {
        "reflink" | "hardlink" | "symlink" | "copy" => Ok(()),
        other => Err(format!("unsupported cache type '{other}'")),
    }
}
