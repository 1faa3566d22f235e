"""Whether an authority has seen a seal, and when: an RFC 3161 token over its bytes, verified by openssl.

The token is asked for by openssl and curl, as docs/verification.md says: nothing but `download` reaches the network.
"""

import re
import shutil
import subprocess
from pathlib import Path

from stages.core.errors import CorruptFileError, StageError
from stages.core.regular import read_regular

_TIME = re.compile(r"^Time stamp: (.+)$", re.MULTILINE)
_LARGEST = 1 << 20  # bytes of a token, and of certificates


def token_path(seal: Path) -> Path:
    """Where the token of a seal lies: beside it."""
    return seal.with_name(f"{seal.name}.tsr")


def stamped(seal: Path, certificate: Path) -> str:
    """The time in the token beside a seal, once it is over these bytes and signed by an authority of `certificate`.

    Raises MissingFileError, CorruptFileError for another token, and StageError where openssl is not here.
    """
    openssl, token = shutil.which("openssl"), token_path(seal)
    if openssl is None:
        raise StageError("openssl is not here, which verifies timestamps; install it")
    authority = "the timestamp authority, which publishes it"
    for path, made_by in ((token, "a timestamp authority (docs/verification.md)"), (certificate, authority)):
        read_regular(path, made_by, _LARGEST)
    _run(openssl, token, "-verify", "-data", str(seal), "-in", str(token), "-CAfile", str(certificate))
    found = _TIME.search(_run(openssl, token, "-reply", "-in", str(token), "-text"))
    if found is None:
        raise CorruptFileError(token, "no time", "a token of RFC 3161")
    return found[1]


def _run(openssl: str, token: Path, *arguments: str) -> str:
    """What `openssl ts` says. Raises CorruptFileError, naming the token, with the reason of its first error."""
    done = subprocess.run(  # noqa: S603
        [openssl, "ts", *arguments], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error:" in line] or ["no reason"]
        reason = said[0].rpartition("error:")[2].split(":")
        why = ": ".join(filter(None, reason[3:4])) or said[0]
        raise CorruptFileError(token, f"no timestamp of these bytes ({why})", "one by an authority of the certificate")
    return done.stdout
