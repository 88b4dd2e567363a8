"""Clean the raw table and report what was dropped and why."""

import json
from pathlib import Path

import pandas as pd
import yaml

TARGET = "NObeyesdad"

# Values outside these ranges cannot be right.
RANGES = {
    "Age": (10, 100),
    "Height": (1.2, 2.3),
    "Weight": (25, 250),
    "FCVC": (1, 3),
    "NCP": (1, 4),
    "CH2O": (1, 3),
    "FAF": (0, 3),
    "TUE": (0, 2),
}


def main():
    params = yaml.safe_load(Path("params.yaml").read_text())
    # "no" is a value of this table, and only an empty cell is a missing one.
    raw = pd.read_csv("data/obesity.csv", skipinitialspace=True, keep_default_na=False, na_values=[""])

    labelled = raw.dropna(subset=[TARGET])
    possible = pd.Series(True, index=labelled.index)
    for column, (low, high) in RANGES.items():
        values = pd.to_numeric(labelled[column])
        possible &= values.isna() | values.between(low, high)
    in_range = labelled[possible]
    clean = in_range.drop_duplicates()

    dropped = len(raw) - len(clean)
    if dropped > params["max_dropped"] * len(raw):
        raise SystemExit(f"cleaning would drop {dropped} of {len(raw)} rows")

    quality = {
        "rows": {"raw": len(raw), "clean": len(clean)},
        "dropped": {
            "duplicate": len(in_range) - len(clean),
            "out_of_range": len(labelled) - len(in_range),
            "without_class": len(raw) - len(labelled),
        },
        "missing": {column: int(count) for column, count in clean.isna().sum().items()},
        "classes": {name: int(count) for name, count in clean[TARGET].value_counts().sort_index().items()},
    }
    clean.to_csv("data/clean.csv", index=False)
    Path("data/quality.json").write_text(json.dumps(quality, indent=2) + "\n")
    print(f"{len(raw)} rows read, {dropped} dropped, {len(clean)} kept")


if __name__ == "__main__":
    main()
