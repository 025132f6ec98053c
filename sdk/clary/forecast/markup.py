"""The few elements that a report is made of, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def section(heading: str, text: str, *parts: str) -> str:
    """A heading, a paragraph, and what comes below."""
    return f"<h2>{escape(heading)}</h2><p>{escape(text)}</p>{''.join(parts)}"


def figure(title: str, drawing: str, caption: str = "") -> str:
    """A drawing under its title, over its caption."""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure><h3>{escape(title)}</h3>{drawing}{below}</figure>"


def row(cells: Iterable[str], *, kind: str = "", texts: Sequence[int] = (0,), span: int = 1) -> str:
    """A row of a table; ``texts`` are the places of cells that hold words, ``span`` is the width of the last cell."""
    listed = [escape(cell) for cell in cells]
    last = len(listed) - 1
    inner = "".join(
        f"<td{_class('text' if place in texts else '')}{_span(span if place == last else 1)}>{cell}</td>"
        for place, cell in enumerate(listed)
    )
    return f"<tr{_class(kind)}>{inner}</tr>"


def table(heads: Sequence[str], rows: Iterable[str], *, texts: Sequence[int] = (0,)) -> str:
    """A table that scrolls where the page is narrow."""
    head = "".join(
        f"<th{_class('text' if place in texts else '')}>{escape(each)}</th>" for place, each in enumerate(heads)
    )
    body = "".join(rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def key(*entries: tuple[str, str], area: tuple[str, str] | None = None) -> str:
    """What colors of lines mean, and of an area: pairs of a color and words."""
    found = [f'<span><i style="border-color:{color}"></i>{escape(words)}</span>' for color, words in entries]
    if area:
        found.append(f'<span><i class="area" style="background:{area[0]}"></i>{escape(area[1])}</span>')
    return f'<div class="key">{"".join(found)}</div>'


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _span(width: int) -> str:
    return f' colspan="{width}"' if width > 1 else ""
