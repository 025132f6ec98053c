"""Batch transform: whole files through an endpoint in concurrent requests, answers in order, files whole."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from clary.runner.splitting import Payload, Split, Strategy, inflated, payloads
from clary.toolkit.errors import PlatformError, UserError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from clary.runner.invocation import Answer, HttpClient

Assemble = Literal["None", "Line"]
Item = TypeVar("Item")
Result = TypeVar("Result")
_MOST_BYTES = 100 << 20


@dataclass(frozen=True, kw_only=True)
class TransformRequest:
    """How files become requests and answers become files; None leaves a number to the server."""

    content_type: str
    accept: str | None = None
    split: Split = "Line"
    strategy: Strategy | None = None
    assemble: Assemble = "None"
    concurrent: int | None = None
    payload_mb: int | None = None

    def environment(self) -> dict[str, str]:
        """What the platform tells a transform container."""
        told = {"SAGEMAKER_BATCH": "true"}
        if self.payload_mb is not None:
            told["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(self.payload_mb)
        if self.strategy is not None:
            told["SAGEMAKER_BATCH_STRATEGY"] = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}[
                self.strategy
            ]
        if self.concurrent is not None:
            told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(self.concurrent)
        return told

    def settled(self, client: HttpClient) -> TransformRequest:
        """This request with every number known: its own, else the server's, else the platform's default."""
        answer = client.get("/execution-parameters")
        advised: Mapping[str, object] = json.loads(answer.body) if answer.status == 200 else {}
        strategies: dict[object, Strategy] = {"SINGLE_RECORD": "SingleRecord"}
        payload_mb = self.payload_mb if self.payload_mb is not None else int(str(advised.get("MaxPayloadInMB", 6)))
        if payload_mb < 1 or payload_mb << 20 > _MOST_BYTES:
            raise UserError(f"a request of a batch transform has 1 to 100 MB; got {payload_mb}")
        wanted = self.concurrent or int(str(advised.get("MaxConcurrentTransforms", 1)))
        return TransformRequest(
            content_type=self.content_type,
            accept=self.accept,
            split=self.split,
            strategy=self.strategy or strategies.get(advised.get("BatchStrategy"), "MultiRecord"),
            assemble=self.assemble,
            concurrent=max(1, min(wanted, (_MOST_BYTES >> 20) // payload_mb)),
            payload_mb=payload_mb,
        )


def transform_file(
    source: Path,
    target: Path,
    request: TransformRequest,
    client: HttpClient,
    *,
    progress: Callable[[int], None] = lambda _size: None,
) -> None:
    """Write the answers for every record of the file, in order; the target appears whole or not at all.

    ``request`` is settled. ``progress`` is called with the number of input bytes that are done. UserError
    gives the server's reason and which records of which file it is about.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    assert request.concurrent is not None
    assert request.payload_mb is not None
    headers = {"Content-Type": request.content_type} | ({"Accept": request.accept} if request.accept else {})

    def ask(payload: Payload) -> tuple[Payload, Answer]:
        return payload, client.invoke(payload.body, headers)

    try:
        with source.open("rb") as stream, partial.open("wb") as sink:
            cut = payloads(
                inflated(stream),
                request.split,
                limit=request.payload_mb << 20,
                strategy=request.strategy or "MultiRecord",
                source=source.name,
            )
            for payload, answer in in_order(ask, cut, request.concurrent):
                _check(answer, payload, source)
                sink.write(answer.body)
                if request.assemble == "Line" and not answer.body.endswith(b"\n"):
                    sink.write(b"\n")
                progress(stream.tell())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def in_order(work: Callable[[Item], Result], items: Iterable[Item], concurrent: int) -> Iterator[Result]:
    """The result of every item, in the items' order, with that many at work at once and few waiting."""
    rest = iter(items)
    head = list(islice(rest, 2))
    if len(head) < 2:
        yield from map(work, head)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(concurrent, thread_name_prefix="clary-invoke") as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in chain(head, rest):
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * concurrent:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def error_text(answer: Answer) -> str:
    """The reason in a server's error, whichever form it has."""
    text = answer.body.decode("utf-8", errors="replace").strip()
    try:
        content = json.loads(text)
    except ValueError:
        return text or f"status {answer.status} without a reason"
    if isinstance(content, dict):
        for key in ("error", "message", "Message", "detail"):
            if isinstance(content.get(key), str):
                return str(content[key])
    return text


def _check(answer: Answer, payload: Payload, source: Path) -> None:
    if answer.status == 200:
        return
    last = payload.first + payload.records - 1
    where = f"{source.name}, records {payload.first} to {last}" if payload.records > 1 else source.name
    reason = f"{where}: {error_text(answer)}"
    if 400 <= answer.status < 500:
        raise UserError(reason)
    raise PlatformError(f"{reason} (status {answer.status})")
