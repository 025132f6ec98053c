"""Many models in one server: load, list, ask and unload, within the memory there is."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.container import multi_model
from clary.container.layout import Layout
from clary.container.multi_model import MultiModelApp
from clary.container.serve_settings import ServeSettings
from serving import tiny_program
from serving.asgi import Response, ask, call
from serving.tiny_program import SLEEP

MEGABYTE = {"tensor": np.zeros(262_144, np.float32)}


@pytest.fixture(autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_program.in_the_suite():
        yield


@pytest.fixture
def server() -> Iterator[MultiModelApp]:
    with ThreadPoolExecutor(2) as executor:
        settings = ServeSettings(layout=Layout(), multi_model=True, model_memory=2_500_000)
        yield MultiModelApp(settings, executor)


def order(name: str, folder: Path) -> bytes:
    return json.dumps({"model_name": name, "url": str(folder)}).encode()


def test_the_life_of_a_model(server: MultiModelApp, tmp_path: Path) -> None:
    folder = tiny_program.write(tmp_path / "a" / "model")
    assert call(server, "GET", "/ping") == Response(200, {"content-length": "0"}, b"")
    assert call(server, "GET", "/models").json == {"models": []}
    call(server, "GET", "/models/a").refused(404)
    call(server, "POST", "/models/a/invoke", b"1,2,3").refused(404)

    assert call(server, "POST", "/models", order("a", folder)).status == 200
    entry = {"modelName": "a", "modelUrl": str(folder)}
    assert call(server, "GET", "/models").json == {"models": [entry]}
    assert call(server, "GET", "/models/a").json == entry
    answer = call(server, "POST", "/models/a/invoke", b"1,2,3", x_amzn_sagemaker_target_model="a.tar.gz")
    assert answer.json == {"predictions": [{"total": 6.0}]}
    call(server, "POST", "/models", order("a", folder)).refused(409)

    assert call(server, "DELETE", "/models/a").status == 200
    call(server, "DELETE", "/models/a").refused(404)
    assert call(server, "POST", "/models", order("a", folder)).status == 200


def test_names_are_opaque(server: MultiModelApp, tmp_path: Path) -> None:
    folder = tiny_program.write(tmp_path / "model")
    assert call(server, "POST", "/models", order("path/to m.tar.gz", folder)).status == 200
    assert call(server, "GET", "/models/path%2Fto%20m.tar.gz").json["modelName"] == "path/to m.tar.gz"
    assert call(server, "POST", "/models/path%2Fto%20m.tar.gz/invoke", b"1,2,3").status == 200
    call(server, "GET", "/models/path/to m.tar.gz").refused(404)


def test_a_list_of_many_models_comes_in_pages(
    server: MultiModelApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multi_model, "PAGE", 2)
    folder = tiny_program.write(tmp_path / "model")
    names = ["a&b", "c", "d e", "f", "g"]
    for name in reversed(names):
        assert call(server, "POST", "/models", order(name, folder)).status == 200
    seen, query = [], ""
    for _ in range(3):
        page = call(server, "GET", "/models", query=query).json
        seen.append([entry["modelName"] for entry in page["models"]])
        query = "next_page_token=" + page.get("nextPageToken", "").replace("&", "%26").replace(" ", "%20")
    assert seen == [["a&b", "c"], ["d e", "f"], ["g"]]
    assert "nextPageToken" not in page


def test_a_model_that_finds_no_room_is_507_until_another_is_unloaded(server: MultiModelApp, tmp_path: Path) -> None:
    folders = {name: tiny_program.write(tmp_path / name, MEGABYTE) for name in "abc"}
    assert [call(server, "POST", "/models", order(name, folders[name])).status for name in "ab"] == [200, 200]
    assert "unload another model" in call(server, "POST", "/models", order("c", folders["c"])).refused(507)
    call(server, "GET", "/models/c").refused(404)
    assert call(server, "DELETE", "/models/a").status == 200
    assert call(server, "POST", "/models", order("c", folders["c"])).status == 200


def test_models_that_are_loaded_at_once_do_not_pass_the_budget_together(
    server: MultiModelApp, tmp_path: Path
) -> None:
    folders = {name: tiny_program.write(tmp_path / name, MEGABYTE, load_seconds=0.2) for name in "abc"}

    async def at_once() -> list[Response]:
        loads = [ask(server, "POST", "/models", order(name, folders[name])) for name in "aabc"]
        return await asyncio.gather(*loads)

    assert [answer.status for answer in asyncio.run(at_once())] == [200, 409, 200, 507]


def test_unloading_waits_for_the_requests_that_are_under_way(server: MultiModelApp, tmp_path: Path) -> None:
    folder = tiny_program.write(tmp_path / "model")

    async def both() -> tuple[Response, Response, float]:
        await ask(server, "POST", "/models", order("a", folder))
        slow = asyncio.create_task(ask(server, "POST", "/models/a/invoke", f"{SLEEP},0.3,0".encode()))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        deleted = await ask(server, "DELETE", "/models/a")
        return deleted, await slow, time.monotonic() - began

    deleted, slow, waited = asyncio.run(both())
    assert (deleted.status, slow.status) == (200, 200)
    assert waited > 0.1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b'{"model_name": "a"}', 400),
        (b'{"url": "/a"}', 400),
        (b'{"model_name": "", "url": "/a"}', 400),
        (b'{"model_name": 7, "url": "/a"}', 400),
        (b'{"model_name": "a", "url": "/no/such/folder"}', 400),
        (b"x" * 70_000, 413),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused(server: MultiModelApp, body: bytes, status: int) -> None:
    call(server, "POST", "/models", body).refused(status)
    assert call(server, "GET", "/models").json == {"models": []}


def test_a_folder_without_a_model_and_a_broken_model_are_refused(
    server: MultiModelApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    assert "model.json" in call(server, "POST", "/models", order("a", tmp_path / "empty")).refused(400)
    broken = tiny_program.write(tmp_path / "broken", load_error=True)
    message = call(server, "POST", "/models", order("a", broken)).refused(500)
    assert "the loader is broken" not in message
    assert "the loader is broken" in caplog.text
    good = tiny_program.write(tmp_path / "good")
    assert call(server, "POST", "/models", order("a", good)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("PUT", "/models", 405, "GET, POST"),
        ("POST", "/models/a", 405, "GET, DELETE"),
        ("GET", "/models/a/invoke", 405, "POST"),
        ("POST", "/ping", 405, "GET"),
        ("POST", "/invocations", 404, None),
        ("POST", "/models/a/b/invoke", 404, None),
        ("GET", "/", 404, None),
    ],
)
def test_unknown_paths_and_methods_are_refused(
    server: MultiModelApp, method: str, path: str, status: int, allowed: str | None
) -> None:
    answer = call(server, method, path)
    answer.refused(status)
    assert answer.headers.get("allow") == allowed


def test_execution_parameters_are_answered(server: MultiModelApp) -> None:
    found: dict[str, Any] = call(server, "GET", "/execution-parameters").json
    assert found["MaxConcurrentTransforms"] == 1
