"""nimnodeset, mkdsklsnode: xCAT's commands for AIX nodes; lsdef for osimages, below a temporary root only."""

from __future__ import annotations

import io

from ..box import Box, Stop
from ..nim import database as db
from ..nim.kinds import KINDS
from ..xcatdefs import images
from .nim import nim

RESOURCES = tuple(KINDS)
SEVERAL = {"script", "installp_bundle"}


def nimnodeset(box: Box) -> int:
    """Let standalone nodes be installed at their next boot."""
    return _prepare(box, {"standalone"}, "AIX/NIM nodes were initialized.")


def mkdsklsnode(box: Box) -> int:
    """Let diskless nodes boot from the network."""
    return _prepare(box, {"diskless", "dataless"}, "AIX/NIM diskless nodes were initialized.")


def _prepare(box: Box, types: set[str], done: str) -> int:
    flags, operands = box.options("fi:Vbdkl:Snp", f"Usage: {box.name} [-f] [-i osimage_name] noderange")
    given, name = dict(flags), box.kernel.hostname().partition(".")[0]
    image = images().get(given.get("i", ""))
    if image is None or not operands:
        raise box.fail(f"Error: [{name}]: Could not find an xCAT definition for '{given.get('i', '')}'.")
    if image.get("nimtype") not in types:
        raise box.fail(f"Error: [{name}]: The {box.name} command does not support nimtype '{image.get('nimtype', '')}'.")
    failed = [node for node in operands[0].split(",") if not _prepared(box, node, image, force="f" in given)]
    if failed:
        box.err(f"Error: [{name}]: The following node(s) could not be initialized.")
        raise box.fail(", ".join(failed))
    box.out(f"{name}: {done}")
    return 0


def _prepared(box: Box, node: str, image: dict[str, str], *, force: bool) -> bool:
    """One node: defined in NIM, free, its resources allocated."""
    objects = db.store().read().get("objects", {})
    type_name = image["nimtype"]
    if node not in objects:
        words = [
            "-Fo",
            "define",
            "-t",
            type_name,
            "-a",
            f"if1=find_net {node} 0 ent",
            "-a",
            "cable_type1=N/A",
            "-a",
            "netboot_kernel=64",
            node,
        ]
        if not _nim(box, words):
            return False
    elif type_name != "standalone" and not force:
        box.err(f"Error: The node '{node}' is already defined. Use the force option to reinitialize.")
        return False
    elif not db.get(objects[node], "Cstate").startswith("ready") and not force:
        state = db.get(objects[node], "Cstate")
        box.err(f"Error: The NIM machine named {node} is not in the ready state. Cstate is '{state}'. Use the -f flag to force it.")
        return False
    if (
        force
        and node in objects
        and not (_nim(box, ["-Fo", "reset", "-a", "force=yes", node]) and _nim(box, ["-Fo", "deallocate", "-a", "subclass=all", node]))
    ):
        return False
    wanted = [
        (kind, one) for kind in RESOURCES if image.get(kind) for one in (image[kind].split(",") if kind in SEVERAL else [image[kind]])
    ]
    operation = {"standalone": "bos_inst", "diskless": "dkls_init", "dataless": "dtls_init"}[type_name]
    source = ["-a", f"source={image.get('nimmethod', 'rte')}"] if operation == "bos_inst" else []
    return _nim(box, ["-Fo", operation, *source, *(word for kind, one in wanted for word in ("-a", f"{kind}={one}")), node])


def _nim(box: Box, words: list[str]) -> bool:
    wrong = io.StringIO()
    try:
        return nim(Box("nim", words, io.StringIO(), wrong, box.stdin)) == 0
    except Stop:
        box.err(wrong.getvalue().rstrip("\n"))
        return False


def lsdef(box: Box) -> int:
    """-t osimage, with -l, -i, -z and names, as xCAT prints it."""
    flags, operands = box.options("t:o:i:lzswS", "Usage: lsdef -t osimage [-l] [-z] [-i attr-list] [names]")
    given, known = dict(flags), images()
    if given.get("t") != "osimage":
        raise box.fail("Error: only osimages are on file here.")
    names = ",".join(filter(None, [given.get("o", ""), *operands]))
    wanted = sorted(known) if not names else names.split(",")
    if not known:
        box.out("Could not find any objects of type 'osimage'.")
    code = 0
    for name in wanted:
        if name not in known:
            box.err(f"Error: Could not find an object named '{name}' of type 'osimage'.")
            code = 1
        else:
            _show(box, name, known[name], given, named=bool(names))
    return code


def _show(box: Box, name: str, image: dict[str, str], given: dict[str, str], *, named: bool) -> None:
    if not {"l", "i", "z"} & set(given) and not named:
        box.out(f"{name}  (osimage)")
        return
    box.out(f"\n{name}:\n    objtype=osimage" if "z" in given else f"Object name: {name}")
    for attribute in sorted(given["i"].split(",") if "i" in given else image):
        box.out(f"    {attribute}={image.get(attribute, '')}")
