"""Demo keys and certificates, made when a node is provisioned and kept nowhere else."""

from __future__ import annotations

import datetime as dt
import pathlib
import shutil
import subprocess

BITS = "2048"
# xCAT's own dates: the CA begins in 1970, the other certificates in 1960.
CA_BEGIN, CA_DAYS = "19700101000000Z", 7305
CERT_BEGIN, CERT_DAYS = "19600101000000Z", 7300
BUILD_CNF = "build.cnf"  # openssl.cnf with the paths of the tree being built

OPENSSL_CNF = """\
[ ca ]
default_ca = xcat_ca

[ xcat_ca ]
dir = {ca}
certs = {ca}/certs
new_certs_dir = {ca}/certs
database = {ca}/index
serial = {ca}/serial
certificate = {ca}/ca-cert.pem
private_key = {ca}/private/ca-key.pem
default_md = sha256
default_days = 7300
policy = any
unique_subject = no
copy_extensions = copy

[ any ]
commonName = supplied

[ req ]
prompt = no
distinguished_name = name
[ name ]

[ v3_ca ]
basicConstraints = critical,CA:true
subjectKeyIdentifier = hash

[ server ]
basicConstraints = CA:FALSE
subjectAltName = DNS:{long},DNS:{short}

[ client ]
basicConstraints = CA:FALSE
"""


def make_all(root: pathlib.Path, name: str, *, with_ssh: bool, domain: str = "lab.example") -> None:
    """CA, server and client certificates, node host keys, root's keys."""
    authority = _make_ca(root, name, domain)
    _make_server(root, authority, name)
    _make_client(root, authority)
    (authority / BUILD_CNF).unlink()
    _make_hostkeys(root)
    if with_ssh:
        _make_root_ssh(root)


def write_ddns_key(root: pathlib.Path, secret: str) -> None:
    key = root / "etc/xcat/ddns.key"
    key.write_text(f'key "xcat_key" {{\n\talgorithm hmac-md5;\n\tsecret "{secret}";\n}};\n')
    key.chmod(0o660)


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def _folder(place: pathlib.Path, mode: int) -> pathlib.Path:
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(mode)
    return place


def _make_ca(root: pathlib.Path, name: str, domain: str) -> pathlib.Path:
    place = root / "etc/xcat/ca"
    if place.exists():
        shutil.rmtree(place)
    _folder(root / "etc/xcat", 0o755)
    _folder(place, 0o755)
    _folder(place / "certs", 0o755)
    _folder(place / "private", 0o700)
    (place / "index").write_text("")
    (place / "serial").write_text("01\n")
    text = OPENSSL_CNF.format(ca="/etc/xcat/ca", long=f"{name}.{domain}", short=name)
    (place / "openssl.cnf").write_text(text)
    (place / BUILD_CNF).write_text(text.replace("/etc/xcat/ca", str(place)))
    key = place / "private/ca-key.pem"
    _key(key)
    request = place / "ca.csr"
    _request(key, request, "xCAT CA", place)
    _sign(place, request, place / "ca-cert.pem", "v3_ca")
    return place


def _key(place: pathlib.Path) -> None:
    _openssl("genrsa", "-out", str(place), BITS)
    place.chmod(0o600)


def _request(key: pathlib.Path, target: pathlib.Path, name: str, ca: pathlib.Path) -> None:
    config = str(ca / BUILD_CNF)
    words = ["req", "-new", "-config", config, "-key", str(key), "-out", str(target)]
    _openssl(*words, "-subj", f"/CN={name}")


def _sign(ca: pathlib.Path, request: pathlib.Path, target: pathlib.Path, part: str) -> None:
    is_ca = part == "v3_ca"
    begin, days = (CA_BEGIN, CA_DAYS) if is_ca else (CERT_BEGIN, CERT_DAYS)
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    words = ["ca", "-batch", "-config", str(ca / BUILD_CNF), "-in", str(request)]
    words += ["-out", str(target), "-extensions", part, *(["-selfsign"] if is_ca else [])]
    words += ["-keyfile", str(ca / "private/ca-key.pem")]
    _openssl(*words, "-startdate", begin, "-enddate", end.strftime("%Y%m%d%H%M%SZ"))
    request.unlink()


def _make_server(root: pathlib.Path, ca: pathlib.Path, name: str) -> None:
    place = _folder(root / "etc/xcat/cert", 0o700)
    key, cert = place / "server-key.pem", place / "server-cert.pem"
    _key(key)
    request = place / "server-req.pem"
    _request(key, request, name, ca)
    _sign(ca, request, cert, "server")
    shutil.copyfile(ca / "ca-cert.pem", place / "ca.pem")
    (place / "server-cred.pem").write_text(key.read_text() + cert.read_text())
    for file in place.iterdir():
        file.chmod(0o600)


def _make_client(root: pathlib.Path, ca: pathlib.Path) -> None:
    place = _folder(root / "root/.xcat", 0o755)
    key, cert = place / "client-key.pem", place / "client-cert.pem"
    _key(key)
    request = place / "client-req.pem"
    _request(key, request, "root", ca)
    _sign(ca, request, cert, "client")
    shutil.copyfile(ca / "ca-cert.pem", place / "ca.pem")
    (place / "client-cred.pem").write_text(key.read_text() + cert.read_text())
    for file in place.iterdir():
        file.chmod(0o644 if file.name == "ca.pem" else 0o600)


def _make_hostkeys(root: pathlib.Path) -> None:
    place = _folder(root / "etc/xcat/hostkeys", 0o755)
    for kind, more in (("rsa", ["-b", BITS]), ("ecdsa", []), ("ed25519", [])):
        target = place / f"ssh_host_{kind}_key"
        _ssh_key(target, kind, more, "node-host-key")
        target.chmod(0o640)
        target.with_suffix(".pub").chmod(0o644)


def _make_root_ssh(root: pathlib.Path) -> None:
    place = _folder(root / "root/.ssh", 0o700)
    _ssh_key(place / "id_rsa", "rsa", ["-b", BITS], "root")
    (place / "id_rsa").chmod(0o600)
    shared = _folder(root / "install/postscripts/_ssh", 0o755)
    shutil.copyfile(place / "id_rsa.pub", shared / "authorized_keys")


def _ssh_key(target: pathlib.Path, kind: str, more: list[str], comment: str) -> None:
    for old in (target, target.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-t", kind, *more, "-N", "", "-C", comment, "-f", str(target)]
    subprocess.run(words, check=True, capture_output=True)
