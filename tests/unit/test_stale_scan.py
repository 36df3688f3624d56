"""The program that looks for stale pointers on a node, in a tree of the test's own, with tables as tabdump prints them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from xcat_ha.xcat.pointing import GENERATED_CELL, KEYS
from xcat_ha.xcat.renewing import TABLES, Nodes
from xcat_ha.xcat.tables import TableError, rows_of, site_of

OWN, SERVICE = "10.77.0.21", "10.77.0.11"
ASKED = ("--word=10.77.0.21", "--word=10.77.0.22", "--name=mna", "--name=mnb")
SITE = (
    '#key,value,comments,disable\n"master","10.77.0.11",,\n"domain","lab.example",,\n"tftpdir","/tftpboot",,\n"installdir","/install",,\n'
)
HEADERS = {
    "networks": "netname,net,mask,gateway,dhcpserver,tftpserver,nameservers,ntpservers,logservers,comments,disable",
    "noderes": "node,servicenode,tftpserver,nfsserver,xcatmaster,monserver,nimserver,nameservers,comments,disable",
    "nodelist": "node,groups,status,comments,disable",
    "chain": "node,currstate,comments,disable",
    "nodetype": "node,provmethod,comments,disable",
    "osimage": "imagename,provmethod,osvers,osarch,profile,environvar,comments,disable",
    "mac": "node,mac,comments,disable",
    "bootparams": "node,kcmdline,addkcmdline,comments,disable",
    "policy": "priority,name,host,commands,noderange,parameters,time,rule,comments,disable",
}
CERTIFICATE = """\
Certificate:
        Subject: CN = mn1
            X509v3 Subject Alternative Name:
                DNS:mn1.lab.example, DNS:mn1
"""


class Tree:
    """A node below a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.put("/opt/xcat/sbin/tabdump", '#!/bin/sh\nexec cat "$XCAT_HA_ROOT/tables/$1"\n').chmod(0o755)
        self.put("/opt/xcat/sbin/nodeset", '#!/bin/sh\necho "$@" >> "$XCAT_HA_ROOT/nodeset"\n').chmod(0o755)
        for table in (*KEYS, "policy", *TABLES, GENERATED_CELL[0]):
            self.table(table)
        self.put("/tables/site", SITE)
        self.put("/etc/xcat/cert/server-cert.pem", CERTIFICATE)

    def put(self, path: str, text: str) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def table(self, name: str, *rows: dict[str, str]) -> None:
        columns = HEADERS.get(name, ",".join((*KEYS.get(name, ("node",)), "value"))).split(",")
        lines = [",".join(f'"{row[column]}"' if row.get(column) else "" for column in columns) for row in rows]
        self.put(f"/tables/{name}", "".join(f"{line}\n" for line in (f"#{','.join(columns)}", *lines)))

    def node(self, name: str, *, state: str, image: str = "img", status: str = "", mac: str = "02:00:00:00:00:01") -> None:
        self.table("nodelist", {"node": name, "groups": "all", "status": status}, {"node": "mna", "groups": "__mgmtnode,all"})
        self.table("chain", {"node": name, "currstate": state})
        self.table("nodetype", {"node": "all", "provmethod": image})
        self.table("osimage", {"imagename": "img", "provmethod": "install", "osvers": "rocky9", "osarch": "x86_64", "profile": "compute"})
        self.table("mac", {"node": name, "mac": mac})

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "XCAT_HA_ROOT": str(self.root)}
        argv = (sys.executable, "-m", "xcat_ha.xcat.stale_scan", *words)
        return subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)

    def look(self) -> dict[str, Any]:
        done = self.run("look", *ASKED)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def verdict(self, *words: str) -> str:
        done = self.run(words[0], *ASKED, *words[1:])
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_clean_node(tree: Tree) -> None:
    found = tree.look()
    assert (found["rows"], found["generated"], found["table_troubles"], found["file_troubles"]) == ([], [], {}, {})
    assert found["certificate"] == {"path": "/etc/xcat/cert/server-cert.pem", "cn": "mn1", "alternatives": ["mn1.lab.example", "mn1"]}
    assert found["cfgloc"] == {"path": "/etc/xcat/cfgloc", "host": ""}


def test_rows_that_name_a_node_are_shown_and_no_others(tree: Tree) -> None:
    net = {"net": "10.77.0.0", "mask": "255.255.0.0"}
    tree.table("networks", {"netname": "mna", **net, "gateway": OWN, "comments": "mna"}, {**net, "tftpserver": SERVICE})
    tree.table(
        "noderes",
        {"node": "compute", "xcatmaster": "mna.lab.example"},
        {"node": "off", "xcatmaster": "mna", "disable": "1"},
        {"node": "mna", "xcatmaster": "mna-data"},
    )
    rows = [(row["table"], row["key"], row["column"], row["value"], row["word"]) for row in tree.look()["rows"]]
    assert rows == [
        ("networks", net, "gateway", OWN, OWN),
        ("noderes", {"node": "compute"}, "xcatmaster", "mna.lab.example", "mna.lab.example"),
    ]


def test_a_free_text_is_shown_only_around_the_word(tree: Tree) -> None:
    secret = "password=secret-of-the-site " + "x" * 50
    tree.table("osimage", {"imagename": "img", "environvar": f"{secret} SERVER={OWN}"})
    (row,) = tree.look()["rows"]
    assert OWN in row["value"]
    assert "secret" not in row["value"]


def test_what_a_node_waits_for_is_not_known_while_its_table_does_not_answer(tree: Tree) -> None:
    tree.node("cn1", state="install rocky9-x86_64-compute")
    tree.put("/tftpboot/boot/grub2/cn1", f"set root=tftp,{OWN}\n")
    assert tree.look()["generated"][0]["trouble"] == ""
    (tree.root / "tables/chain").unlink()
    found = tree.look()
    assert "chain" in found["table_troubles"]
    assert "chain" in found["generated"][0]["trouble"]
    assert "state is none" not in found["generated"][0]["trouble"]


def test_a_table_that_does_not_answer_is_named(tree: Tree) -> None:
    (tree.root / "tables/noderes").unlink()
    assert list(tree.look()["table_troubles"]) == ["noderes"]
    tree.put("/tables/site", "#key,value,comments,disable\n")
    found = tree.look()
    assert "no master" in found["table_troubles"]["site"]
    assert found["file_troubles"]


def test_files_are_shown_once_with_their_node_however_many_names_they_have(tree: Tree) -> None:
    tree.node("cn1", state="install rocky9-x86_64-compute")
    file = tree.put("/tftpboot/boot/grub2/cn1", f"#install x\nset timeout=5\nset root=tftp,{OWN}\n")
    os.link(file, file.with_name("grub.cfg-0A4D0101"))
    file.with_name("a-link").symlink_to("cn1")
    tree.put("/install/autoinst/cn1.post", "wget http://mna:80/x\n")
    tree.put("/tftpboot/boot/grub2/grub2.x86_64", f"\0 {OWN}")
    tree.put("/tftpboot/boot/grub2/cn2", f"# {OWN} in a comment\nset root=tftp,{SERVICE}\n")
    found = tree.look()["generated"]
    assert [(one["path"], one["line"], one["text"], one["node"], one["trouble"]) for one in found] == [
        ("/install/autoinst/cn1.post", 1, "wget http://mna:80/x", "cn1", ""),
        ("/tftpboot/boot/grub2/cn1", 3, f"set root=tftp,{OWN}", "cn1", ""),
    ]


def test_a_directory_that_cannot_be_read_and_a_file_too_long_are_named(tree: Tree) -> None:
    tree.put("/install/autoinst", "not a directory")
    tree.put("/tftpboot/pxelinux.cfg/long", "x\n" * 200_000)
    troubles = tree.look()["file_troubles"]
    assert set(troubles) == {"/install/autoinst", "/tftpboot/pxelinux.cfg/long"}


def test_the_dhcp_configuration_unless_it_is_somebody_elses(tree: Tree) -> None:
    tree.put("/etc/dhcp/dhcpd.conf", f"# host mna\nsubnet x {{ next-server {OWN}; }}\n")
    assert [one["kind"] for one in tree.look()["generated"]] == ["dhcp"]
    assert tree.verdict("renewed", "--kind=dhcp").startswith("FAILS")
    tree.put("/tables/site", SITE + '"externaldhcpservers","10.0.0.1",,\n')
    assert tree.look()["generated"] == []


def test_cfgloc_is_read_up_to_the_password(tree: Tree) -> None:
    tree.put("/etc/xcat/cfgloc", f"Pg:dbname=xcatdb;host={OWN}|xcatadm|pw;host=mnb\n")
    assert tree.look()["cfgloc"]["host"] == OWN
    done = tree.run("cfgloc")
    assert json.loads(done.stdout) == {"path": "/etc/xcat/cfgloc", "host": OWN}
    tree.put("/etc/xcat/cfgloc", "Pg:dbname=xcatdb|xcatadm|host=mna\n")
    assert tree.look()["cfgloc"]["host"] == ""


def test_a_certificate_without_text_is_unknown(tree: Tree) -> None:
    tree.put("/etc/xcat/cert/server-cert.pem", "nonsense")
    assert "trouble" in tree.look()["certificate"]


def test_a_cell(tree: Tree) -> None:
    cell = ("cell", "--table=noderes", "--key=node=compute", "--column=xcatmaster")
    assert tree.verdict(*cell) == "HOLDS"
    tree.table("noderes", {"node": "compute", "xcatmaster": OWN})
    assert tree.verdict(*cell).startswith("FAILS")
    assert tree.verdict(*cell, f"--is={OWN}") == "HOLDS"
    assert tree.verdict(*cell, "--is=other").startswith("FAILS: it is")
    (tree.root / "tables/noderes").unlink()
    assert tree.verdict(*cell).startswith("UNKNOWN")


def test_a_rule(tree: Tree) -> None:
    rule = ("policy", "--row=name=mn1", "--row=rule=trusted")
    assert tree.verdict(*rule).startswith("FAILS")
    tree.table("policy", {"priority": "1.2", "name": "mn1", "rule": "allow"}, {"priority": "1.3", "name": "mn1", "rule": "trusted"})
    assert tree.verdict(*rule) == "HOLDS"


def test_nodeset_is_run_for_those_that_wait_only(tree: Tree) -> None:
    tree.put("/tftpboot/boot/grub2/cn1", f"set root=tftp,{OWN}\n")
    tree.node("cn1", state="install rocky9-x86_64-compute", status="booted")
    assert tree.verdict("renewed", "--kind=nodeset") == "HOLDS"
    assert tree.run("renew", *ASKED, "--kind=nodeset").returncode == 0
    assert not (tree.root / "nodeset").exists()
    tree.node("cn1", state="install rocky9-x86_64-compute")
    assert tree.verdict("renewed", "--kind=nodeset").startswith("FAILS: 1 places still name a node")
    assert tree.run("renew", *ASKED, "--kind=nodeset").returncode == 0
    assert (tree.root / "nodeset").read_text() == "cn1 osimage=img\n"


def test_kernel_arguments_in_the_database_count_like_a_boot_file(tree: Tree) -> None:
    tree.node("cn1", state="install rocky9-x86_64-compute")
    tree.table("bootparams", {"node": "cn1", "kcmdline": f"imgurl=http://{OWN}:80/x"})
    (found,) = tree.look()["generated"]
    assert (found["path"], found["node"], found["trouble"]) == ("table bootparams", "cn1", "")
    tree.run("renew", *ASKED, "--kind=nodeset")
    assert (tree.root / "nodeset").read_text() == "cn1 osimage=img\n"


def test_nothing_is_renewed_when_a_table_does_not_answer(tree: Tree) -> None:
    tree.put("/tftpboot/boot/grub2/cn1", f"set root=tftp,{OWN}\n")
    tree.node("cn1", state="install rocky9-x86_64-compute")
    (tree.root / "tables/chain").unlink()
    assert tree.verdict("renewed", "--kind=nodeset").startswith("UNKNOWN")
    assert tree.run("renew", *ASKED, "--kind=nodeset").returncode == 1
    assert not (tree.root / "nodeset").exists()


IMAGES = [
    {"imagename": "ins", "provmethod": "install", "osvers": "rocky9", "osarch": "x86_64", "profile": "compute"},
    {"imagename": "net", "provmethod": "netboot", "osvers": "rocky9", "osarch": "x86_64", "profile": "compute"},
]


@pytest.mark.parametrize(
    ("state", "image", "status", "mac", "reason"),
    [
        ("install rocky9-x86_64-compute", "ins", "", "02:00:00:00:00:01", ""),
        ("install rocky9-x86_64-compute", "ins", "installing", "02:00:00:00:00:01", ""),
        ("install rocky9-x86_64-compute", "ins", "booted", "02:00:00:00:00:01", "it runs"),
        ("netboot rocky9-x86_64-compute", "net", "booted", "02:00:00:00:00:01", ""),
        ("netboot rocky9-x86_64-compute", "ins", "", "02:00:00:00:00:01", "would make its state install"),
        ("install rocky9-x86_64-gpu", "ins", "", "02:00:00:00:00:01", "would make its state"),
        ("install rocky9-x86_64-compute", "gone", "", "02:00:00:00:00:01", "gone is not defined"),
        ("install rocky9-x86_64-compute", "ins", "", "", "no MAC"),
        ("boot", "ins", "", "02:00:00:00:00:01", "nothing is to be installed"),
        ("", "ins", "", "02:00:00:00:00:01", "nothing is to be installed"),
    ],
)
def test_whom_nodeset_may_be_run_for(state: str, image: str, status: str, mac: str, reason: str) -> None:
    tables = {
        "nodelist": [{"node": "cn1", "groups": "all", "status": status}],
        "chain": [{"node": "cn1", "currstate": state}],
        "nodetype": [{"node": "all", "provmethod": image}],
        "osimage": IMAGES,
        "mac": [{"node": "cn1", "mac": mac}],
    }
    said = Nodes(tables).why_not_renewed("cn1")
    assert reason in said
    assert bool(said) == bool(reason)


def test_rows_of_tabdump() -> None:
    text = 'Error loading module x ...skipping\n#key,value,comments,disable\n"nl","a\nb ""c"", d",,\n"off","x",,"yes"\n"e",,,\n'
    assert rows_of(text) == [
        {"key": "nl", "value": 'a\nb "c", d', "comments": "", "disable": ""},
        {"key": "e", "value": "", "comments": "", "disable": ""},
    ]
    with pytest.raises(TableError, match="no header"):
        rows_of("Error: no such table\n")
    with pytest.raises(TableError, match="no master"):
        site_of([{"key": "domain", "value": "x"}])


def test_import_of_the_program_is_cheap() -> None:
    code = "import sys; before = set(sys.modules); import xcat_ha.xcat.stale_scan; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"attr", "cattrs", "plumbum", "stevedore"} & set(loaded)
