//! The types of MLflow's GraphQL schema that answers are made of.
//!
//! An answer of a route of the REST API is shown field by field: names change from `snake_case` to `camelCase`, 64-bit
//! numbers become texts, and what is not set has the default of its type, as messages of protobuf have.

/// What a field is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A text.
    Text,
    /// A 64-bit number as text.
    Long,
    /// A double; NaN is null.
    Real,
    /// A truth value.
    Flag,
    /// One of a set of names, with the one that stands when nothing is set.
    Choice(&'static str),
    /// Texts.
    Texts,
    /// Another type.
    One(&'static Type),
    /// Another type, or null when it is not there.
    Maybe(&'static Type),
    /// A list of another type.
    Many(&'static Type),
}

/// A type with its fields.
pub(super) struct Type {
    pub(super) name: &'static str,
    pub(super) fields: &'static [(&'static str, Kind)],
}

/// What a field at the root takes and gives.
pub(super) struct Root {
    pub(super) name: &'static str,
    pub(super) input: Input,
    pub(super) answer: &'static Type,
}

/// The type of an argument `input`, with its fields and what they hold.
pub(super) struct Input {
    pub(super) name: &'static str,
    pub(super) fields: &'static [(&'static str, Value)],
}

/// What a field of an input holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Text,
    Texts,
    Int,
    Long,
    Name,
}

/// The type of `Value::Name`.
pub(super) const VIEW_TYPE: &str = "MlflowViewType";
/// Its names.
pub(super) const VIEWS: [&str; 3] = ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"];

/// Whether answers have a type of this name.
pub(super) fn has_type(name: &str) -> bool {
    let mut left: Vec<&Type> = QUERIES.iter().chain(MUTATIONS).map(|root| root.answer).collect();
    while let Some(next) = left.pop() {
        if next.name == name {
            return true;
        }
        left.extend(next.fields.iter().filter_map(|(_, kind)| match kind {
            One(inner) | Maybe(inner) | Many(inner) => Some(*inner),
            _ => None,
        }));
    }
    matches!(name, "Query" | "Mutation")
}

use Kind::{Choice, Flag, Long, Many, Maybe, One, Real, Text, Texts};

static PAIR: [(&str, Kind); 2] = [("key", Text), ("value", Text)];

static ERROR_DETAIL: Type = Type { name: "ErrorDetail", fields: &[("field", Text), ("message", Text)] };
static API_ERROR: Type = Type {
    name: "ApiError",
    fields: &[
        ("code", Text),
        ("message", Text),
        ("helpUrl", Text),
        ("traceId", Text),
        ("errorDetails", Many(&ERROR_DETAIL)),
    ],
};
static EXPERIMENT_TAG: Type = Type { name: "MlflowExperimentTag", fields: &PAIR };
static EXPERIMENT: Type = Type {
    name: "MlflowExperiment",
    fields: &[
        ("experimentId", Text),
        ("name", Text),
        ("artifactLocation", Text),
        ("lifecycleStage", Text),
        ("lastUpdateTime", Long),
        ("creationTime", Long),
        ("tags", Many(&EXPERIMENT_TAG)),
        ("effectiveTraceArchivalRetention", Text),
        ("workspace", Text),
    ],
};
static MODEL_VERSION_TAG: Type = Type { name: "MlflowModelVersionTag", fields: &PAIR };
static MODEL_PARAM: Type = Type { name: "MlflowModelParam", fields: &[("name", Text), ("value", Text)] };
static METRIC_FIELDS: [(&str, Kind); 8] = [
    ("key", Text),
    ("value", Real),
    ("timestamp", Long),
    ("step", Long),
    ("datasetName", Text),
    ("datasetDigest", Text),
    ("modelId", Text),
    ("runId", Text),
];
static MODEL_METRIC: Type = Type { name: "MlflowModelMetric", fields: &METRIC_FIELDS };
static JOB_STATE: Type = Type {
    name: "MlflowModelVersionDeploymentJobState",
    fields: &[
        ("jobId", Text),
        ("runId", Text),
        ("jobState", Choice("DEPLOYMENT_JOB_CONNECTION_STATE_UNSPECIFIED")),
        ("runState", Choice("DEPLOYMENT_JOB_RUN_STATE_UNSPECIFIED")),
        ("currentTaskName", Text),
    ],
};
static MODEL_VERSION: Type = Type {
    name: "MlflowModelVersion",
    fields: &[
        ("name", Text),
        ("version", Text),
        ("creationTimestamp", Long),
        ("lastUpdatedTimestamp", Long),
        ("userId", Text),
        ("currentStage", Text),
        ("description", Text),
        ("source", Text),
        ("runId", Text),
        ("status", Choice("PENDING_REGISTRATION")),
        ("statusMessage", Text),
        ("tags", Many(&MODEL_VERSION_TAG)),
        ("runLink", Text),
        ("aliases", Texts),
        ("modelId", Text),
        ("modelParams", Many(&MODEL_PARAM)),
        ("modelMetrics", Many(&MODEL_METRIC)),
        ("deploymentJobState", One(&JOB_STATE)),
    ],
};
static METRIC: Type = Type { name: "MlflowMetricExtension", fields: &METRIC_FIELDS };
static PARAM: Type = Type { name: "MlflowParam", fields: &PAIR };
static RUN_TAG: Type = Type { name: "MlflowRunTag", fields: &PAIR };
static INPUT_TAG: Type = Type { name: "MlflowInputTag", fields: &PAIR };
static DATASET: Type = Type {
    name: "MlflowDataset",
    fields: &[
        ("name", Text),
        ("digest", Text),
        ("sourceType", Text),
        ("source", Text),
        ("schema", Text),
        ("profile", Text),
    ],
};
static DATASET_INPUT: Type =
    Type { name: "MlflowDatasetInput", fields: &[("tags", Many(&INPUT_TAG)), ("dataset", One(&DATASET))] };
static MODEL_INPUT: Type = Type { name: "MlflowModelInput", fields: &[("modelId", Text)] };
static MODEL_OUTPUT: Type = Type { name: "MlflowModelOutput", fields: &[("modelId", Text), ("step", Long)] };
static RUN_INPUTS: Type = Type {
    name: "MlflowRunInputs",
    fields: &[("datasetInputs", Many(&DATASET_INPUT)), ("modelInputs", Many(&MODEL_INPUT))],
};
static RUN_OUTPUTS: Type =
    Type { name: "MlflowRunOutputs", fields: &[("modelOutputs", Many(&MODEL_OUTPUT))] };
static RUN_DATA: Type = Type {
    name: "MlflowRunData",
    fields: &[("metrics", Many(&METRIC)), ("params", Many(&PARAM)), ("tags", Many(&RUN_TAG))],
};
static RUN_INFO: Type = Type {
    name: "MlflowRunInfo",
    fields: &[
        ("runId", Text),
        ("runUuid", Text),
        ("runName", Text),
        ("experimentId", Text),
        ("userId", Text),
        ("status", Choice("RUNNING")),
        ("startTime", Long),
        ("endTime", Long),
        ("artifactUri", Text),
        ("lifecycleStage", Text),
    ],
};
static RUN: Type = Type {
    name: "MlflowRunExtension",
    fields: &[
        ("info", One(&RUN_INFO)),
        ("data", One(&RUN_DATA)),
        ("inputs", One(&RUN_INPUTS)),
        ("outputs", One(&RUN_OUTPUTS)),
        ("experiment", Maybe(&EXPERIMENT)),
        ("modelVersions", Many(&MODEL_VERSION)),
    ],
};
static METRIC_WITH_RUN: Type = Type {
    name: "MlflowMetricWithRunId",
    fields: &[("key", Text), ("value", Real), ("timestamp", Long), ("step", Long), ("runId", Text)],
};
static FILE_INFO: Type =
    Type { name: "MlflowFileInfo", fields: &[("path", Text), ("isDir", Flag), ("fileSize", Long)] };
static DATASET_SUMMARY: Type = Type {
    name: "MlflowDatasetSummary",
    fields: &[("experimentId", Text), ("name", Text), ("digest", Text), ("context", Text)],
};
static TEST: Type = Type { name: "Test", fields: &[("output", Text)] };

static GET_RUN: Type =
    Type { name: "MlflowGetRunResponse", fields: &[("run", One(&RUN)), ("apiError", Maybe(&API_ERROR))] };
static GET_EXPERIMENT: Type = Type {
    name: "MlflowGetExperimentResponse",
    fields: &[("experiment", One(&EXPERIMENT)), ("apiError", Maybe(&API_ERROR))],
};
static SEARCH_RUNS: Type = Type {
    name: "MlflowSearchRunsResponse",
    fields: &[("runs", Many(&RUN)), ("nextPageToken", Text), ("apiError", Maybe(&API_ERROR))],
};
static BULK_INTERVAL: Type = Type {
    name: "MlflowGetMetricHistoryBulkIntervalResponse",
    fields: &[("metrics", Many(&METRIC_WITH_RUN)), ("apiError", Maybe(&API_ERROR))],
};
static LIST_ARTIFACTS: Type = Type {
    name: "MlflowListArtifactsResponse",
    fields: &[
        ("rootUri", Text),
        ("files", Many(&FILE_INFO)),
        ("nextPageToken", Text),
        ("apiError", Maybe(&API_ERROR)),
    ],
};
static SEARCH_MODEL_VERSIONS: Type = Type {
    name: "MlflowSearchModelVersionsResponse",
    fields: &[
        ("modelVersions", Many(&MODEL_VERSION)),
        ("nextPageToken", Text),
        ("apiError", Maybe(&API_ERROR)),
    ],
};
static SEARCH_DATASETS: Type = Type {
    name: "MlflowSearchDatasetsResponse",
    fields: &[("datasetSummaries", Many(&DATASET_SUMMARY)), ("apiError", Maybe(&API_ERROR))],
};

const SEARCH_RUNS_INPUT: Input = Input {
    name: "MlflowSearchRunsInput",
    fields: &[
        ("experimentIds", Value::Texts),
        ("filter", Value::Text),
        ("runViewType", Value::Name),
        ("maxResults", Value::Int),
        ("orderBy", Value::Texts),
        ("pageToken", Value::Text),
    ],
};

/// The fields of queries.
pub(super) static QUERIES: &[Root] = &[
    Root {
        name: "mlflowGetExperiment",
        input: Input { name: "MlflowGetExperimentInput", fields: &[("experimentId", Value::Text)] },
        answer: &GET_EXPERIMENT,
    },
    Root {
        name: "mlflowGetMetricHistoryBulkInterval",
        input: Input {
            name: "MlflowGetMetricHistoryBulkIntervalInput",
            fields: &[
                ("runIds", Value::Texts),
                ("metricKey", Value::Text),
                ("startStep", Value::Int),
                ("endStep", Value::Int),
                ("maxResults", Value::Int),
            ],
        },
        answer: &BULK_INTERVAL,
    },
    Root {
        name: "mlflowGetRun",
        input: Input {
            name: "MlflowGetRunInput",
            fields: &[("runId", Value::Text), ("runUuid", Value::Text)],
        },
        answer: &GET_RUN,
    },
    Root {
        name: "mlflowListArtifacts",
        input: Input {
            name: "MlflowListArtifactsInput",
            fields: &[
                ("runId", Value::Text),
                ("runUuid", Value::Text),
                ("path", Value::Text),
                ("pageToken", Value::Text),
            ],
        },
        answer: &LIST_ARTIFACTS,
    },
    Root {
        name: "mlflowSearchModelVersions",
        input: Input {
            name: "MlflowSearchModelVersionsInput",
            fields: &[
                ("filter", Value::Text),
                ("maxResults", Value::Long),
                ("orderBy", Value::Texts),
                ("pageToken", Value::Text),
            ],
        },
        answer: &SEARCH_MODEL_VERSIONS,
    },
    Root { name: "mlflowSearchRuns", input: SEARCH_RUNS_INPUT, answer: &SEARCH_RUNS },
    Root { name: "test", input: Input { name: "String", fields: &[] }, answer: &TEST },
];

/// The fields of mutations. They change nothing: MLflow has them there because their questions are long.
pub(super) static MUTATIONS: &[Root] = &[
    Root {
        name: "mlflowSearchDatasets",
        input: Input { name: "MlflowSearchDatasetsInput", fields: &[("experimentIds", Value::Texts)] },
        answer: &SEARCH_DATASETS,
    },
    Root { name: "mlflowSearchRuns", input: SEARCH_RUNS_INPUT, answer: &SEARCH_RUNS },
    Root { name: "testMutation", input: Input { name: "String", fields: &[] }, answer: &TEST },
];
