"""Documents say what is there: links, anchors, commands, options, settings and scripts that they name exist."""

import hashlib
import itertools
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FIGURES = [ROOT / "docs" / name for name in ("strength.md", "error-rates.md", "speed.md", "structure.md")]

FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
OUR_PATH = re.compile(r"(?<![\w./-])(?:audits|config|docker|docs|provenance|static|templates|tests|\.ci)/[\w./-]*")
ELSEWHERE = re.compile(r"(?<![\w.])/(?:work|tmp|home|root|opt|usr|Users|mnt)\b")
SETTING = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|DEBUG")
# Read by Python and the shell themselves, or words of SQL; NAME_FILE stands for all names.
NOT_OURS = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "NUMBA_CACHE_DIR", "NAME_FILE"}


def named(paths: list[Path]) -> list[pytest.param]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


@cache
def prose(path: Path) -> str:
    return FENCED.sub("", path.read_text())


@cache
def code(path: Path) -> list[str]:
    """Every code span, and every line of the code blocks with its continuations."""
    blocks = "\n".join(FENCED.findall(path.read_text())).replace("\\\n", " ")
    return [*SPAN.findall(prose(path)), *blocks.splitlines()]


@cache
def anchors(path: Path) -> list[str]:
    """As GitHub makes them: lower case, without punctuation, hyphens for spaces, numbered where they repeat."""
    text, found = prose(path), list[str]()
    for heading in HEADING.findall(text):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        repeated = sum(
            other == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", other) is not None for other in found
        )
        found.append(f"{anchor}-{repeated}" if repeated else anchor)
    return found + re.findall(r'<a id="([^"]+)"></a>', text)


@pytest.mark.parametrize("document", named(DOCUMENTS))
def test_every_link_and_anchor_leads_somewhere(document: Path):
    broken = []
    for target in LINK.findall(SPAN.sub("", prose(document))):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        place = (document.parent / file).resolve() if file else document
        if not place.is_file() or (anchor and anchor not in anchors(place)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("document", named(DOCUMENTS))
def test_no_anchor_stands_twice(document: Path):
    found = anchors(document)
    assert sorted(set(found)) == sorted(found)


def test_anchors_are_those_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text('# A `b`: c & d\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n<a id="fixed"></a>\n')
    assert anchors(page) == ["a-b-c--d", "twice", "twice-1", "fixed"]


def test_every_document_can_be_reached_from_the_readme():
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in reached:
            continue
        reached.add(document)
        files = (target.partition("#")[0] for target in LINK.findall(prose(document)))
        waiting += [place for file in files if (place := (document.parent / file).resolve()) in DOCUMENTS]
    assert reached == set(DOCUMENTS)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


@pytest.mark.parametrize("document", named(DOCUMENTS))
def test_no_line_names_a_place_on_somebodys_machine(document: Path):
    assert [line for line in document.read_text().splitlines() if ELSEWHERE.search(line)] == []


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("document", named(DOCUMENTS))
def test_every_make_target_exists(document: Path):
    said = {target for line in code(document) for target in re.findall(r"^(?:.*[;&|] *)?make ([a-z][a-z-]*)", line)}
    assert said <= make_targets()


def test_hooks_before_a_commit_call_what_people_call():
    entries = re.findall(r"^ +entry: (.+)$", (ROOT / ".pre-commit-config.yaml").read_text(), re.MULTILINE)
    assert entries
    assert {entry.removeprefix("make ") for entry in entries} <= make_targets()


def commands_of(line: str) -> list[tuple[str, str]]:
    """(command, what follows it) for `manage.py COMMAND …`, and for `manage COMMAND …` of scripts that say so."""
    return re.findall(r"\bmanage(?:\.py)? ([a-z_]+)([^`;|]*)", line)


@pytest.mark.parametrize("document", named(DOCUMENTS))
def test_every_command_and_its_options_exist(document: Path):
    unknown = []
    for line in code(document):
        for command, rest in commands_of(line):
            if command not in get_commands():
                unknown.append(command)
                continue
            options = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
            known = set(options._option_string_actions)
            unknown += [f"{command} {option}" for option in re.findall(r"--[a-z][a-z-]*", rest) if option not in known]
    assert unknown == []


def test_every_command_of_ours_is_in_the_table():
    ours = {name for name, app in get_commands().items() if app in ("provenance", "audits")}
    listed = re.findall(r"^\| `manage\.py ([a-z_]+)` \|", (ROOT / "docs/using.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(ours)


def settings_that_are_read() -> set[str]:
    """By config/settings.py, and by the files of a deployment."""
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_0-9]+)"', (ROOT / "config/settings.py").read_text()))
    for file in ("compose.yaml", "compose.gpu.yaml"):
        text = (ROOT / "docker" / file).read_text()
        read |= set(re.findall(r"^ +([A-Z][A-Z_0-9]+):", text, re.MULTILINE)) | set(
            re.findall(r"\$\{([A-Z_0-9]+)", text)
        )
    read |= set(re.findall(r"^(?:ENV)? +([A-Z_0-9]+)=", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE))
    # The compose file hands secrets over in files: NAME_FILE is a way to say NAME.
    read = {name if name == "TOUCHMARK_KEY_FILE" else name.removesuffix("_FILE") for name in read}
    return read - NOT_OURS


def test_every_setting_is_described_and_every_described_one_exists():
    text = (ROOT / "docs/deployment.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    described = {name for cell in rows for name in SPAN.findall(cell) if SETTING.fullmatch(name)}
    said = {name for line in code(ROOT / "docs/deployment.md") for name in SETTING.findall(line)} - NOT_OURS
    assert described == settings_that_are_read()
    assert said <= described


@pytest.mark.parametrize("document", named(DOCUMENTS))
def test_every_file_and_folder_of_ours_exists(document: Path):
    said = {path.rstrip(".") for line in code(document) for path in OUR_PATH.findall(line)}
    drawn = {path for path in said if path.startswith("docker/secrets")}  # by a script, for each deployment
    assert [path for path in sorted(said - drawn) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", named(DOCUMENTS))
def test_every_module_that_is_run_exists(document: Path):
    said = {name for line in code(document) for name in re.findall(r"-m ((?:tests|audits|provenance)\.[\w.]+)", line)}
    assert [name for name in sorted(said) if not (ROOT / f"{name.replace('.', '/')}.py").is_file()] == []


@pytest.mark.parametrize("document", named(FIGURES))
def test_every_table_of_figures_names_scripts_that_exist(document: Path):
    said = {name for span in code(document) for name in re.findall(r"(?<![\w/])(\w+\.py)\b", span)} - {"manage.py"}
    assert [name for name in sorted(said) if not (ROOT / "tests/benchmarks" / name).is_file()] == []
    assert any("tests/benchmarks/" in span or "tests.benchmarks." in span for span in code(document))


def test_the_method_is_numbered_without_gaps_and_each_section_has_a_fixed_anchor():
    lines = (ROOT / "docs/method.md").read_text().splitlines()
    numbers = []
    for before, line in itertools.pairwise(lines):
        if found := re.match(r"#{2,3} (\d+)(?:\.(\d+))?\.? ", line):
            number = tuple(int(part) for part in found.groups() if part)
            assert before == f'<a id="section-{"-".join(map(str, number))}"></a>'
            numbers.append(number)
    expected = []
    for chapter in range(1, len({number[0] for number in numbers}) + 1):
        parts = sum(number[0] == chapter and len(number) == 2 for number in numbers)
        expected += [(chapter,), *((chapter, part) for part in range(1, parts + 1))]
    assert numbers == expected


def test_decisions_are_numbered_without_gaps_and_listed():
    records = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    assert LINK.findall((ROOT / "docs/decisions/README.md").read_text()) == records


def test_the_licence_is_the_whole_text_and_the_one_that_the_package_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    # As the Apache Software Foundation publishes it, unchanged.
    published = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == published


def test_the_newest_change_is_of_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", version]
