//! What a stage occupies while it runs beside others: `meta: {matraz: {pool: gpu, slots: 2, mutex: db}}` in `dvc.yaml`.

use std::collections::{BTreeMap, HashMap};

use matraz_base::Value;

use super::schedule::Claim;
use crate::stage::Stage;
use crate::{Error, Result};

/// The size of a pool that nobody declared: its stages run one at a time.
const UNDECLARED: usize = 1;

/// The sizes of pools by name.
pub type Pools = BTreeMap<String, usize>;

/// What each of `stages` claims, and the size of every pool among them. `root` is that of the project.
pub fn claims(
    stages: &[&Stage],
    declared: &Pools,
    root: &std::path::Path,
) -> Result<(Vec<Claim>, HashMap<String, usize>)> {
    let mut sizes = HashMap::new();
    let mut claims = Vec::with_capacity(stages.len());
    for stage in stages {
        let claim = claim(stage).map_err(|message| bad(stage, root, message))?;
        if let Some((pool, slots)) = &claim.pool {
            let size = declared.get(pool).copied().unwrap_or(UNDECLARED);
            if *slots > size {
                let message = format!(
                    "it wants {slots} slots of the pool '{pool}', which has {size}; `pools` in matraz.yaml sets its size"
                );
                return Err(bad(stage, root, message));
            }
            sizes.insert(pool.clone(), size);
        }
        claims.push(claim);
    }
    Ok((claims, sizes))
}

fn bad(stage: &Stage, root: &std::path::Path, message: String) -> Error {
    Error::BadStage { name: stage.address.display(root), message }
}

fn claim(stage: &Stage) -> Result<Claim, String> {
    let Some(Value::Map(meta)) = &stage.meta else { return Ok(Claim::default()) };
    let ours = match meta.get("matraz") {
        None | Some(Value::Null) => return Ok(Claim::default()),
        Some(Value::Map(ours)) => ours,
        Some(_) => return Err("`meta.matraz` must be a mapping".into()),
    };
    if let Some(key) = ours.keys().find(|key| !["pool", "slots", "mutex"].contains(&key.as_str())) {
        return Err(format!("`meta.matraz` has no key `{key}`; its keys are `pool`, `slots`, `mutex`"));
    }
    let name = |value: &Value| match value {
        Value::Str(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let slots = match ours.get("slots") {
        None => None,
        Some(Value::Int(slots)) if *slots > 0 => usize::try_from(*slots).ok(),
        Some(_) => return Err("`meta.matraz.slots` must be a number above 0".into()),
    };
    let pool = match ours.get("pool") {
        None if slots.is_some() => return Err("`meta.matraz.slots` needs a `pool`".into()),
        None => None,
        Some(value) => {
            let pool = name(value).ok_or("`meta.matraz.pool` must be a name")?;
            Some((pool, slots.unwrap_or(1)))
        }
    };
    let mutexes = match ours.get("mutex") {
        None => Some(Vec::new()),
        Some(Value::List(list)) => list.iter().map(name).collect(),
        Some(value) => name(value).map(|name| vec![name]),
    };
    let mut mutexes = mutexes.ok_or("`meta.matraz.mutex` must be a name or a list of names")?;
    mutexes.sort();
    mutexes.dedup();
    Ok(Claim { pool, mutexes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Address;
    use std::path::Path;

    fn stage(meta: &str) -> Stage {
        let address = Address { file: "/p/dvc.yaml".into(), name: Some("train".into()) };
        let mut stage = Stage::new(address, "/p".into());
        stage.meta = Some(matraz_base::yaml::parse(meta).unwrap().to_value());
        stage
    }

    #[test]
    fn limits_are_read_and_checked() {
        let pools = Pools::from([("gpu".to_owned(), 2)]);
        let read = |meta: &str| claims(&[&stage(meta)], &pools, Path::new("/p"));
        let (found, sizes) = read("{owner: ana, matraz: {pool: gpu, slots: 2, mutex: [db, a, db]}}").unwrap();
        assert_eq!(found[0].pool, Some(("gpu".into(), 2)));
        assert_eq!(found[0].mutexes, ["a", "db"]);
        assert_eq!(sizes["gpu"], 2);
        assert_eq!(read("{matraz: {pool: disk}}").unwrap().1["disk"], 1);
        assert_eq!(read("{a: 1}").unwrap().0[0], Claim::default());
        for (meta, message) in [
            ("{matraz: {pool: gpu, slots: 3}}", "wants 3 slots of the pool 'gpu', which has 2"),
            ("{matraz: {pool: disk, slots: 2}}", "which has 1"),
            ("{matraz: {pools: gpu}}", "has no key `pools`"),
            ("{matraz: {slots: 1}}", "needs a `pool`"),
            ("{matraz: {pool: gpu, slots: 0}}", "above 0"),
            ("{matraz: {mutex: 1}}", "must be a name or a list"),
            ("{matraz: gpu}", "must be a mapping"),
        ] {
            let error = read(meta).unwrap_err().to_string();
            assert!(error.contains(message) && error.contains("'train'"), "{error}");
        }
    }
}
