"""Traces, prompts and evaluation datasets of `matraz server` with MLflow's client."""


def traced(fluent, value, fails=False):
    """Makes a trace with two spans and gives its id."""
    try:
        with fluent.start_span(name="root") as span:
            span.set_inputs({"q": value})
            with fluent.start_span(name="inner", span_type="LLM") as inner:
                inner.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7})
                if fails:
                    raise ValueError("boom")
            span.set_outputs({"a": "hé"})
    except ValueError:
        pass
    fluent.flush_trace_async_logging()
    return span.trace_id


def test_a_trace_lives(fluent, client, experiment):
    ids = [traced(fluent, 1), traced(fluent, 2, fails=True)]
    found = fluent.get_trace(ids[0])
    root = next(span for span in found.data.spans if span.parent_id is None)
    assert (root.inputs, root.outputs, found.info.state) == ({"q": 1}, {"a": "hé"}, "OK")
    assert found.info.token_usage["total_tokens"] == 7
    inner = next(span for span in found.data.spans if span.parent_id)
    assert (inner.parent_id, inner.span_type) == (root.span_id, "LLM")
    assert fluent.get_trace(ids[1]).info.state == "ERROR"
    assert fluent.get_trace("tr-" + "0" * 32) is None

    def search(words, **named):
        return [t.info.trace_id for t in client.search_traces(locations=[experiment], filter_string=words, **named)]

    client.set_trace_tag(ids[0], "color", "red")
    assert search("tags.color = 'red'") == [ids[0]]
    assert search("status = 'ERROR'") == [ids[1]]
    assert search("span.type = 'LLM' AND span.status != 'ERROR'") == [ids[0]]
    assert search("trace.text LIKE '%hé%'") == [ids[0]]
    assert search("", order_by=["timestamp_ms ASC"]) == ids
    good = fluent.log_feedback(trace_id=ids[0], name="good", value=True, rationale="because")
    fluent.log_expectation(trace_id=ids[0], name="answer", value={"x": 1})
    said = {one.name: one.value for one in fluent.get_trace(ids[0]).info.assessments}
    assert said == {"good": True, "answer": {"x": 1}}
    fluent.delete_assessment(trace_id=ids[0], assessment_id=good.assessment_id)
    assert search("feedback.good IS NULL AND expectation.answer IS NOT NULL") == [ids[0]]
    assert client.delete_traces(experiment, trace_ids=[ids[0]]) == 1
    assert search("") == [ids[1]]


def test_prompts(fluent):
    name = "greeting-with-alias"
    fluent.genai.register_prompt(name=name, template="Hello {{who}}", commit_message="first", tags={"a": "b"})
    second = fluent.genai.register_prompt(name=name, template="Hi {{who}}")
    fluent.genai.set_prompt_alias(name, alias="best", version=second.version)
    assert fluent.genai.load_prompt(f"prompts:/{name}/1").format(who="you") == "Hello you"
    assert fluent.genai.load_prompt(f"prompts:/{name}@best").template == "Hi {{who}}"
    assert name in [prompt.name for prompt in fluent.genai.search_prompts()]


def test_evaluation_datasets(fluent, experiment):
    from mlflow.genai import datasets

    made = datasets.create_dataset(name="questions", experiment_id=[experiment], tags={"team": "x"})
    made.merge_records([{"inputs": {"q": "a"}, "expectations": {"e": 1}}, {"inputs": {"q": "b"}}])
    made.merge_records([{"inputs": {"q": "a"}, "expectations": {"f": 2}}])
    found = datasets.get_dataset(dataset_id=made.dataset_id)
    rows = {row["inputs"]["q"]: row["expectations"] for _, row in found.to_df().iterrows()}
    assert rows["a"] == {"e": 1, "f": 2} and len(rows) == 2
    names = [one.name for one in datasets.search_datasets(experiment_ids=[experiment], filter_string="tags.team = 'x'")]
    assert names == ["questions"]
    datasets.delete_dataset(dataset_id=made.dataset_id)
    assert not datasets.search_datasets(experiment_ids=[experiment])
