"""Requests that wait for the same model are predicted together: one call for all their rows.

Only where every row is predicted by itself, which is so for the estimators of scikit-learn but not for any Python.
"""

import copy
import functools
import threading

# Those of a wrapped scikit-learn model that answer row by row.
BY_ROWS = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba")
# More rows than this in one call gain nothing.
MOST_ROWS = 4096


def predicts_by_rows(model):
    """Whether an estimator and all that it is made of come from scikit-learn, and none calls a function of the user."""
    parts = [model, *model.get_params(deep=True).values()]
    parts = [part for part in parts if hasattr(part, "fit")]
    return all(type(part).__module__.startswith("sklearn.") and type(part).__name__ != "FunctionTransformer" for part in parts)


class Alone(Exception):
    """A request is to be predicted by itself: something about it or about those beside it went wrong."""


class Request:
    """Rows for the model: a table of pandas, or an array of NumPy."""

    def __init__(self, data, params):
        self.data, self.answer, self.tried = data, None, False
        # Without a row an estimator says that it needs one.
        if params or getattr(data, "ndim", 0) == 0 or len(data) == 0:
            raise Alone
        if hasattr(data, "columns"):
            self.kind = list(data.columns), list(data.dtypes)
        else:
            self.kind = data.shape[1:], data.dtype
        self.size = len(data)


class Together:
    """Stands for the function `predict` of a model; many threads may call it, each between `enter` and `leave`.

    Those that have entered are read one after the other; when the last of them is here, one predicts for all, and who
    comes meanwhile waits. Threads of Python only take turns, and many turns make all of them slow.
    """

    def __init__(self, predict):
        functools.update_wrapper(self, predict)
        self.predict = predict
        self.waiting = []
        self.arriving = 0
        self.predicting = False
        self.changed = threading.Condition()
        self.reading = threading.Lock()
        self.here = threading.local()

    def enter(self):
        with self.changed:
            self.changed.wait_for(lambda: not self.predicting)
            self.arriving += 1
        self.reading.acquire()
        self.here.arriving = True

    def leave(self):
        """The caller is done with the model, or never came to call it."""
        if self.here.arriving:
            with self.changed:
                self.arrive()

    def arrive(self):
        self.here.arriving = False
        self.reading.release()
        self.arriving -= 1
        if self.arriving == 0:
            self.changed.notify_all()

    def __call__(self, data, params=None):
        request = Request(data, params)
        with self.changed:
            self.waiting.append(request)
            self.arrive()
            self.changed.wait_for(lambda: request.tried or (self.arriving == 0 and not self.predicting))
            leads = not request.tried
            if leads:
                self.predicting = True
                taken = self.take(request)
        if leads:
            try:
                self.answer(taken)
            finally:
                with self.changed:
                    self.predicting = False
                    for one in taken:
                        one.tried = True
                    self.changed.notify_all()
        if request.answer is None:
            raise Alone
        return request.answer

    def take(self, first):
        """The request and those waiting ones whose rows can be rows of the same table."""
        taken, left, rows = [first], [], first.size
        for request in self.waiting:
            if request is first:
                continue
            if request.kind == first.kind and rows + request.size <= MOST_ROWS:
                taken.append(request)
                rows += request.size
            else:
                left.append(request)
        self.waiting = left
        return taken

    def answer(self, requests):
        """One that gets no answer here is predicted alone by its own thread."""
        data = joined([request.data for request in requests])
        answers = self.predict(data)
        if len(answers) != len(data):
            return
        rows = getattr(answers, "iloc", answers)
        start = 0
        for request in requests:
            request.answer = rows[start : start + request.size]
            start += request.size


def joined(parts):
    if len(parts) == 1:
        return parts[0]
    if hasattr(parts[0], "columns"):
        import pandas

        return pandas.concat(parts, ignore_index=True)
    import numpy

    return numpy.concatenate(parts)


def predicting_together(model):
    """A loaded model of MLflow as one whose `_predict_fn` is a `Together`; None where it cannot be."""
    wrapper = getattr(model, "_model_impl", None)
    predict = getattr(model, "_predict_fn", None)
    if type(wrapper).__module__ != "mlflow.sklearn" or getattr(predict, "__name__", None) not in BY_ROWS:
        return None
    if not predicts_by_rows(wrapper.sklearn_model):
        return None
    gathering = copy.copy(model)
    gathering._predict_fn = Together(predict)
    return gathering
