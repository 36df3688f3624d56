"""/etc/exports, what is meant to be exported, and /etc/xtab, what is exported now. The latter is lost at boot."""

from __future__ import annotations

from . import paths

EXPORTS = "/etc/exports"
XTAB = "/etc/xtab"


def read(path: str) -> dict[str, str]:
    """Directory -> its options, from either file."""
    place = paths.at(path)
    text = place.read_text(encoding="utf-8") if place.exists() else ""
    rows = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {row[0]: row[1].strip() if len(row) > 1 else "" for row in rows}


def write(path: str, rows: dict[str, str]) -> None:
    """Replace a file."""
    place = paths.at(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("".join(f"{name} {options}".rstrip() + "\n" for name, options in rows.items()), encoding="utf-8")


def forget_all() -> None:
    """Nothing is exported any more."""
    paths.at(XTAB).unlink(missing_ok=True)


def clash(directory: str) -> str | None:
    """The exported directory above or below this one, which makes exporting it impossible."""
    for other in read(XTAB):
        if other != directory and (other.startswith(f"{directory}/") or directory.startswith(f"{other}/")):
            return other
    return None
