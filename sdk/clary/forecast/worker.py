"""One worker process of a forecast job: reads works on standard input, answers each on standard output."""

from __future__ import annotations

import os
import warnings
from typing import Any

from clary.forecast.candidates import models
from clary.forecast.workers import READY, Failed, Work, receive, send


def main() -> None:
    """Answer until there is no more input; what libraries print goes nowhere."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    warnings.simplefilter("ignore")
    models.load()
    send(sink, READY)
    while True:
        try:
            works: list[Work] = receive(source)
        except EOFError:
            return
        send(sink, _answers(works))


def _answers(works: list[Work]) -> list[Any] | Failed:
    try:
        return [work.answer() for work in works]
    except Exception as error:  # it is told to the job, which goes on without the candidate
        return Failed(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
