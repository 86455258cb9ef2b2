"""Files, links, modules and the version that the documents name exist."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from eqedge.convert.data.indexing import index_stead
from eqedge.edge.replay.stead import SteadFile

from .conftest import ROOT

ROOMS = ("convert", "docs", "edge", "examples", "firmware_bridge", "models", "studies", "tests")
PATHS = {
    str(path.relative_to(ROOT))
    for room in ROOMS
    for path in (ROOT / room).rglob("*")
    if "__pycache__" not in path.parts
} | {"__init__.py", "__main__.py"}
PAGES = sorted(name for name in PATHS if name.endswith(".md"))
PAGES += ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
HOMES = "", "edge", "convert/data", "convert/training", "convert/microcontroller", "firmware_bridge"
"""Where a page may mean a module that it names by its file alone."""


def lines(page):
    """Yield (number, text) of the lines of a page."""
    yield from enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), start=1)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    """A relative link or picture is a file of the repository, beside the page."""
    for number, line in lines(page):
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)[^)]*\)", line):
            assert ((ROOT / page).parent / target).exists(), f"{page}:{number}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists(page):
    """What looks like a path into the repository, or like a source file, is one."""
    path = re.compile(rf"(?<![\w/.<-])((?:{'|'.join(ROOMS)})/[\w./-]*\w|[\w-]+\.py)(?![\w*])")
    for number, line in lines(page):
        for name in path.findall(line):
            homes = [str(Path(home) / name) for home in (*HOMES, Path(page).parent)]
            assert {*PATHS, *ROOMS}.intersection(homes), f"{page}:{number}: {name}"


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_is_run_exists(page):
    """`python -m NAME` names a module of the repository."""
    for number, line in lines(page):
        for name in re.findall(r"python3? -m ((?:eqedge|studies|tests)[\w.]*)", line):
            file = name.removeprefix("eqedge.").replace(".", "/")
            exists = f"{file}.py" in PATHS or f"{file}/__main__.py" in PATHS
            assert exists or name == "studies.NAME", f"{page}:{number}: {name}"


@pytest.mark.parametrize("page", PAGES)
def test_every_name_that_is_imported_exists(page):
    """`from eqedge.MODULE import NAME` in a page's code names what that module defines."""
    for number, line in lines(page):
        for module, names in re.findall(r"^\s*from eqedge\.([\w.]+) import ([\w, ]+)$", line):
            file = ROOT / f"{module.replace('.', '/')}.py"
            defined = {
                getattr(target, "name", getattr(target, "id", ""))
                for node in ast.parse(file.read_text(encoding="utf-8")).body
                for target in (node, *getattr(node, "targets", ()))
            }
            for name in names.split(", "):
                assert name in defined, f"{page}:{number}: {module}.{name}"


def test_the_index_lists_every_page():
    """`docs/README.md` names each page of `docs/`, and `docs/decisions/README.md` each decision."""
    for folder in ("docs", "docs/decisions"):
        index = (ROOT / folder / "README.md").read_text(encoding="utf-8")
        for page in (ROOT / folder).glob("*.md"):
            assert page.name == "README.md" or f"({page.name})" in index, page


def test_the_changelog_has_the_version():
    """The newest release in it is pyproject's, which nothing else states."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", headings[1])


def test_the_script_of_the_data_page_writes_files_that_are_read(tmp_path, monkeypatch):
    """Training's index and a replay both read every record, with its labels and its station."""
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", page, re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "docs/data.md", "exec"), {})
    index = index_stead("mine.hdf5")
    assert not index.skipped
    assert sorted((r.station, r.kind, r.p_arrival_sample, r.event) for r in index.records) == [
        ("AAA.XX", "event", 3000, "2026-0001"),
        ("AAA.XX", "noise", None, ""),
        ("BBB.XX", "event", 3000, "2026-0001"),
        ("BBB.XX", "noise", None, ""),
    ]
    with SteadFile("mine.hdf5") as file:
        trace = file.read("AAA.XX_20260101010000_EV")
    assert (trace.p_arrival_sample, trace.s_arrival_sample) == (3000, 3600)
    assert (trace.coda_end_sample, trace.rate_hz, trace.manual) == (8000, 100.0, True)
    assert trace.waveform.shape == (9000, 3)
    assert trace.start_time_ns == 1_767_229_200_000_000_000
