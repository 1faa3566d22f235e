"""Signs a budget's results, and checks a signature against the files that are here.

    python -m stages.audit seal --key key.pem                     writes reports/<budget>/seal.json
    python -m stages.audit check-seal --identity key.pub          whether what was signed is what is here

The seal is an in-toto statement (https://in-toto.io/Statement/v1) in a DSSE envelope, signed with Ed25519. Its subjects
are dvc.lock, the attempts, results, logits, tables, ledgers and the weights, each by its sha256. What it proves is that
the owner of the key signed these bytes; when, only a copy of the seal in somebody else's hands tells, or the token of a
timestamp authority over it (`check-seal --timestamp-certificate`, `stages.audit.timestamp`). The keys are made
by: openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out key.pub
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import ConfigDict, Field, ValidationError

from stages.audit.findings import Finding, broken, missing
from stages.audit.history import History
from stages.audit.options import budget_option
from stages.audit.results import read_loosely
from stages.audit.timestamp import stamped
from stages.config.loading import load_params
from stages.core.errors import CorruptFileError, ParamError, printable
from stages.core.filenames import WEIGHTS
from stages.core.files import file_hash, json_text, parse_json, write_text
from stages.core.progress import say
from stages.core.regular import is_inside, is_regular, is_there, read_regular, refusal
from stages.records.attempts import attempts_path
from stages.records.dvc_lock import LOCK_FILE
from stages.records.evaluation import logits_path, results_folder
from stages.records.record import Section, Sha256, invalid
from stages.report.evidence import evidence_of

PAYLOAD, STATEMENT = "application/vnd.in-toto+json", "https://in-toto.io/Statement/v1"
PREDICATE = "urn:very-deep-reproduced:results:v1"  # budget and commit
_MADE_BY = "python -m stages.audit seal --key key.pem"


class _Signature(Section):
    keyid: str
    sig: str


class _Envelope(Section):
    model_config = ConfigDict(populate_by_name=True)

    payload_type: Literal["application/vnd.in-toto+json"] = Field(alias="payloadType")
    payload: str
    signatures: list[_Signature] = Field(min_length=1)


class _Digest(Section):
    sha256: Sha256


class _Subject(Section):
    name: str
    digest: _Digest


class _Statement(Section):
    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[_Subject]
    predicate_type: str = Field(alias="predicateType")
    predicate: dict[str, Any]


@click.command()
@budget_option
@click.option("--key", type=click.Path(path_type=Path), required=True, help="an Ed25519 private key, PEM")
@click.option("--out", type=click.Path(path_type=Path), help="by default reports/<budget>/seal.json")
def seal(budget: str | None, key: Path, out: Path | None) -> None:
    """Sign the results, tables, ledgers, weights' hashes and dvc.lock of a budget."""
    load = partial(load_pem_private_key, password=None)
    private: Ed25519PrivateKey = _key("--key", key, "openssl genpkey -algorithm ed25519", load, Ed25519PrivateKey)
    budget = evidence_of(budget).budget_name  # refuses results that do not hold together
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in subjects(budget).items()],
        "predicateType": PREDICATE,
        "predicate": {"budget": budget, "commit": History().head()},
    }
    out = out or _place(budget)
    write_text(out, json_text(envelope(statement, private)))
    say(f"{len(statement['subject'])} files are signed by key {_key_id(private.public_key())[:16]}: {out}")


@click.command()
@budget_option
@click.option("--identity", type=click.Path(path_type=Path), required=True, help="the signer's public key, PEM")
@click.option("--seal", "file", type=click.Path(path_type=Path), help="by default reports/<budget>/seal.json")
@click.option(
    "--timestamp-certificate",
    "certificate",
    type=click.Path(path_type=Path),
    help="certificates of a timestamp authority, PEM: asks for its token, <seal>.tsr",
)
def check_seal(budget: str | None, identity: Path, file: Path | None, certificate: Path | None) -> None:
    """Whether what was signed is what is here. Exit status: 0 it is, 3 not all is here, 1 something differs."""
    public: Ed25519PublicKey = _key(
        "--identity", identity, "openssl pkey -pubout", load_pem_public_key, Ed25519PublicKey
    )
    budget = budget or load_params().budget
    file = file or _place(budget)
    if not is_there(file):
        click.echo(f"incomplete: {missing(file, _MADE_BY)}")
        raise SystemExit(3)
    found = list(differences(opened(file, public), budget))
    for finding in found:
        click.echo(f"{finding.kind}: {finding}")
    kinds = {finding.kind for finding in found}
    state = "broken" if "broken" in kinds else "incomplete" if kinds else "whole"
    seen = f", seen by the timestamp authority at {stamped(file, certificate)}" if certificate else ""
    click.echo(f"{file}: signed by key {_key_id(public)[:16]}{seen}; {state}")
    raise SystemExit({"broken": 1, "incomplete": 3, "whole": 0}[state])


def subjects(budget: str) -> dict[str, str]:
    """What is signed: the sha256 of each file by its path; of weights the recorded one, since they need not be here.

    Raises CorruptFileError for a file that is not here, or is no regular one.
    """
    files = _files(budget)
    for path in files:
        if wrong := refusal(path):
            raise CorruptFileError(path, wrong, "a file to sign (dvc repro)")
    return {path.as_posix(): file_hash(path, "sha256") for path in files} | _weights(budget)


def _files(budget: str) -> list[Path]:
    """What a seal of a budget names, whether it is here or not: the weights apart."""
    reports = results_folder(budget).parent
    tables = sorted(path for path in (reports / "tables").glob("*") if not path.name.startswith("."))
    results = [file for path in _results(budget) for file in (path, logits_path(path))]
    return [LOCK_FILE, attempts_path(budget), reports / "ledger.csv", reports / "ledger.json", *tables, *results]


def _results(budget: str) -> list[Path]:
    return sorted(path for path in results_folder(budget).glob("*/*.json") if not path.name.startswith("."))


def _weights(budget: str) -> dict[str, str]:
    """The weights' sha256 by their path, as the results here record them; of a result that is none, nothing."""
    found = {}
    for path in _results(budget):
        result, _ = read_loosely(path, "evaluate")
        with suppress(KeyError):  # a record that names no run folder
            if result is not None:
                found[f"{result.run_folder[0]}/{WEIGHTS}"] = result.run.sha256.weights
    return found


def envelope(statement: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """A DSSE envelope of a statement, https://github.com/secure-systems-lab/dsse."""
    payload = json_text(statement).encode()
    signature = {"keyid": _key_id(key.public_key()), "sig": _base64(key.sign(_authenticated(payload)))}
    return {"payloadType": PAYLOAD, "payload": _base64(payload), "signatures": [signature]}


def opened(path: Path, key: Ed25519PublicKey) -> _Statement:
    """The statement in an envelope that the owner of a key has signed. Raises CorruptFileError."""
    content = parse_json(read_regular(path, _MADE_BY), path, _MADE_BY)
    try:
        found = _Envelope.model_validate(content)
        payload = base64.b64decode(found.payload, validate=True)
        signatures = [base64.b64decode(one.sig, validate=True) for one in found.signatures]
    except ValidationError as error:
        raise invalid(error, content, path, _MADE_BY) from None
    except binascii.Error as error:
        raise CorruptFileError(path, f"no base64 ({error})", f"what {_MADE_BY} writes") from None
    if not any(_is_signed(key, signature, payload) for signature in signatures):
        signers = ", ".join(one.keyid[:16] for one in found.signatures)
        raise CorruptFileError(
            path, f"no signature of key {_key_id(key)[:16]}", f"one over these bytes; it names {signers}"
        )
    statement = parse_json(payload, path, _MADE_BY)
    try:
        return _Statement.model_validate(statement)
    except ValidationError as error:
        raise invalid(error, statement, path, _MADE_BY) from None


def differences(statement: _Statement, budget: str) -> Iterator[Finding]:
    """Differences between a signed statement and the files here, and files here that it does not name.

    What params.yaml says today does not matter: only the statement and the files do.
    """
    sealed, signed = statement.predicate.get("budget"), {one.name: one.digest.sha256 for one in statement.subject}
    if sealed != budget:
        yield broken("the seal", f"of budget {sealed}", budget)
        return
    weights = _weights(budget)
    here = {path.as_posix() for path in _files(budget) if is_there(path)} | weights.keys()
    for name, sha256 in signed.items():
        recorded = weights.get(name)
        if recorded is not None and recorded != sha256:
            yield broken(f"{name}, as its result records it", f"sha256 {recorded}", f"{sha256}, which was signed")
        if not is_inside(name) or not is_there(name):
            yield missing(name, "it was signed; dvc pull, or git checkout")
        elif not is_regular(name):
            yield broken(name, refusal(name), "the file that was signed")
        elif (found := file_hash(name, "sha256")) != sha256:
            yield broken(name, f"sha256 {found}", f"{sha256}, which was signed")
    for name in sorted(here - signed.keys()):
        yield broken(name, "a file that was not signed", "those of the seal alone")


def _place(budget: str) -> Path:
    return results_folder(budget).with_name("seal.json")


def _authenticated(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def _is_signed(key: Ed25519PublicKey, signature: bytes, payload: bytes) -> bool:
    try:
        key.verify(signature, _authenticated(payload))
    except InvalidSignature:
        return False
    return True


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _key(option: str, path: Path, made_by: str, load: Callable[[bytes], object], kind: type[Any]) -> Any:
    """The key in a PEM file, of this `kind`. Raises ParamError, naming the option, for anything else."""
    try:
        found = load(read_regular(path, made_by))
        why = type(found).__name__
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        found, why = None, str(error).partition("(")[0].strip()
    if not isinstance(found, kind):
        allowed = f"a file with an Ed25519 key as PEM, without a password ({printable(why)})"
        raise ParamError(option, str(path), allowed)
    return found
