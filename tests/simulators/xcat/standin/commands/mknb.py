"""mknb: the discovery image and the files that boot it."""

from __future__ import annotations

import gzip
import shutil

from .. import net, paths
from ..request import Request

SOURCE = "/opt/xcat/share/xcat/netboot/genesis"


def mknb(request: Request) -> None:
    words = [w for w in request.args if not w.startswith("-")]
    if not words:
        request.err("Error: Need to specify architecture (x86, x86_64 or ppc64)", 0)
        return
    arch = "ppc64" if words[0] == "ppc64le" else words[0]
    source = paths.at(f"{SOURCE}/{arch}")
    tftp = request.database.site("tftpdir", "/tftpboot")
    if not source.is_dir():
        raise request.stop(f"Unable to find directory {SOURCE}/{arch} or {SOURCE}/{arch}/fs")
    name = f"genesis.fs.{arch}.lzma"
    request.out(f"Creating {name} in {tftp}/xcat")
    target = paths.at(f"{tftp}/xcat")
    target.mkdir(parents=True, exist_ok=True)
    content = b"".join(p.read_bytes() for p in sorted(source.rglob("*")) if p.is_file())
    (target / name).write_bytes(gzip.compress(content, mtime=0))
    shutil.copyfile(source / "kernel", target / f"genesis.kernel.{arch}")
    _nets(request, arch, tftp)
    request.pace.wait_until("mknb")


def _nets(request: Request, arch: str, tftp: str) -> None:
    """A boot file per attached network; xcatd= is site.master."""
    master = request.database.site("master")
    address = net.resolve(master) or master
    arguments = f"quiet xcatd={address}:{request.database.site('xcatdport', '3001')}"
    for own in net.local_addresses():
        if own.address.startswith("127."):
            continue
        name = f"{own.network.network_address}_{own.bits}"
        script = (
            f"#!gpxe\nimgfetch -n kernel http://${{next-server}}{tftp}/xcat/genesis.kernel.{arch}"
            f" {arguments} destiny=discover\nimgfetch -n nbfs"
            f" http://${{next-server}}{tftp}/xcat/genesis.fs.{arch}.lzma\n"
            "imgload kernel\nimgexec kernel\n"
        )
        for place in (f"xcat/xnba/nets/{name}", f"xcat/xnba/nets/{name}.uefi"):
            file = paths.at(f"{tftp}/{place}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(script)
