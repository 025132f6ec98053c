"""``python -m clary.container train`` and ``... serve``: what an image runs."""

from __future__ import annotations

import sys

from clary.container import owner


def main(arguments: list[str] | None = None) -> int:
    """Run the program that the first argument names; 2 if it names neither."""
    verb, *rest = sys.argv[1:] if arguments is None else arguments or [""]
    # A line must reach the platform's log when it is written, and in the platform's encoding whatever the locale.
    sys.stdout.reconfigure(line_buffering=True, encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    if verb in ("train", "serve"):
        sys.stdout.write(f"Docker entrypoint called with argument(s): {verb}\n")
        owner.watch()
    if verb == "train":
        from clary.container.train_program import main as train

        return train(rest)
    if verb == "serve":
        from clary.container.serve_program import main as serve

        return serve(rest)
    sys.stderr.write(f"usage: python -m clary.container train|serve [--root DIR] [--algorithm NAME]; got {verb!r}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
