"""``clary serve``: the server of the containers, over a model anywhere on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from clary.cli.verbosity import with_verbosity
from clary.toolkit.errors import UserError


@with_verbosity
@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="0 picks a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is all.")
@click.option("--workers", type=click.IntRange(1, 512), help="Server processes; one for each core otherwise.")
@click.option("--algorithm", default="", help="Algorithm of a model that was made elsewhere.")
def serve(model: Path, port: int, host: str, workers: int | None, algorithm: str) -> int:
    """Serve a model over HTTP until Ctrl-C.

    MODEL is a model.tar.gz or the folder that it was packed from. The server answers GET /ping once the model
    is loaded, POST /invocations and GET /execution-parameters, as the containers do.
    """
    from clary.container.layout import Layout
    from clary.container.serve_program import main as serve_program
    from clary.runner.placement import link_folder
    from clary.toolkit.artifact import unpack

    with tempfile.TemporaryDirectory(prefix="clary-serve-") as scratch:
        place = Layout(Path(scratch)).model
        if model.is_dir():
            link_folder(model, place)
        elif model.is_file():
            unpack(model, place)
        else:
            raise UserError(
                f"there is no model at {model}; give a model.tar.gz or the folder that it was packed from"
            )
        arguments = ["--root", scratch, "--host", host, "--port", str(port), "--algorithm", algorithm]
        return serve_program([*arguments, *(["--workers", str(workers)] if workers else [])])
