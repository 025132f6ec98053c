"""Input as people's programs write it: each fault is refused or repaired with a message that names its place."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clary.forecast import companions, intake, table
from clary.forecast.findings import Findings
from clary.forecast.panel import Panel
from clary.forecast.settings import Roles, Settings
from clary.toolkit.errors import UserError

HEADER = "item_id,timestamp,target_value\n"
DAYS = [f"2024-01-{day:02}" for day in range(1, 31)]


def rows(count: int = 30, *, item: str = "a", **changed: str) -> list[str]:
    """Lines of daily values; ``line_5="..."`` replaces that line of a file whose first line is the header."""
    lines = [f"{item},{day},{10 + number}" for number, day in enumerate(DAYS[:count])]
    for name, text in changed.items():
        lines[int(name.removeprefix("line_")) - 2] = text
    return lines


def text(lines: list[str], header: str = HEADER) -> str:
    return header + "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Case:
    """A file, the options it is read with, and what must be said: an error, a repair, or a rejected row."""

    name: str
    content: str | bytes
    says: str
    settings: dict[str, Any] = field(default_factory=dict)


REFUSED = [
    Case("an empty file", "", "is empty"),
    Case("blank lines alone", "\n\n  \n", "is empty"),
    Case("a header alone", HEADER, "a header and no rows"),
    Case("a workbook", b"PK\x03\x04rest", "no CSV but a workbook"),
    Case("parquet", b"PAR1....PAR1", "no CSV but a workbook or parquet"),
    Case("a zero byte", HEADER.encode() + b"a,2024-01-01,\x001\n", "line 2: found a zero byte"),
    Case("Latin-1", HEADER.encode() + "ä,2024-01-01,1\n".encode("latin-1"), "line 2: byte 0xe4 is no UTF-8"),
    Case("an open quote", text([*rows(), 'a,"2024-02-01,5']), "line 32: .*quote left open"),
    Case(
        "two columns of one name",
        text(rows(), "item_id,timestamp,timestamp\n"),
        "columns 2 and 3 are both named 'timestamp'",
    ),
    Case("a column without a name", text(rows(), "item_id,,target_value\n"), "line 1: column 2 of 3 has no name"),
    Case(
        "data in the first line",
        "a,b,2024-01-01,4\na,b,2024-01-02,5\n",
        "line 1: the first line holds data and no names",
    ),
    Case(
        "no column of times", text([f"a,x{n},{n}" for n in range(9)], "item_id,what,value\n"), "no column holds times"
    ),
    Case(
        "two columns of times",
        text([f"a,{d},{d},4" for d in DAYS], "item_id,ordered,shipped,value\n"),
        "several columns hold times: ordered, shipped.*--timestamp-column",
    ),
    Case("no numbers", text([f"a,{d},x" for d in DAYS], "item_id,timestamp,kind\n"), "no column holds numbers"),
    Case(
        "two columns of numbers",
        text([f"a,{d},1,2" for d in DAYS], "item_id,timestamp,sold,returned\n"),
        "several columns hold numbers: sold, returned.*--target-column",
    ),
    Case(
        "a number without a part",
        text([f"a,{d},1,2.5" for d in DAYS], "item_id,timestamp,target_value,price\n"),
        "column 'price' holds numbers and has no part.*--related",
    ),
    Case(
        "two columns of names",
        text([f"{d},x,y,4" for d in DAYS], "timestamp,brand,shop,value\n"),
        "brand, shop could each name the item.*--item-column",
    ),
    Case(
        "an option for no column", text(rows()), "no column 'sold'; it has item_id", {"roles": Roles(target="sold")}
    ),
    Case("a dimension that is not there", text(rows()), "no column 'store'", {"roles": Roles(dimensions=("store",))}),
    Case(
        "one bad number of few",
        text(rows(8, line_4="a,2024-01-03,many")),
        "line 4.*target_value: 'many' is no number",
    ),
    Case("one bad time of few", text(rows(8, line_4="a,2024-13-03,5")), "line 4.*timestamp: '2024-13-03'.*month"),
    Case("no such day", text(rows(8, line_4="a,2024-02-30,5")), "line 4.*timestamp: '2024-02-30'.*day"),
    Case("no such hour", text(rows(8, line_4="a,2024-01-03 25:00:00,5")), "line 4.*timestamp: .*hour"),
    Case("an empty time", text(rows(8, line_4="a,,5")), "line 4.*timestamp: the timestamp is empty"),
    Case("a word for a time", text(rows(8, line_4="a,yesterday,5")), "line 4.*'yesterday' is no time such as"),
    Case("the word now", text(rows(8, line_4="a,now,5")), "line 4.*'now' is no time"),
    Case("a time in seconds", text(rows(8, line_4="a,1704240000,5")), "line 4.*'1704240000' is no time"),
    Case("an empty item", text(rows(8, line_4=",2024-01-03,5")), "line 4.*item_id: the cell is empty"),
    Case("not finite", text(rows(8, line_4="a,2024-01-03,inf")), "line 4.*'inf' is not finite"),
    Case("too large", text(rows(8, line_4="a,2024-01-03,1e305")), "line 4.*too large"),
    Case("a currency", text(rows(8, line_4="a,2024-01-03,$5")), "line 4.*has signs beside the number; write 5"),
    Case("per cent", text(rows(8, line_4="a,2024-01-03,5%")), "line 4.*has signs beside the number"),
    Case(
        "digits in groups",
        text(rows(8, line_4='a,2024-01-03,"1,200.5"')),
        "line 4.*commas between its digits; write 1200.5",
    ),
    Case("hexadecimal", text(rows(8, line_4="a,2024-01-03,0x1F")), "line 4.*'0x1F' is no number"),
    Case("an underscore", text(rows(8, line_4="a,2024-01-03,1_000")), "line 4.*'1_000' is no number"),
    Case("most rows too short", text(["a,2024-01-01"] * 9), "line 2.*2 cells are here, and the header has 3"),
    Case("most rows too long", text(["a,2024-01-01,4,5"] * 9), "line 2.*4 cells are here"),
    Case(
        "many bad rows",
        text([f"a,{d},{'x' if n % 2 else n}" for n, d in enumerate(DAYS)]),
        "line 3.*15 of 30 rows cannot be used",
    ),
    Case(
        "one bad row, to be refused",
        text(rows(line_9="a,2024-01-08,x")),
        "line 9.*'x' is no number",
        {"bad_rows": "refuse"},
    ),
    Case("no value at all", text([f"a,{d}," for d in DAYS]), "no column holds numbers|no value at all"),
    Case(
        "both orders of day and month",
        text([f"a,0{n}/02/2024,5" for n in range(1, 9)]),
        r"could be day/month/year and month/day/year.*--timestamp-format",
    ),
    Case(
        "two orders of day and month",
        text(["a,13/02/2024,5", "a,02/14/2024,5"]),
        "in some rows and month/day/year in others",
    ),
    Case(
        "summer time",
        text(["a,2024-03-30T00:00:00+01:00,5", "a,2024-03-31T00:00:00+02:00,5"]),
        r"several offsets from UTC \(\+01:00, \+02:00\)",
    ),
    Case(
        "another form than told",
        text(rows(8)),
        "line 2.*timestamp.*does not match format",
        {"timestamp_format": "%d.%m.%Y"},
    ),
    Case("a year too far", text(rows(8, line_9="a,2924-01-08,5")), "line 9.*not between the years"),
    Case("a wrong century", text(rows(line_31="a,2204-01-30,5")), "line 31.*2204-01-30.*far from the other times"),
    Case("one point each", text([f"i{n},2024-01-01,5" for n in range(9)]), "one point each; give --frequency"),
    Case(
        "times at random",
        text([f"a,2024-{m:02}-{d:02},5" for m, d in ((1, 1), (1, 4), (2, 9), (2, 11), (5, 3), (7, 1))]),
        "the frequency is not clear",
    ),
    Case(
        "an unknown frequency", text(rows()), "--frequency must be a number.*'fortnight'", {"frequency": "fortnight"}
    ),
    Case("no series in a wide table", text(DAYS, "date\n"), "no column beside date", {"layout": "wide"}),
    Case(
        "numbers that are told to be long",
        text([f"{d},4,5,6" for d in DAYS], "date,north,south,west\n"),
        "several columns hold numbers: north, south, west",
        {"layout": "long"},
    ),
    Case(
        "several bad numbers in a wide table",
        text([f"{d},4,{'x' if n < 2 else 5},6" for n, d in enumerate(DAYS)], "date,north,south,west\n"),
        "line 2, column south: 'x' is no number.*line 3, column south",
    ),
    Case("a cell without an end", text(['a,2024-01-01,"' + "x" * 200_000 + '"']), "line 2.*field larger than"),
]

WIDE = "date,north,south,west\n"

REPAIRED = [
    Case(
        "a column for each series", text([f"{d},4,5,6" for d in DAYS], WIDE), "each column is a series: north, south"
    ),
    Case(
        "two columns of series, as said",
        text([f"{d},4,5" for d in DAYS], "date,north,south\n"),
        "each column is a series: north, south",
        {"layout": "wide"},
    ),
    Case("a mark of UTF-8", b"\xef\xbb\xbf" + text(rows()).encode(), "frequency is inferred"),
    Case("UTF-16", text(rows()).encode("utf-16"), "frequency is inferred"),
    Case("gzip", gzip.compress(text(rows()).encode()), "frequency is inferred"),
    Case("Windows line ends", text(rows()).replace("\n", "\r\n"), "frequency is inferred"),
    Case("blank lines between", text(rows()).replace("\n", "\n\n"), "frequency is inferred"),
    Case("blanks around cells", text([line.replace(",", " , ") for line in rows()]), "frequency is inferred"),
    Case(
        "commas at the end",
        "item_id,timestamp,target_value,\n" + "\n".join(f"{line}," for line in rows()),
        "frequency is inferred",
    ),
    Case("semicolons", text(rows()).replace(",", ";"), "parted by ';'"),
    Case("tabs", text(rows()).replace(",", "\t"), "parted by a tab"),
    Case(
        "decimal commas",
        text([f"a;{d};{n},5" for n, d in enumerate(DAYS)], HEADER.replace(",", ";")),
        "read with a decimal comma",
    ),
    Case("no header", "\n".join(rows()), "there is no header line"),
    Case(
        "other names",
        text(rows(), "sku,ds,units\n"),
        "'sku' is the item_id; 'ds' is the timestamp; 'units' is the target_value",
    ),
    Case("capitals", text(rows(), "Item ID,Date,Sales\n"), "'Item ID' is the item_id"),
    Case("no names that tell", text(rows(), "thing,when,much\n"), "'thing' is the item_id"),
    Case("no item", text([line[2:] for line in rows()], "timestamp,target_value\n"), "all rows are one series"),
    Case(
        "a further column of texts",
        text([f"{line},north" for line in rows()], HEADER[:-1] + ",region\n"),
        "further columns part the series: region",
    ),
    Case(
        "a column to leave out",
        text([f"{line},2.5" for line in rows()], HEADER[:-1] + ",price\n"),
        "columns left out as asked: price",
        {"roles": Roles(ignored=("price",))},
    ),
    Case("a row twice", text([*rows(), "a,2024-01-05,3"]), "joined by their sum, the first on lines 6 and 32"),
    Case(
        "hours for days",
        text([f"a,{d} {h:02}:00,1" for d in DAYS for h in (6, 18)]),
        "joined by their mean",
        {"frequency": "D", "aggregate": "mean"},
    ),
    Case("a gap", text([line for n, line in enumerate(rows()) if n != 9]), "filled by the rule 'linear'"),
    Case(
        "gaps of no sales",
        text([line for n, line in enumerate(rows()) if n % 3]),
        "filled by the rule 'zero'",
        {"frequency": "D"},
    ),
    Case(
        "a gap by a number",
        text([line for n, line in enumerate(rows()) if n != 9]),
        "filled by the rule '7'",
        {"fill": "7"},
    ),
    Case("an end too early", text([*rows(), *rows(20, item="b")]), "filled by the rule 'linear' (--fill-end auto)"),
    Case("missing values", text(rows(line_5="a,2024-01-04,", line_6="a,2024-01-05,NA")), "rows without a value"),
    Case("times beside the grid", text(rows(line_5="a,2024-01-04 00:17:00,13")), "times within a step of D count"),
    Case("slashes", text([f"a,{day}/02/2024,5" for day in range(1, 29)]), "day/month/year"),
    Case("slashes of America", text([f"a,02/{day}/2024,5" for day in range(1, 29)]), "month/day/year"),
    Case(
        "a zone",
        text([line.replace(",1", "T00:00:00+05:30,1", 1) for line in rows(9)]),
        "the offset +05:30 is left out",
    ),
    Case("an item without values", text([*rows(), *(f"b,{d}," for d in DAYS)]), "b is left out"),
]

REJECTED = [
    Case(
        "a bad number in a wide table",
        text([f"{d},4,{'x' if n == 7 else 5},6" for n, d in enumerate(DAYS)], WIDE),
        "file.csv, line 9, column south: 'x' is no number",
    ),
    Case(
        "a bad time in a wide table",
        text([f"{'2024-01-32' if n == 7 else d},4,5,6" for n, d in enumerate(DAYS)], WIDE),
        "file.csv, line 9, column date: '2024-01-32'",
    ),
    Case(
        "a bad number among many",
        text(rows(line_9="a,2024-01-08,x")),
        "file.csv, line 9, column target_value: 'x' is no number",
    ),
    Case(
        "a bad time among many",
        text(rows(line_9="a,2024-01-32,5")),
        "file.csv, line 9, column timestamp: '2024-01-32'",
    ),
    Case("a row too short among many", text(rows(line_9="a,5")), "file.csv, line 9: 2 cells are here"),
    Case("a row too long among many", text(rows(line_9="a,2024-01-08,5,6")), "file.csv, line 9: 4 cells are here"),
    Case(
        "an empty item among many",
        text(rows(line_9=",2024-01-08,5")),
        "file.csv, line 9, column item_id: the cell is empty",
    ),
    Case(
        "lines within quotes",
        text(rows(line_3='"a\nb",2024-01-02,5', line_9="a,2024-01-08,x")),
        "line 10, column target_value",
    ),
]


def read(case: Case, folder: Path) -> tuple[Panel, Findings]:
    path = folder / "file.csv"
    path.write_bytes(case.content if isinstance(case.content, bytes) else case.content.encode())
    findings, settings = Findings(), Settings(horizon=2, **case.settings)
    panel, _ = intake.panel(table.read(path, findings), settings, findings)
    return panel, findings


def test_there_are_as_many_as_promised() -> None:
    assert len(REFUSED) + len(REPAIRED) + len(REJECTED) >= 60


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_cannot_be_read_is_refused_with_its_place(case: Case, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"(?s){case.says}"):
        read(case, tmp_path)


@pytest.mark.parametrize("case", REPAIRED, ids=lambda case: case.name)
def test_what_can_be_repaired_is_and_says_so(case: Case, tmp_path: Path) -> None:
    panel, findings = read(case, tmp_path)
    assert len(panel) >= 1
    assert case.says in "|".join(repair.text for repair in findings.repairs)
    assert all(len(values) == panel.end - first for first, values in zip(panel.first, panel.values, strict=True))


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: case.name)
def test_a_row_that_cannot_be_read_is_left_out_and_listed(case: Case, tmp_path: Path) -> None:
    _, findings = read(case, tmp_path)
    assert len(findings.rejections) == 1
    assert case.says in str(findings.rejections[0])


FEATURES = [
    ("no features", "item_id,timestamp\na,2024-01-01\n", "no column of features"),
    ("no times", "item_id,price\na,4.5\n", "no column holds times"),
    (
        "a bad number",
        "item_id,timestamp,price\n" + "a,2024-01-01,4.5\n" * 9 + "a,2024-01-02,x\n",
        "line 11.*price: 'x' is no number",
    ),
    (
        "too many texts",
        "item_id,timestamp,kind\n" + "".join(f"a,{d},k{n}\n" for n, d in enumerate(DAYS)),
        "a feature of texts may have 20",
    ),
]


@pytest.mark.parametrize(("name", "content", "says"), FEATURES, ids=[each[0] for each in FEATURES])
def test_related_series_are_refused_with_their_place(name: str, content: str, says: str, tmp_path: Path) -> None:
    panel, findings = read(Case("target", text(rows()), ""), tmp_path)
    path, settings = tmp_path / "related.csv", Settings(horizon=2)
    path.write_text(content)
    _, columns = intake.panel(table.read(tmp_path / "file.csv", findings), settings, findings)
    with pytest.raises(UserError, match=f"(?s)related.csv.*{says}|{says}"):
        companions.with_related(panel, table.read(path, findings), columns, settings, findings)


def test_items_without_their_column_are_refused(tmp_path: Path) -> None:
    panel, findings = read(Case("target", text(rows()), ""), tmp_path)
    _, columns = intake.panel(table.read(tmp_path / "file.csv", findings), Settings(horizon=2), findings)
    path = tmp_path / "items.csv"
    path.write_text("color,size\nred,3\n")
    with pytest.raises(UserError, match=r"items.csv has no column 'item_id'; it has color, size"):
        companions.with_items(panel, table.read(path, findings), columns, findings)


@pytest.mark.parametrize("name", ["missing.csv", "folder"])
def test_a_file_that_cannot_be_opened_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=name):
        table.read(tmp_path / name, Findings())
