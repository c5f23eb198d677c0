from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from avfeat.errors import MediaError
from avfeat.training.cli.ranks import leads

GONE = "error: gone: no such file or folder.\n"
TRAIN = ("-o", "run", "--recipe", "smoke", "--device", "cpu")


@pytest.fixture(autouse=True)
def own_handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """This process is the one of that rank, as ``torchrun`` starts them."""

    def work(rank: int, attempt: int = 0, local: int | None = None) -> None:
        own = tmp_path / "torchelastic" / f"attempt_{attempt}" / str(rank)
        own.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("LOCAL_RANK", str(rank if local is None else local))
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(own / "error.json"))

    return work


@pytest.mark.parametrize("first", [0, 1])
def test_what_all_processes_fail_of_is_said_once(avfeat_command, become, first: int) -> None:
    become(first)
    ran = avfeat_command("train", "gone", *TRAIN)
    assert (ran.status, ran.out, ran.err) == (1, "", GONE)
    # Whoever speaks is not ended by torchrun before it has.
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    become(1 - first)
    ran = avfeat_command("train", "gone", *TRAIN)
    assert (ran.status, ran.out, ran.err) == (1, "", "")


def test_the_status_stays_that_of_wrong_usage(avfeat_command, become) -> None:
    found = []
    for rank in (0, 1):
        become(rank)
        found.append(avfeat_command("train", "gone", *TRAIN, "--set", "stesp=1"))
    assert [ran.status for ran in found] == [2, 2]
    assert "there is no setting 'stesp'" in found[0].err and found[1].err == ""


def test_what_another_process_alone_fails_of_is_said_there(avfeat_command, become) -> None:
    become(0)
    assert avfeat_command("train", "gone", *TRAIN).err == GONE
    become(1)
    ran = avfeat_command("train", "elsewhere", *TRAIN)
    assert ran.status == 1 and ran.err == "error: elsewhere: no such file or folder.\n"


def test_the_next_start_says_it_again(avfeat_command, become) -> None:
    for attempt in (0, 1):
        become(0, attempt)
        assert avfeat_command("train", "gone", *TRAIN).err == GONE


def test_the_way_to_the_traceback_is_everyones(avfeat_command, become, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVFEAT_DEBUG", "1")
    for rank in (0, 1):
        become(rank)
        with pytest.raises(MediaError, match="gone: no such file"):
            avfeat_command("train", "gone", *TRAIN)


def test_where_it_cannot_be_known_everyone_speaks(
    avfeat_command, become, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    for _ in range(2):
        assert avfeat_command("train", "gone", *TRAIN).err == GONE
    assert sorted(tmp_path.rglob("*")) == before
    for rank in (0, 1):
        # A folder that is laid out otherwise may be that of other trainings, too.
        become(rank, local=rank + 1)
        assert avfeat_command("train", "gone", *TRAIN).err == GONE
    for rank in (0, 1):
        become(rank)
        monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "nowhere" / str(rank) / "error.json"))
        assert avfeat_command("train", "gone", *TRAIN).err == GONE


def test_the_first_process_leads(become, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert leads()
    become(0)
    assert leads()
    become(1)
    assert not leads()
