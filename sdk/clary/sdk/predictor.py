"""A running endpoint as a Python object: rows in, columns out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clary.runner.transform import error_text, in_order
from clary.sdk.backend import Connection
from clary.sdk.failures import EndpointFailedError, RequestRefusedError
from clary.toolkit.spec import AlgorithmSpec

if TYPE_CHECKING:
    from clary.sdk.explanation import Explanation

_CONCURRENT = 4


class Predictor:
    """Asks one endpoint. A context manager that deletes the endpoint at its end.

    ``serializer`` and ``deserializer`` are ``csv``, ``json``, ``jsonlines``, ``recordio`` or a media type;
    without them rows travel in the fastest form and answers come as columns by name.
    """

    def __init__(
        self,
        connection: Connection,
        spec: AlgorithmSpec,
        *,
        serializer: str | None = None,
        deserializer: str | None = None,
    ) -> None:
        from clary.sdk.wire import media_type

        self._connection, self._spec = connection, spec
        self._content_type = None if serializer is None else media_type(serializer)
        self._accept = None if deserializer is None else media_type(deserializer)
        self._deleted = False

    @property
    def url(self) -> str:
        """Where the endpoint listens."""
        return self._connection.url

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name."""
        return self._connection.name

    def predict(self, data: Any, initial_args: Mapping[str, str] | None = None, **configuration: Any) -> Any:
        """The answers to all records of the data, in order, as columns by name.

        The data is an array, nested lists, a SciPy sparse matrix, a pandas or polars data frame, or a request
        in the endpoint's own JSON. A vector is one row. More than one request can hold is sent in several.
        For an algorithm of time series it is a list of dicts, and so is what comes back; ``configuration`` is then
        what the request asks for, such as ``num_samples=50, quantiles=[0.1, 0.9]``.
        ``initial_args`` may name ``ContentType`` and ``Accept`` for this call.
        """
        from clary.sdk import wire

        given = dict(initial_args or {})
        content_type, wanted = given.pop("ContentType", self._content_type), given.pop("Accept", self._accept)
        if given:
            raise TypeError(f"initial_args takes ContentType and Accept; got {', '.join(given)}")
        accept = wanted or "application/json"

        def ask(request: tuple[bytes, str]) -> Any:
            body, kind = request
            return wire.read(*self._invoke(body, kind, accept), wanted, self._spec)

        requests = wire.bodies(data, content_type, self._spec, self._connection.payload_limit, configuration)
        return wire.join(list(in_order(ask, requests, _CONCURRENT)), self._spec)

    def explain(self, data: Any) -> Explanation:
        """What each feature of each row adds to the row's score; UserError where the algorithm cannot say.

        The data is an array, nested lists, a SciPy sparse matrix, or a pandas or polars data frame, whose columns
        then have their names in the explanation. A vector is one row.
        """
        from clary.sdk import arrays, wire
        from clary.sdk.contributions import ACCEPT, check_explains
        from clary.sdk.explanation import Explanation

        spec, limit = self._spec, self._connection.payload_limit
        check_explains(spec)
        rows = arrays.as_records(data, name="the data", one_row=True, missing=spec.capabilities.missing)

        def ask(request: tuple[bytes, str]) -> tuple[bytes, str]:
            return self._invoke(*request, ACCEPT)

        # The first row alone shows how long an answer is, and so how many rows one request may hold.
        first = ask(next(wire.row_bodies(rows.rows(0, 1), None, spec, limit)))
        most = max(1, limit // (2 * len(first[0])))
        others = wire.row_bodies(rows.rows(1, len(rows)), None, spec, limit, most=most)
        answers = [first, *in_order(ask, others, _CONCURRENT)]
        found = wire.join([wire.read(*answer, None, spec) for answer in answers], spec)
        return Explanation.of(rows, found, spec, arrays.feature_names(data))

    def invoke(self, body: bytes, content_type: str, accept: str = "*/*") -> bytes:
        """The endpoint's answer to a body as it is."""
        return self._invoke(body, content_type, accept)[0]

    def close(self) -> None:
        """Delete the endpoint; further calls do nothing."""
        if not self._deleted:
            self._deleted = True
            self._connection.close()

    def delete_endpoint(self) -> None:
        """Delete the endpoint, by the classic name."""
        self.close()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", deleted" if self._deleted else ""
        return f"Predictor({self._spec.title} at {self.url}{state})"

    def _invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        if self._deleted:
            raise RequestRefusedError(410, f"endpoint {self.endpoint_name} has been deleted")
        answer = self._connection.invoke(body, content_type, accept)
        if 200 <= answer.status < 300:
            return answer.body, answer.content_type
        kind = RequestRefusedError if 400 <= answer.status < 500 else EndpointFailedError
        raise kind(answer.status, error_text(answer))
