/** Which end of a metric is the good one. */
export type Best = "highest" | "lowest" | "none";

// Whole words of a metric's name, after splitting at everything that is no letter or digit and at camelCase.
const LOWER = new Set(
  ("loss error err errors mae mse rmse msle rmsle mape smape medae deviance perplexity ppl wer cer brier logloss entropy " +
    "nll latency seconds secs duration time ms memory fpr fnr fdr divergence kl regret misclassification drift eer ece").split(" "),
);
const HIGHER = new Set(
  ("accuracy acc f1 fbeta f2 precision recall auc auroc auprc roc pr r2 score map mrr ndcg bleu rouge meteor iou dice tpr tnr " +
    "kappa mcc jaccard hit hits specificity sensitivity similarity reward throughput likelihood gini ks psnr ssim exact").split(" "),
);

function words(key: string): string[] {
  return key
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
}

/** The usual direction by the metric's name; `none` when the name does not say: a wrong mark is worse than none. */
export function usualBest(key: string): Best {
  const parts = words(key);
  if (parts.some((part) => LOWER.has(part))) return "lowest";
  if (parts.some((part) => HIGHER.has(part))) return "highest";
  return "none";
}

/** The best of the values, or `undefined` when there is nothing to choose from: none, one, or all the same. */
export function bestValue(values: readonly (number | undefined)[], best: Best): number | undefined {
  if (best === "none") return undefined;
  const numbers = values.filter((value): value is number => value !== undefined && !Number.isNaN(value));
  const low = Math.min(...numbers);
  const high = Math.max(...numbers);
  if (numbers.length < 2 || low === high) return undefined;
  return best === "highest" ? high : low;
}
