"""Generated text: what lies between the markers follows the declarations, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from clary.algorithms import registry
from clary.cli import generated_text
from clary.toolkit.errors import UserError

BLOCK = "<!-- generated: {} -->\nold\n<!-- end generated -->"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small checkout whose generated text is all out of date."""
    pages = tmp_path / generated_text.PAGES
    pages.mkdir(parents=True)
    blocks = "\n\nprose\n\n".join(BLOCK.format(name) for name in generated_text.TABLES)
    for name in registry.NAMES:
        (pages / f"{name}.md").write_text(f"# {name}\n\n{blocks}\n\nthe end\n")
    (tmp_path / "README.md").write_text(f"before\n{BLOCK.format('algorithms')}\nafter\n")
    (tmp_path / "docs" / "contract.md").write_text("no generated text here\n")
    (tmp_path / "sdk" / "clary" / "sdk").mkdir(parents=True)
    return tmp_path


def names(paths: list[Path], root: Path) -> set[str]:
    """The paths as the user is told of them."""
    return {path.relative_to(root).as_posix() for path in paths}


EVERYTHING = {
    "README.md",
    "sdk/clary/sdk/estimators.py",
    *(f"docs/algorithms/{name}.md" for name in registry.NAMES),
}


def test_stale_text_is_named_written_once_and_then_fresh(root: Path) -> None:
    assert names(generated_text.stale(root), root) == EVERYTHING
    assert names(generated_text.write(root), root) == EVERYTHING
    assert generated_text.stale(root) == []
    assert generated_text.write(root) == []


def test_only_what_lies_between_the_markers_changes(root: Path) -> None:
    generated_text.write(root)
    readme = (root / "README.md").read_text()
    assert readme.startswith("before\n<!-- generated: algorithms -->\n")
    assert readme.endswith("<!-- end generated -->\nafter\n")
    assert "[K-means](docs/algorithms/kmeans.md) | `kmeans` |" in readme
    assert "old" not in readme
    page = (root / "docs/algorithms/kmeans.md").read_text()
    assert page.count("prose") == len(generated_text.TABLES) - 1
    assert "| `k` | an integer at least 1 | required | no | Number of clusters of the final model. |" in page
    assert (root / "docs" / "contract.md").read_text() == "no generated text here\n"


@pytest.mark.parametrize(
    ("page", "old", "new", "reason"),
    [
        ("docs/algorithms/kmeans.md", "generated: metrics", "generated: metric", "'metric'"),
        ("docs/algorithms/kmeans.md", BLOCK.format("metrics"), "", "metrics"),
        ("README.md", "generated: algorithms", "generated: channels", "'channels'"),
        ("README.md", "<!-- end generated -->", "", "'<!-- end generated -->'"),
    ],
)
def test_a_wrong_marker_is_named_with_its_file(root: Path, page: str, old: str, new: str, reason: str) -> None:
    path = root / page
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError) as caught:
        generated_text.stale(root)
    assert str(caught.value).startswith(page)
    assert reason in str(caught.value)


def test_a_table_without_rows_may_be_left_out_of_a_page(root: Path) -> None:
    for name in ("kmeans", "linear_learner"):
        path = root / f"docs/algorithms/{name}.md"
        path.write_text(path.read_text().replace(BLOCK.format("options"), ""))
    with pytest.raises(UserError, match=r"docs/algorithms/linear_learner\.md lacks '<!-- generated: options -->'"):
        generated_text.stale(root)


def test_what_is_said_of_many_metrics_is_said_once(root: Path) -> None:
    generated_text.write(root)
    page = (root / "docs/algorithms/linear_learner.md").read_text()
    often = "once at the end, where there is a test channel and predictor_type is binary_classifier"
    assert page.count(often) == 1
    assert f") {often}\n" in page
    assert "| `test:recall` | maximize | (" in page


def test_an_algorithm_without_a_page_is_named(root: Path) -> None:
    (root / "docs/algorithms/kmeans.md").unlink()
    with pytest.raises(UserError, match=r"docs/algorithms/kmeans\.md is missing"):
        generated_text.stale(root)
