"""A signature over the results, and somebody else's run beside ours."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from stages.audit import seal
from stages.audit.witness import witness
from stages.records.attempts import attempts_path, begin
from tests.unit.audit.conftest import Audited

SEAL = Path("reports/quick/seal.json")
TABLE = Path("reports/quick/tables/tables.md")


def key_pair(name: str, key: Any = None) -> None:
    key = key or Ed25519PrivateKey.generate()
    Path(f"{name}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    Path(f"{name}.pub").write_bytes(public)


def run(command: Any, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.fixture
def sealed(audited: Audited) -> Audited:
    audited.remove(*[f"{path.parent.name}/{path.stem[:-3]}" for path in sorted(audited.cells.rglob("*-s0.json"))[3:]])
    begin(attempts_path("quick"), audited.params, "c" * 40)
    TABLE.parent.mkdir()
    for path in (TABLE, Path("reports/quick/ledger.csv"), Path("reports/quick/ledger.json")):
        path.write_text(path.name)
    key_pair("key")
    assert run(seal.seal, "--key", "key.pem")[0] == 0
    return audited


def check(*words: str) -> tuple[int, str]:
    return run(seal.check_seal, "--identity", "key.pub", *words)


AUTHORITY = """
[tsa]
serial = serial
default_policy = 1.2.3.4
digests = sha256
signer_digest = sha256
accuracy = secs:1
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
extendedKeyUsage = critical, timeStamping
"""


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def authority(name: str) -> None:
    """A timestamp authority: its key, and the certificate that it signed itself."""
    Path("authority.cnf").write_text(AUTHORITY)
    new = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}")
    openssl("req", "-x509", "-config", "authority.cnf", *new)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl verifies timestamps, and is not here")
def test_a_timestamp_is_verified_against_the_authority_and_these_bytes(sealed: Audited) -> None:
    token = Path("reports/quick/seal.json.tsr")
    authority("one")
    authority("two")
    status, said = check("--timestamp-certificate", "one.crt")
    assert (status, said.splitlines()[-1].partition(";")[0]) == (1, f"Error: {token} is missing")
    openssl("ts", "-query", "-data", str(SEAL), "-sha256", "-cert", "-out", "q.tsq")
    signer = ("-signer", "one.crt", "-inkey", "one.key")
    reply = ("-config", "authority.cnf", "-section", "tsa", "-queryfile", "q.tsq", *signer)
    openssl("ts", "-reply", *reply, "-out", str(token))
    status, said = check("--timestamp-certificate", "one.crt")
    assert status == 3  # the weights are not here
    assert ", seen by the timestamp authority at " in said.splitlines()[-1]
    assert said.rstrip().endswith(" GMT; incomplete")
    for certificate, content in (("two.crt", token.read_bytes()), ("one.crt", b"no token"), ("one.crt", b"")):
        token.write_bytes(content)
        status, said = check("--timestamp-certificate", certificate)
        assert status == 1
        assert said.splitlines()[-1].startswith(f"Error: {token}: no timestamp of these bytes (")
    openssl("ts", "-reply", *reply, "-out", str(token))
    assert run(seal.seal, "--key", "key.pem")[0] == 0
    SEAL.write_text(SEAL.read_text() + "\n")  # other bytes of the same content
    status, said = check("--timestamp-certificate", "one.crt")
    assert (status, "no timestamp of these bytes" in said) == (1, True)


def test_a_seal_is_an_in_toto_statement_over_results_tables_weights_and_dvc_lock(sealed: Audited) -> None:
    envelope = json.loads(SEAL.read_text())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    names = {one["name"] for one in statement["subject"]}
    assert {"dvc.lock", "reports/quick/ledger.json", TABLE.as_posix(), "reports/quick/attempts.jsonl"} <= names
    assert sum(name.endswith(".npy") for name in names) == 3
    assert sum(name.endswith("weights.safetensors") for name in names) == 3
    status, said = check()
    assert status == 3  # the weights are not here
    assert said.count("incomplete: ") == 3
    assert "broken" not in said


def test_what_was_changed_since_or_added_is_named(sealed: Audited) -> None:
    TABLE.write_text("92.8 %")
    new = TABLE.with_name("new.csv")
    new.write_text("x")
    status, said = check()
    assert status == 1
    assert f"broken: {TABLE}: found sha256 " in said
    assert f"broken: {new}: found a file that was not signed" in said
    TABLE.unlink()
    assert f"{TABLE} is not here" in check()[1]


@pytest.mark.parametrize("name", ["ledger.csv", "attempts.jsonl", "cells/*/*.npy", "cells/*/*.json"])
def test_a_signed_file_that_is_missing_is_incomplete(sealed: Audited, name: str) -> None:
    path = next(Path("reports/quick").glob(name))
    path.unlink()
    status, said = check()
    assert status == 3
    assert f"incomplete: {path} is not here: it was signed; " in said
    assert "broken" not in said
    if path.suffix != ".json":
        assert f"{path}: no such file; expected a file to sign" in run(seal.seal, "--key", "key.pem")[1]


def test_a_seal_that_is_not_here_is_incomplete_and_has_its_command(sealed: Audited) -> None:
    SEAL.unlink()
    said = "incomplete: reports/quick/seal.json is not here: python -m stages.audit seal --key key.pem\n"
    assert check() == (3, said)


def test_what_params_yaml_says_today_does_not_change_what_was_signed(sealed: Audited) -> None:
    before = check()
    name = next(sealed.cells.glob("cifar10/*.json")).stem.removesuffix("-s0")
    sealed.edit(lambda raw: raw["cells"]["cifar10"][name].update(lr=0.5))
    assert check() == before
    assert "trained with cell.lr " in run(seal.seal, "--key", "key.pem")[1]


def test_another_key_or_a_changed_statement_is_refused(sealed: Audited) -> None:
    key_pair("other")
    status, said = run(seal.check_seal, "--identity", "other.pub")
    assert status == 1
    assert said.startswith("Error: reports/quick/seal.json: no signature of key ")
    envelope = json.loads(SEAL.read_text())
    payload = base64.b64decode(envelope["payload"]).replace(b'"budget": "quick"', b'"budget": "paper"')
    SEAL.write_text(json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}))
    assert "no signature of key " in check()[1]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"payloadType": "x"}', '{"payloadType": "application/vnd.in-toto+json", "payload": "*"}'],
)
def test_what_is_no_seal_is_one_line(sealed: Audited, content: str) -> None:
    SEAL.write_text(content)
    status, said = check()
    assert (status, said.count("\n")) == (1, 1)
    assert said.startswith("Error: reports/quick/seal.json: ")


def test_what_is_no_key_is_refused(sealed: Audited) -> None:
    key_pair("curve", generate_private_key(SECP256R1()))
    Path("text.pem").write_text("x")
    allowed = "allowed: a file with an Ed25519 key as PEM, without a password"
    for name, why in (("curve.pem", "ECPrivateKey"), ("text.pem", "Unable to load PEM file.")):
        status, said = run(seal.seal, "--key", name)
        assert status == 1
        assert said.startswith(f"Error: --key: '{name}' is not allowed; {allowed} ({why}")
    status, said = run(seal.check_seal, "--identity", "key.pem")
    assert status == 1
    assert said.startswith(f"Error: --identity: 'key.pem' is not allowed; {allowed} (")


def ledger(*entries: tuple[str, int, int, str], budget: str = "quick", code: str = "c") -> str:
    numbers = []
    for cell, seed, correct, binding in entries:
        training = {"code_sha256": code, "settings_sha256": "s", "processor": f"of {binding}", "data": {"md5": "d"}}
        one = {"seed": seed, "correct": correct, "test_images": 500, "result": {"binding": binding}}
        numbers.append({"cell": cell, "seeds": [one | {"training": training}]})
    return json.dumps({"budget": budget, "numbers": numbers})


def test_a_witness_is_held_against_ours_number_by_number(audited: Audited) -> None:
    Path("reports/quick/ledger.json").write_text(ledger(("a", 0, 100, "x"), ("b", 0, 400, "x"), ("d", 0, 9, "x")))
    theirs = Path("theirs.json")
    theirs.write_text(ledger(("a", 0, 100, "x"), ("b", 0, 390, "y\nsame"), ("e", 1, 9, "x")))
    status, said = run(witness, "theirs.json")
    assert status == 3
    assert said.splitlines() == [
        "same   a, seed 0: 100 of 500, the same bytes all along",
        r"near   b, seed 0: 400 and 390 of 500, 2.00 points apart; ours on of x, theirs on of y\nsame",
        "alone  d, seed 0: only ours",
        "alone  e, seed 1: only theirs",
        "witness: 1 same, 1 near, 2 alone",
    ]
    assert run(witness, "theirs.json", "--points", "1")[0] == 1
    theirs.write_text(ledger(("b", 0, 390, "y"), code="other"))
    assert "other  b, seed 0: another code" in run(witness, "theirs.json")[1]
    theirs.write_text(Path("reports/quick/ledger.json").read_text())
    assert run(witness, "theirs.json")[0] == 0
    for content in ("[", "[]", '{"budget": "quick"}', ledger(budget="paper")):
        theirs.write_text(content)
        status, said = run(witness, "theirs.json")
        assert (status, said.count("\n")) == (1, 1)
