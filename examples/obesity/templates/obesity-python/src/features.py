"""Split the clean table into training and test rows, class by class."""

from pathlib import Path

import pandas as pd
import yaml
from sklearn.model_selection import train_test_split

TARGET = "NObeyesdad"


def main():
    params = yaml.safe_load(Path("params.yaml").read_text())
    clean = pd.read_csv("data/clean.csv", keep_default_na=False, na_values=[""])
    train, test = train_test_split(
        clean, test_size=params["test_size"], stratify=clean[TARGET], random_state=params["seed"]
    )
    Path("features").mkdir(exist_ok=True)
    train.sort_index().to_csv("features/train.csv", index=False)
    test.sort_index().to_csv("features/test.csv", index=False)
    print(f"{len(train)} training rows, {len(test)} test rows")


if __name__ == "__main__":
    main()
