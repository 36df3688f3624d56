"""What the documentation names exists, and everything a reader may need is named."""

from __future__ import annotations

import importlib.util
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import attrs
import pytest

import xcat_ha
import xcat_ha.cli.app
from tests.lab.product import PAIR_TOML
from xcat_ha import config, config_tables, errors, registry, testing
from xcat_ha.cli.verb import XcatHa
from xcat_ha.effective import Setting
from xcat_ha.errors import ExitCode
from xcat_ha.journal import Record
from xcat_ha.models import FileSet, IdentityMode
from xcat_ha.operations import Result
from xcat_ha.planning.images import ImageReport, NodeImages
from xcat_ha.planning.requirements import Finding
from xcat_ha.problems import Problem
from xcat_ha.registry import INTERFACES, DriverInfo
from xcat_ha.status import AtWork, NodeReport, Status
from xcat_ha.steps import Command, Plan, Step
from xcat_ha.xcat.file_sets import standard_file_sets

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
EXAMPLE = DOCS / "examples/watch_pair.py"
PAGES = (REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted(DOCS.glob("*.rst")))

# A literal that has a call in it, or a line of a code block that is one; then the call itself.
_PLACE = re.compile(r"``?[^`\n]*xcat-ha [^`\n]*`?`|^ {3,}(?:# |.* -- )?xcat-ha .*$", re.MULTILINE)
_CALL = re.compile(r"(?:^|[\s`#/(])xcat-ha ([a-z][a-z-]*(?: [^`\n#\"']*)?)", re.MULTILINE)


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _verbs() -> dict[str, frozenset[str]]:
    """Verb -> its options, as the command line itself knows them."""
    found: dict[str, frozenset[str]] = {}
    for name, subcommand in XcatHa("xcat-ha")._subcommands.items():
        switches = subcommand.get()(f"xcat-ha {name}")._switches_by_name
        found[name] = frozenset(f"--{switch}" if len(switch) > 1 else f"-{switch}" for switch in switches)
    return found


def _calls() -> Iterator[tuple[str, str, list[str]]]:
    """(page, verb, its options) of every ``xcat-ha VERB …`` in literal text or a code block."""
    for page in PAGES:
        for place in _PLACE.findall(_text(page)):
            for call in _CALL.findall(place):
                verb, *words = call.split()
                yield page.name, verb, [word.strip("[]").partition("=")[0] for word in words if word.strip("[]").startswith("-")]


def test_every_call_in_the_documentation_is_one_the_command_line_knows() -> None:
    verbs = _verbs()
    calls = list(_calls())
    assert len(calls) > 40, "the pattern does not find the calls any more"
    for page, verb, options in calls:
        assert verb in verbs, f"{page}: xcat-ha {verb}"
        for option in options:
            assert option in verbs[verb], f"{page}: xcat-ha {verb} {option}"


def test_every_verb_and_option_is_documented() -> None:
    text = _text(DOCS / "cli.rst")
    everywhere = {"--help", "-h", "--version", "-v", "--help-all", "--completions"}
    for verb, options in _verbs().items():
        assert f"``xcat-ha {verb}" in text, verb
        for option in options - everywhere:
            assert option in text, f"{verb} {option}"


def test_every_contract_is_in_the_table_for_driver_authors() -> None:
    rows = set(re.findall(r"^   \* - ``(\w+Contract)``$", _text(DOCS / "drivers.rst"), re.MULTILINE))
    assert rows == {name for name in testing.__all__ if name.endswith("Contract")} - {"DriverContract"}


def test_exit_codes() -> None:
    text = _text(DOCS / "cli.rst")
    table = re.findall(r"^   \* - (\d)\n     - ``(\w+)``$", text, re.MULTILINE)
    assert [(int(code), word) for code, word in table] == [(int(code), code.name.lower()) for code in ExitCode]


# --- refusals


@pytest.fixture(scope="module")
def refusals() -> ModuleType:
    """The extension that reads them from the sources when the documentation is built."""
    return _module("refusals", DOCS / "_ext/refusals.py")


def test_every_refusal_of_the_sources_is_listed(refusals: ModuleType) -> None:
    """What is listed is read from the sources, kind by kind: so no kind may be left out."""
    listed = {word for line in re.findall(r"^\.\. refusals:: (.+)$", _text(DOCS / "refusals.rst"), re.MULTILINE) for word in line.split()}
    kinds = {one.kind for one in refusals.found()}
    assert listed == kinds


def test_the_list_of_refusals_misses_none(refusals: ModuleType) -> None:
    """Against another way of counting: every line of the sources that raises one of ours with a text."""
    sources = [path for folder in ("xcat_ha", "drivers") for path in (REPOSITORY / folder).rglob("*.py") if "testing" not in path.parts]
    said = " ".join(" ".join(one.what.split()) for one in refusals.found())
    texts = [text for path in sources for text in re.findall(r"raise \w+Error\(\s*f?\"([^\"{]{12,})", _text(path))]
    assert len(texts) > 40
    for text in texts:
        assert text.strip() in said or not _has_hint(text, sources), text


def _has_hint(text: str, sources: list[Path]) -> bool:
    """Whether it is meant for an administrator; others end in a traceback, or are caught."""
    return any(re.search(rf"{re.escape(text)}[^)]*hint=", _text(path)) for path in sources)


def test_every_kind_of_error_is_explained() -> None:
    text = _text(DOCS / "refusals.rst")
    kinds = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.XcatHaError)]
    assert len(kinds) > 12
    for name in kinds:
        assert re.search(rf"\b{name}\b", text), name
    for code in ExitCode:
        if code not in {ExitCode.DONE, ExitCode.USAGE}:
            assert f"Exit code {int(code)}:" in text


# --- configuration


def _sections(text: str) -> dict[str, str]:
    """Heading -> text up to the next heading."""
    parts = re.split(r"^(.+)\n([-=^])\2+$", text, flags=re.MULTILINE)
    return {parts[index].strip(): parts[index + 2] for index in range(1, len(parts) - 2, 3)}


def _first_cells(section: str) -> list[str]:
    return re.findall(r"^   \* - (?:\.\. _[a-z-]+:\n\n       )?``([^`]+)``", section, re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "shape"),
    [
        ("``[pair]``", config_tables.PairSection),
        ("``[nodes.ID]``", config_tables.NodeSection),
        ("``[service]``", config_tables.ServiceSection),
        ("``[witness]``", config_tables.WitnessSection),
        ("``[files.own.NAME]``", config_tables.SetSection),
    ],
)
def test_the_keys_of_the_configuration(heading: str, shape: type) -> None:
    section = _sections(_text(DOCS / "configuration.rst"))[heading]
    assert _first_cells(section) == [attribute.name for attribute in attrs.fields(shape)]
    defaults = re.findall(r"^     - (?:string|integer|number|boolean|list of strings)\n     - (.+)$", section, re.MULTILINE)
    for attribute, said in zip(attrs.fields(shape), defaults, strict=True):
        assert said.strip("`").lower() == _in_words(attribute), attribute.name


def _in_words(attribute: attrs.Attribute[object]) -> str:
    if attribute.default is attrs.NOTHING:
        return "(required)"
    if hasattr(attribute.default, "factory"):  # a list that starts empty
        return "none"
    return str(attribute.default).lower() or "none"


def test_the_drivers_their_tables_and_options() -> None:
    text = _text(DOCS / "configuration.rst")
    section = next(body for heading, body in _sections(text).items() if heading.startswith("Drivers:"))
    for table, driver in config._DRIVER_SECTIONS.items():
        assert re.search(rf"\* - ``\[{table}\]``\n     - ``{driver}``", section), table
    groups = {"database": "replication", "files": "files", "network": "identity"}
    groups |= {"services": "services", "schedule": "schedule", "fencing": "fencing", "images": "images"}
    options = set(re.findall(r"^   \* -(?: ``[a-z-]+``)?\n     - ``(\w+)``\n     - (?:\d+|\([a-z' ]+\))$", section, re.MULTILINE))
    real: set[str] = set()
    for table, driver in config._DRIVER_SECTIONS.items():
        real |= registry.driver_class(f"xcat_ha.{groups[table]}", driver).option_names
    for driver in re.findall(r"^   \* - ``(postgres-[a-z]+|mysql)``\n     - ``\w+``\n", section, re.MULTILINE):
        real |= registry.driver_class("xcat_ha.replication", driver).option_names
    assert options == real


def test_the_standard_file_sets() -> None:
    text = _text(DOCS / "configuration.rst")
    sets: tuple[FileSet, ...] = standard_file_sets(installdir="/install", tftpdir="/tftpboot", cfgloc_stays_valid=False)
    for file_set in sets:
        assert f"   * - ``{file_set.name}``" in text
    for mode in IdentityMode:
        assert f"``{mode.value}``" in text


def test_the_example_configuration_is_the_labs_and_means_something() -> None:
    text = _text(DOCS / "examples/pair.toml")
    assert text == PAIR_TOML
    pair = config.parse_pair(text, "docs/examples/pair.toml")
    assert pair.preferred == "mna"


def test_toml_in_the_documentation_is_understood() -> None:
    whole = _text(DOCS / "examples/pair.toml")
    blocks = re.findall(r"\.\. code-block:: toml\n\n((?:   .*\n|\n)+)", "".join(_text(page) for page in PAGES))
    assert blocks
    for block in blocks:
        config.parse_pair(whole + re.sub("^   ", "", block, flags=re.MULTILINE), "docs")


# --- JSON, Python, files


_SHAPES = [Status, AtWork, NodeReport, Problem, Setting, Finding, NodeImages, ImageReport, Result, Plan, Step, Command, Record, DriverInfo]


@pytest.mark.parametrize("shape", _SHAPES)
def test_the_keys_of_json(shape: type) -> None:
    section = _sections(_text(DOCS / "json.rst"))[shape.__name__]
    assert _first_cells(section) == [attribute.name for attribute in attrs.fields(shape)]


def test_the_public_api() -> None:
    text = _text(DOCS / "api.rst")
    for name in xcat_ha.__all__:
        assert re.search(rf"``{name}[`(]", text), f"{name} is not in docs/api.rst"
    methods = re.findall(r"``(\w+)\(\)``", text)
    for name in methods:
        assert hasattr(xcat_ha.ManagedPair, name) or hasattr(xcat_ha.Prepared, name) or name == "run", name
    assert {name for name in vars(xcat_ha.ManagedPair) if name.startswith(("prepare_", "open_"))} <= set(methods)


def test_entry_point_groups_and_contracts() -> None:
    import xcat_ha.testing  # noqa: PLC0415 - it needs pytest's assertion rewriting to be told first

    text = _text(DOCS / "drivers.rst")
    for group, interface in INTERFACES.items():
        assert re.search(rf"``{group}``\s+``{interface.__name__}``", text), group
    contracts = {name for name in xcat_ha.testing.__all__ if name.endswith("Contract")} - {"DriverContract"}
    assert contracts == set(_first_cells(_sections(text)["Prove it"]))
    for name in re.findall(r"from xcat_ha\.testing import (.+)$", text, re.MULTILINE):
        assert set(name.split(", ")) <= set(xcat_ha.testing.__all__)


def test_files_that_are_named_exist() -> None:
    named = [
        (page.name, path) for page in PAGES for path in re.findall(r"[`( ]((?:xcat_ha|drivers|tests|docs)/[\w./-]*\w/?)[`)]", _text(page))
    ]
    assert named
    for page, path in named:
        assert (REPOSITORY / path).exists() or path == "docs/_build/html", f"{page}: {path}"


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", _text(REPOSITORY / "Makefile"), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"^(?:   |`|.*``)?make ([a-z-]+)", _text(page), re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"


def test_nothing_of_the_workplace() -> None:
    for page in (*PAGES, EXAMPLE, DOCS / "conf.py"):
        assert not re.search("/tmp/", _text(page)), page.name


# --- the example program


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def example() -> ModuleType:
    return _module("watch_pair", EXAMPLE)


def test_the_example_says_why_it_cannot_tell(example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert example.main([str(tmp_path / "missing.toml")]) == 2
    assert "cannot be read" in capsys.readouterr().out
    broken = tmp_path / "broken.toml"
    broken.write_text("[pair]\nname = 7\n", encoding="utf-8")
    assert example.main([str(broken)]) == 2
    assert "pair.name" in capsys.readouterr().out


def test_the_example_as_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(tmp_path / "missing.toml")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert ended.value.code == 2


# --- Sphinx


def test_sphinx_builds_without_a_warning(tmp_path: Path) -> None:
    where = ("-d", str(tmp_path / "trees"), str(DOCS), str(tmp_path / "html"))
    argv = (sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-b", "html", *where)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html/index.html").exists()
