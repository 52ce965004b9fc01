"""The order of the house, as far as import-linter does not see it."""

import ast
import re
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from provenance.services.jobs.kinds import KINDS

ROOT = Path(__file__).resolve().parent.parent
APPS = ("config", "provenance", "audits")


def sources(*folders: str, root: Path = ROOT) -> dict[str, Path]:
    """Our modules below these folders, by name, without migrations."""
    paths = (path for folder in folders for path in sorted((root / folder).rglob("*.py")))
    return {module_name(path, root): path for path in paths if "migrations" not in path.parts}


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(module: str, path: Path) -> Iterator[tuple[str, str]]:
    """(package, name) of every import, wherever it stands: at the top, in a function, for types alone."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((source, alias.name) for alias in node.names)


def import_graph(modules: dict[str, Path]) -> dict[str, set[str]]:
    """What each of these modules imports of the others."""
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        named = {
            f"{source}.{name}" if f"{source}.{name}" in modules else source for source, name in imported(module, path)
        }
        graph[module] = (named & modules.keys()) - {module}
    return graph


def test_no_import_goes_in_a_circle():
    """Not even in functions or for types alone: a circle is two rooms that are one."""
    try:
        TopologicalSorter(import_graph(sources(*APPS))).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("late", ["def f():\n    from app import one\n", "if TYPE_CHECKING:\n    from .one import x\n"])
def test_circles_of_late_imports_are_found(tmp_path, late):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "one.py").write_text("import app.two\n")
    (tmp_path / "app" / "two.py").write_text(late)
    with pytest.raises(CycleError):
        TopologicalSorter(import_graph(sources("app", root=tmp_path))).prepare()


def strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_provenance_names_nothing_of_audits():
    """Neither its modules, nor its jobs, nor its pages: what shows both apps stands in audits or in config."""
    jobs = {kind.name for kind in KINDS.values() if kind.work.__module__.startswith("audits.")}
    pages = pages_of_audits()
    assert {"audit.run", "audit_list", "overview"} <= jobs | pages
    named = {
        f"{module}: {text[:60]}"
        for module, path in sources("provenance").items()
        for text in strings(path)
        if text in jobs | pages | {"audits"} or re.search(r"\baudits[./][a-z]", text)
    }
    assert not named


def pages_of_audits() -> set[str]:
    from audits.urls import urlpatterns

    return {pattern.name for part in urlpatterns for pattern in part.url_patterns}


# Folders of templates that are pages of audits; all others are of provenance, or shared.
OF_AUDITS = {
    *("audits", "calibrations", "clusterings", "models", "overview", "pilots", "plans", "reports", "robustness"),
    "trainings",
}


def test_templates_of_provenance_link_to_no_page_of_audits():
    """Where such a page offers something of audits, it includes a part that audits keeps in a folder of its own."""
    pages, folder = pages_of_audits(), ROOT / "templates"
    linked = {
        f"{path.relative_to(folder)}: {name}"
        for path in folder.rglob("*.html")
        if path.relative_to(folder).parts[0] not in OF_AUDITS
        for name in re.findall(r"""\burl ['"](\w+)""", path.read_text())
        if name in pages
    }
    assert not linked


def test_template_tags_know_neither_rows_nor_services():
    """A tag shows what a view gave it; a page's queries are seen in its view."""
    asked = {
        f"{module} imports {source}"
        for module, path in sources("provenance", "audits").items()
        if "templatetags" in module.split(".")
        for source, _ in imported(module, path)
        if {"models", "services"} & set(source.split("."))
    }
    assert not asked


FACES = {"urls", "management", "views", "forms", "templatetags", "context", "tasks", "services", "models"}


def test_all_of_the_core_is_forbidden_to_know_django():
    """import-linter must be given every package that is no face, no service and no row."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    forbidden = next(contract for contract in contracts if contract["type"] == "forbidden")
    below = {".".join(name.split(".")[:2]) for name in sources("provenance", "audits") if "." in name}
    core = {name for name in below if name.split(".")[1] not in FACES | {"apps"}}
    assert core == set(forbidden["source_modules"])
    assert not forbidden.get("allow_indirect_imports")


MOST_WORDS = 75  # of a docstring; about 60 are meant, and theory stands in docs/method.md


def long_docstrings(source: str) -> Iterator[str]:
    """Names of the modules, classes and functions whose docstrings have too many words."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            words = len((ast.get_docstring(node) or "").split())
            if words > MOST_WORDS:
                yield f"{getattr(node, 'name', 'module')} has {words} words"


def test_docstrings_are_short():
    modules = sources("provenance", "audits")
    assert [f"{module}: {name}" for module, path in modules.items() for name in long_docstrings(path.read_text())] == []


@pytest.mark.parametrize("above", ["", "class A:\n ", "def f():\n ", "async def f():\n "])
def test_long_docstrings_are_found(above):
    assert not list(long_docstrings(f"{above}'{'word ' * MOST_WORDS}'"))
    assert len(list(long_docstrings(f"{above}'{'word ' * (MOST_WORDS + 1)}'"))) == 1
