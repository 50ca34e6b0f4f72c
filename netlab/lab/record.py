"""Labs on disk: the record that makes ``down`` and ``gc`` find everything.

One directory per lab, ``STATE/LAB``::

    lab.json          the record: whose lab this is; written before anything is made
    ready             exists while the lab is complete: made last and removed first
    ns/NODE           a tmpfs of the lab's own that keeps one namespace per node alive
    ns/.files/NODE/   what programs in NODE see instead of the machine's own files
    log/NODE.PROGRAM  what a program printed
    sys/              an empty place where a program has its own sysfs mounted

A lab is claimed by building its directory aside under a dotted name and renaming it, which
either succeeds or finds the name taken. Its builder holds a lock (flock) on the directory, and
the process that a library lab belongs to holds it for life: whoever gets the lock knows that
nobody else is at work there, without trusting any process id.

Programs carry the record's random token in their environment, so they are found wherever they
are; see ``process``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import Diagnostic, LabError, Unavailable
from netlab.lab import netns_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SYSTEM_STATE = "/run/netlab-lab"

_PATIENCE = 2.0
"""Seconds to wait for the lock of a lab whose builder has gone."""

_PAUSE = 0.001
"""Seconds between two tries to get it: the kernel does not tell when a lock is let go."""

CHANGING = 10.0
"""Seconds that one change of a lab waits for another."""

_FORMAT = 1


class Record(NamedTuple):
    """What is known of a lab before any of it exists."""

    name: str
    token: str
    """Random hexadecimal digits: the mark of the lab's processes."""
    topology: str
    digest: str
    nodes: tuple[str, ...]
    pid: int
    """Who builds it, and for a library lab who it belongs to."""
    library: bool
    """The lab ends with the process that made it."""
    rootless: bool
    """Its namespaces live in a user namespace, held by a keeper process."""
    listed: bool
    """Its nodes are named for `ip netns`."""


class Lab(NamedTuple):
    """A lab on disk: its record and its directory (``STATE/LAB``)."""

    record: Record
    directory: str

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.record.name

    @property
    def netns_dir(self) -> str:
        """Where the namespaces are kept."""
        return f"{self.directory}/ns"

    def namespace(self, node: str) -> str:
        """The file that is the network namespace of ``node``."""
        return f"{self.directory}/ns/{node}"

    def files(self, node: str) -> str:
        """The tree of files that programs in ``node`` see at ``/``."""
        return f"{self.netns_dir}/.files/{node}"

    def directories(self, node: str) -> str:
        """The tree of directories that programs in ``node`` have to themselves."""
        return f"{self.netns_dir}/.directories/{node}"

    def log(self, node: str, program: str) -> str:
        """What ``program`` in ``node`` printed."""
        return f"{self.directory}/log/{node}.{program}"

    @property
    def ready(self) -> bool:
        """Whether it was built to the end."""
        return os.path.exists(f"{self.directory}/ready")

    def document(self, name: str) -> str:
        """The text of a document that was stored with the claim."""
        try:
            with open(f"{self.directory}/{name}", encoding="utf-8") as stream:
                return stream.read()
        except FileNotFoundError:
            raise gone(self.name) from None


def gone(name: str) -> LabError:
    """The lab was there a moment ago."""
    return LabError(Diagnostic("E403", f"lab {name} is gone"))


class Claim:
    """The right to change a lab: its directory, locked. Release it by ``close``."""

    def __init__(self, lab: Lab, lock: int) -> None:
        self.lab = lab
        self._lock = lock

    def close(self) -> None:
        """Let go of the lab; what was built stays."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def state_directory() -> str:
    """The directory of all labs of this user; it need not exist.

    ``NETLAB_STATE_DIR`` decides if it is set; else /run/netlab-lab for root, and for others
    ``$XDG_RUNTIME_DIR/netlab-lab``, ``/run/user/UID/netlab-lab`` or ``/tmp/netlab-lab-UID``,
    which root has too where /run is read-only.
    ``Unavailable`` if it belongs to somebody else, who could plant a lab there.
    """
    state = _chosen() or _default(os.geteuid())
    if os.path.lexists(state):
        _refuse_foreign(state)
    return state


def _chosen() -> str:
    chosen = os.environ.get("NETLAB_STATE_DIR", "")
    if chosen and not os.path.isabs(chosen):
        message = f"NETLAB_STATE_DIR is not an absolute path: {chosen}"
        raise Unavailable(Diagnostic("E408", message))
    return os.path.normpath(chosen) if chosen else ""


def _default(user: int) -> str:
    if user == 0:
        if os.access(os.path.dirname(SYSTEM_STATE), os.W_OK):
            return SYSTEM_STATE
        return "/tmp/netlab-lab-0"  # noqa: S108 - a container whose /run is read-only
    for runtime in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{user}"):
        if os.path.isabs(runtime) and _is_private(runtime, user):
            return f"{runtime}/netlab-lab"
    return f"/tmp/netlab-lab-{user}"  # noqa: S108 - believed only if it is ours


def _is_private(path: str, user: int) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return status.st_uid == user and not status.st_mode & 0o022 and os.path.isdir(path)


def _refuse_foreign(state: str) -> None:
    if not _is_private(state, os.geteuid()):
        raise Unavailable(
            Diagnostic(
                "E408",
                f"{state} belongs to another user, or others may write to it",
                hint="remove it, or name another directory in NETLAB_STATE_DIR",
            )
        )


def _prepare(state: str) -> None:
    try:
        if not os.path.isdir(state):
            os.makedirs(state, 0o700, exist_ok=True)
            os.chmod(state, 0o700)
    except OSError as error:
        message = f"cannot make {state}: {error.strerror}"
        hint = "name another directory in NETLAB_STATE_DIR"
        raise Unavailable(Diagnostic("E408", message, hint=hint)) from None
    _refuse_foreign(state)


def claim(
    name: str,
    nodes: tuple[str, ...],
    *,
    topology: str = "",
    digest: str = "",
    library: bool = False,
    rootless: bool = False,
    listed: bool | None = None,
    documents: Mapping[str, str] | None = None,
) -> Claim:
    """Take the name of a lab; from here on ``down`` and ``gc`` know of it.

    ``listed`` says whether `ip netns` shall know the nodes; by default where we may.
    ``documents`` (file name to text) are stored with the record, for ``Lab.document``.
    ``LabError`` if there is a lab of this name, or `ip netns` knows one of its names.
    """
    state = state_directory()
    _prepare(state)
    record = Record(
        name=name,
        token=os.urandom(16).hex(),
        topology=topology,
        digest=digest,
        nodes=nodes,
        pid=os.getpid(),
        library=library,
        rootless=rootless,
        # The names are the machine's, so only labs in the machine's own directory have them: labs
        # of equal names in other directories would meet there.
        listed=state == SYSTEM_STATE and netns_names.is_possible() if listed is None else listed,
    )
    lab = Lab(record, f"{state}/{name}")
    if record.listed:
        netns_names.refuse_taken(lab)
    staging = f"{state}/.{name}.{record.pid}.{record.token}"
    lock = _stage(state, staging)
    try:
        _write(f"{staging}/lab.json", json.dumps({"format": _FORMAT, **record._asdict()}))
        for document, text in (documents or {}).items():
            _write(f"{staging}/{document}", text)
        for part in ("ns", "log", "sys"):
            make_directory(f"{staging}/{part}")
        os.rename(staging, lab.directory)
    except OSError as error:
        _discard(staging)
        os.close(lock)
        if not os.path.exists(lab.directory):
            raise cannot_write(lab.directory, error) from None
        raise _taken(lab, error) from None
    except BaseException:
        _discard(staging)
        os.close(lock)
        raise
    return Claim(lab, lock)


def _stage(state: str, staging: str) -> int:
    """Make and lock the directory; ``gc`` may take one that is not yet locked for a dead one."""
    while True:
        try:
            make_directory(staging)
            lock = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            _prepare(state)  # the last lab went away and took the directory along
            continue
        except OSError:
            _discard(staging)
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            os.close(lock)
            _discard(staging)
            raise
        if os.path.isdir(staging):
            return lock
        os.close(lock)


def make_directory(path: str) -> None:
    """A directory that only its owner may look into, whatever the umask is."""
    os.mkdir(path, 0o700)
    os.chmod(path, 0o700)


def _private(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, 0o600)
    return fd


def _write(path: str, text: str) -> None:
    with open(path, "x", encoding="utf-8", opener=_private) as stream:
        stream.write(text)


def cannot_write(path: str, error: OSError) -> Unavailable:
    """The state directory is full, read-only or the like."""
    message = f"cannot write to {path}: {error.strerror or error}"
    return Unavailable(Diagnostic("E408", message))


def _discard(staging: str) -> None:
    import shutil

    shutil.rmtree(staging, ignore_errors=True)


def _taken(lab: Lab, cause: OSError) -> LabError:
    other = read(lab.directory)
    if other is None:
        return LabError(Diagnostic("E401", f"cannot make {lab.directory}: {cause.strerror}"))
    hold = lock(other)
    if hold is None and not other.ready:
        message = f"lab {lab.name} is being built by process {other.record.pid}"
        return LabError(Diagnostic("E401", message))
    if hold is None:
        message = f"lab {lab.name} belongs to process {other.record.pid}"
        return LabError(Diagnostic("E401", message, hint="choose another name"))
    hold.close()
    return LabError(
        Diagnostic("E401", f"lab {lab.name} exists already", hint=f"netlab down {lab.name}")
    )


def lock(lab: Lab) -> Claim | None:
    """The right to change an existing lab, or None if it is gone or somebody else has it.

    A builder that was killed while it started a program lives on in the new process until that
    has become the program, and with it the lock: that moment is waited for.
    """
    deadline = time.monotonic() + _PATIENCE
    while (
        (fd := lock_directory(lab.directory)) is None
        and not os.path.exists(f"/proc/{lab.record.pid}")
        and os.path.exists(lab.directory)
        and time.monotonic() < deadline
    ):
        time.sleep(_PAUSE)
    if fd is None:
        return None
    claim = Claim(lab, fd)
    if read(lab.directory) != lab:
        claim.close()  # another lab of this name was built meanwhile
        return None
    return claim


@contextlib.contextmanager
def changing(lab: Lab, patience: float = CHANGING) -> Iterator[None]:
    """Be the only one who changes a lab that runs, whoever owns it.

    Raises ``LabError`` if another change takes longer than ``patience`` seconds, or the lab goes.

    Raises:
        LabError: the lab is gone, or is being changed for too long.
    """
    try:
        fd = os.open(f"{lab.directory}/lab.json", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise gone(lab.name) from None
    deadline = time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"lab {lab.name} is being changed by another process"
                    raise LabError(Diagnostic("E405", message, hint="try again")) from None
                time.sleep(_PAUSE)
        if read(lab.directory) != lab:
            raise gone(lab.name)
        yield
    finally:
        os.close(fd)


def prepare(lab: Lab, name: str, text: str) -> None:
    """Write a new version of a document beside the old one: what can fail, fails here."""
    discard(lab, name)
    path = f"{lab.directory}/{name}"
    try:
        _write(f"{path}.new", text)
    except OSError as error:
        discard(lab, name)
        raise cannot_write(path, error) from None


def commit(lab: Lab, name: str) -> None:
    """Put the new version of a document in the place of the old one."""
    os.rename(f"{lab.directory}/{name}.new", f"{lab.directory}/{name}")


def discard(lab: Lab, name: str) -> None:
    """Forget a new version that was prepared, if there is one."""
    with contextlib.suppress(OSError):
        os.unlink(f"{lab.directory}/{name}.new")


def lock_directory(path: str) -> int | None:
    """A descriptor that holds the lock of a directory, or None if it is held or gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been removed, and made anew, before the lock was ours.
        if os.path.samestat(os.fstat(fd), os.stat(path)):
            return fd
    except OSError:
        pass
    os.close(fd)
    return None


def read(directory: str) -> Lab | None:
    """The lab in a directory, or None if there is no readable record."""
    try:
        with open(f"{directory}/lab.json", encoding="utf-8") as stream:
            fields = json.load(stream)
        if fields.pop("format") != _FORMAT:
            return None
        fields["nodes"] = tuple(fields["nodes"])
        return Lab(Record(**fields), directory)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def labs() -> Iterator[Lab]:
    """Every lab of this user, ready or not, by name."""
    state = state_directory()
    for name in directories(state):
        if not name.startswith("."):
            lab = read(f"{state}/{name}")
            if lab:
                yield lab


def directories(state: str) -> list[str]:
    """The names of all directories of labs, those being claimed or removed included."""
    try:
        with os.scandir(state) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def find(name: str) -> Lab:
    """The lab of this name.

    Raises:
        LabError: there is none.
    """
    lab = read(f"{state_directory()}/{name}")
    if lab is None:
        running = " ".join(other.name for other in labs())
        hint = f"running: {running}" if running else "no lab is running; netlab up FILE"
        raise LabError(Diagnostic("E403", f"there is no lab {name}", hint=hint))
    return lab


def mark_ready(lab: Lab) -> None:
    """Say that the lab is complete."""
    try:
        _write(f"{lab.directory}/ready", "")
    except OSError as error:
        raise cannot_write(lab.directory, error) from None


def unmark_ready(lab: Lab) -> None:
    """Say that the lab is complete no longer: from here on it can only go."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{lab.directory}/ready")
