"""``netlab hdp``: files without a network, and the two ends as programs in a lab."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.cli import main
from netlab.hdp import table
from netlab.wire import hdp, ipv4
from netlab.wire.address import packed
from tests.helpers.commands import NETLAB

if TYPE_CHECKING:
    from netlab.lab.lab import Lab

DATA = Path(__file__).parents[1] / "data" / "hdp"


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["hdp", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def files(tmp_path: Path) -> Path:
    sent = [table.ClientRow(-1, False, error="x"), table.ClientRow(7, True, 1_000_000, 13)]
    came = [table.ServerRow(7, 1_050_000, "192.0.2.1", 33, 1_000_000)]
    (tmp_path / "client.csv").write_text(table.as_csv(table.ClientRow, sent))
    (tmp_path / "server.md").write_text(table.markdown(table.ServerRow, came))
    return tmp_path


def test_merge_joins_tables_of_any_form(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = str(files / "client.csv"), str(files / "server.md")
    code, out, _ = run("merge", *where, "--format", "csv", capsys=capsys)
    assert code == 0
    assert out.splitlines()[1:] == ["-1,0,0,,,,,x", "7,1,1,50000,13,33,192.0.2.1,"]


def test_merge_says_which_table_is_which(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("merge", str(files / "server.md"), str(files / "client.csv"), capsys=capsys)
    assert code == 2
    assert "error[E609]" in err
    assert "netlab hdp merge CLIENT SERVER" in err


def test_merge_shows_the_line_that_it_cannot_read(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = files / "bad.csv"
    bad.write_text("protocol,time,source,bytes,sent\n1,soon,h,3,\n")
    code, _, err = run("merge", str(files / "client.csv"), str(bad), capsys=capsys)
    assert code == 2
    assert "bad.csv:2:1: error[E608]" in err
    assert "2 | 1,soon,h,3," in err


@pytest.mark.parametrize("command", ["merge", "diff"])
def test_a_file_that_is_not_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(command, "/nowhere", "/nowhere", capsys=capsys)
    assert code == 2
    assert "error[E605]: /nowhere: No such file or directory" in err


def sweep_file(path: Path, outcome: str) -> str:
    row: dict[str, object] = {
        "argument": 7, "protocol": 7, "socket_error": None, "send_error": None, "sent": 1,
        "on_wire": 1, "arrived": 1, "received": 1, "reply": None, "latency_us": 1.0,
        "outcome": outcome, "reason": outcome, "length": 37, "hops": [],
    }  # fmt: skip
    path.write_text(json.dumps({"family": 4, "packets": 1, "rows": [row], "gaps": []}))
    return str(path)


def test_diff_tells_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = sweep_file(tmp_path / "a", "received")
    b = sweep_file(tmp_path / "b", "lost")
    assert run("diff", a, a, capsys=capsys)[:2] == (0, "no difference\n")
    code, out, _ = run("diff", a, b, capsys=capsys)
    assert code == 1
    assert out.splitlines() == ["   7  - received: received", "      + lost: lost"]
    code, out, _ = run("diff", a, b, "--json", capsys=capsys)
    assert json.loads(out)[0]["fields"] == ["outcome", "reason"]


@pytest.mark.parametrize("content", ["[]", "{}", "not JSON", '{"rows": 5}'])
def test_diff_refuses_what_is_no_sweep(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x"
    file.write_text(content)
    code, _, err = run("diff", str(file), str(file), capsys=capsys)
    assert code == 2
    assert "error[E610]" in err


def capture_file(path: Path) -> str:
    content = struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
    for ports in ((420, 420), (1, 2)):
        packet = ipv4.encode(
            ipv4.Header(packed("192.0.2.1"), packed("192.0.2.2"), 200),
            hdp.encode(hdp.Header(1_000_000_000, *ports), b"moo"),
        )
        content += struct.pack("<IIII", 1, 5000, len(packet), len(packet)) + packet
    path.write_bytes(content)
    return str(path)


def test_decode_reads_a_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = capture_file(tmp_path / "run.pcap")
    code, out, err = run("decode", file, capsys=capsys)
    assert code == 0
    assert "latency 5.0 us" in out
    assert "      moo" in out
    assert err == "1 datagrams\n"
    code, out, err = run("decode", file, "--all", "--format", "csv", capsys=capsys)
    assert len(table.read(out)) == 2


def test_decode_refuses_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"GIF89a....")
    code, _, err = run("decode", str(file), capsys=capsys)
    assert code == 2
    assert "error[E611]" in err


def test_the_dissector_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert 'Proto("hdp"' in run("dissector", capsys=capsys)[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["client", "192.0.2.1", "--protocol", "x"],
        ["client", "192.0.2.1", "--protocol", "5-1"],
        ["client", "192.0.2.1", "--count", "0"],
        ["client", "192.0.2.1", "--interval", "-1"],
        ["client", "192.0.2.1", "--interval", "nan"],
        ["sweep", "192.0.2.1", "--packets", "256"],
        ["sweep", "192.0.2.1", "--numbers", "1-99999"],
        ["nothing"],
        [],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["hdp", *arguments])
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["sweep"],
        ["sweep", "192.0.2.1", "--from", "a"],
        ["server", "--protocol", "1-3"],
    ],
)
def test_arguments_that_do_not_fit_together(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(*arguments, capsys=capsys)
    assert code == 2
    assert "hint:" in err


SITE = pytest.mark.netlab(topology="topologies/hdp/site.yaml")


@pytest.mark.kernel
@SITE
def test_a_cow_crosses_the_lab(netlab: Lab) -> None:
    cow = " _____\n< moo >\n -----\n"
    server, client = netlab["server"], netlab["client"]
    with server.popen(
        [*NETLAB, "hdp", "server", "--count", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as listening:  # fmt: skip
        assert listening.stderr is not None
        assert listening.stderr.readline() == "listening: IPv4, protocol 253\n"
        sent = client.run(
            [*NETLAB, "hdp", "client", server.address, "--count", "2", "--interval", "0"],
            input=cow, check=True,
        )  # fmt: skip
        out, err = listening.communicate(timeout=20)
    assert listening.returncode == 0
    assert out.count("      < moo >\n") == 2
    assert "ttl 63" in out
    assert err == "2 received\n"
    rows = table.read(sent.stdout)
    assert [getattr(row, "succeeded", None) for row in rows] == [True, True]


@pytest.mark.kernel
@SITE
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_stopped_prints_its_table(netlab: Lab, stop: signal.Signals) -> None:
    server, client = netlab["server"], netlab["client"]
    with server.popen(
        [*NETLAB, "hdp", "server", "--protocol", "all", "--family", "6", "--format", "csv"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as listening:  # fmt: skip
        assert listening.stderr is not None
        assert listening.stderr.readline() == "listening: IPv6, all protocols\n"
        sent = client.run(
            [*NETLAB, "hdp", "client", next(a for a in server.addresses if ":" in a), "--grow",
             "--protocol", "100-199", "--interval", "0", "--format", "json"],
            check=True,
        )  # fmt: skip
        listening.send_signal(stop)
        out, err = listening.communicate(timeout=20)
    assert err == "100 received\n"
    sent_rows = [row for row in table.read(sent.stdout) if isinstance(row, table.ClientRow)]
    came_rows = [row for row in table.read(out) if isinstance(row, table.ServerRow)]
    assert all(row.received for row in table.merge(sent_rows, came_rows))


@pytest.mark.kernel
@SITE
def test_a_sweep_of_an_own_address_is_watched_here(netlab: Lab) -> None:
    ran = netlab["client"].run(
        [*NETLAB, "hdp", "sweep", "127.0.0.1", "--listen", "--numbers", "1-9,256", "--json",
         "--wait", "0.1"],
        check=True,
    )  # fmt: skip
    rows = {row["argument"]: row for row in json.loads(ran.stdout)["rows"]}
    assert [rows[number]["received"] for number in range(1, 10)] == [3] * 9
    assert (rows[256]["received"], rows[256]["reply"]) == (0, "icmp 3/2")


@pytest.mark.kernel
@SITE
def test_a_sweep_of_another_machine_sees_the_replies(netlab: Lab, tmp_path: Path) -> None:
    picture = tmp_path / "grid.svg"
    ran = netlab["client"].run(
        [*NETLAB, "hdp", "sweep", netlab["server"].address, "--numbers", "6,200",
         "--packets", "1", "--wait", "0.1", "--csv", "--svg", str(picture)],
        check=True,
    )  # fmt: skip
    assert ran.stdout.splitlines()[1:] == [
        "6,6,,,1,1,,,,,unknown,sent; the target was not watched",
        "200,200,,,1,1,,,icmp 3/2,,refused,no listener: icmp 3/2 protocol unreachable",
    ]
    assert picture.read_text().startswith("<svg")
