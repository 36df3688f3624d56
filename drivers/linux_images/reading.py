"""From the answer of the program on the node to :class:`~xcat_ha.interfaces.ImageStates`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from xcat_ha.interfaces import ImageFile, ImageState, ImageStates, Mount, WaitingNode
from xcat_ha.models import OsImage
from xcat_ha.steps import Completed


def images_from(answer: Completed) -> ImageStates:
    """What the answer says; not known if there is none, or one that cannot be understood."""
    if not answer.ok:
        return _unknown(answer.summary)
    try:
        data = json.loads(answer.stdout)
        if not isinstance(data, dict) or "unknown" in data:
            return _unknown(str(data["unknown"]) if isinstance(data, dict) else "it is no answer of this driver's program")
        return _states(data)
    except (ValueError, TypeError, KeyError, AttributeError):
        return _unknown("its answer cannot be understood")


def _unknown(why: str) -> ImageStates:
    return ImageStates(known=False, missing={}, detail=why)


def _states(data: Mapping[str, Any]) -> ImageStates:
    waiting = tuple(
        WaitingNode(_text(one["name"]), _text(one["image"]), _text(one["state"]), _text(one["trouble"])) for one in data["waiting"]
    )
    note = data["note"] if isinstance(data["note"], dict) and isinstance(data["note"].get("images"), list) else {}
    exports = data["exports"]
    return ImageStates(
        known=True,
        missing={_text(one["name"]): _missing(one) for one in data["images"]},
        images=_images(data["images"], waiting),
        noted=_images(note.get("images", ()), ()),
        noted_at=float(note["noted_at"]) if note else None,
        waiting=waiting,
        unready=_texts(data["unready"]),
        diskless={_text(name): _text(why) for name, why in data["diskless"].items()},
        mounts=tuple(Mount(_text(one["client"]), _text(one["path"])) for one in data["mounts"]),
        exports=None if exports is None else _texts(exports),
        configured_exports=_texts(data["configured_exports"]),
        http_trouble=None if data["http_trouble"] is None else _text(data["http_trouble"]),
    )


def _missing(one: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_text(file["path"]) for file in one["files"] if file["lacking"])


def _images(found: Sequence[Mapping[str, Any]], waiting: Sequence[WaitingNode]) -> tuple[ImageState, ...]:
    return tuple(_image(one, tuple(node.name for node in waiting if node.image == one["name"] and not node.trouble)) for one in found)


def _image(one: Mapping[str, Any], nodes: tuple[str, ...]) -> ImageState:
    image = OsImage(_text(one["name"]), _text(one["provmethod"]), _text(one["osvers"]), _text(one["arch"]), nodes)
    return ImageState(image, tuple(_file(file) for file in one["files"]), _text(one["unknown"]))


def _file(file: Mapping[str, Any]) -> ImageFile:
    size = file["size"]
    if size is not None and (not isinstance(size, int) or isinstance(size, bool)):
        raise TypeError("a size is a number")
    return ImageFile(_text(file["path"]), _text(file["role"]), size, bool(file["directory"]), bool(file["needed"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError("not a list")
    return tuple(_text(value) for value in values)
