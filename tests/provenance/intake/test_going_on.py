"""An intake that is stopped, killed or begun twice goes on where it was, and gives what one in peace gives."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provenance.intake.decoding import child_environment
from provenance.intake.errors import IntakeError
from provenance.intake.labels import Labels
from provenance.intake.take_in import IntakeOptions, take_in

from .samples import MEMBERS, ONE, jpeg, options, tree_of, write_folder, write_tar, write_zip

pytestmark = pytest.mark.long


def many(count=2300):
    """Enough members for several blocks, with some of every trouble."""
    members = [(f"class{number % 7}/{number:05d}.jpg", jpeg(number % 500)) for number in range(count)]
    members[10] = ("class3/00010.jpg", jpeg(10)[:-9])
    members[1500] = ("../evil.jpg", jpeg())
    members[1501] = ("class0/notes.txt", b"text")
    members[2100] = ("Class1/00001.jpg", jpeg())
    return members


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "folder"])
def test_stopping_anywhere_and_going_on_gives_the_same_manifest(tmp_path, kind):
    members = many()
    if kind == "zip":
        source = write_zip(tmp_path / "source.zip", members)
    elif kind == "tar.gz":
        source = write_tar(tmp_path / "source.tar.gz", members, "w:gz")
    else:
        source = write_folder(tmp_path / "source", [member for member in members if not member[0].startswith("..")])
    settings = options(labels=Labels("folder"))
    whole = take_in(source, tmp_path / "whole", settings)
    for stop_after in range(1, 40):
        calls = iter(range(stop_after))

        def progress(done, total, phase, calls=calls):
            if next(calls, None) is None:
                raise InterruptedError

        try:
            taken = take_in(source, tmp_path / "pieces", settings, progress)
        except InterruptedError:
            continue
        break
    assert stop_after > 4
    assert tree_of(taken.manifest) == tree_of(whole.manifest)
    assert kind == "folder" or tree_of(taken.files) == tree_of(whole.files)


def test_a_killed_intake_goes_on_without_a_second_copy(tmp_path):
    source = write_zip(tmp_path / "source.zip", many(4200))
    settings = IntakeOptions(labels=Labels("folder"), processes=2)
    whole = take_in(source, tmp_path / "whole", settings)
    script = (
        "import sys; from pathlib import Path; from provenance.intake.labels import Labels\n"
        "from provenance.intake.take_in import IntakeOptions, take_in\n"
        "take_in(Path(sys.argv[1]), Path(sys.argv[2]), IntakeOptions(labels=Labels('folder'), processes=2))"
    )
    work = tmp_path / "killed"
    kills = 0
    generator = random.Random(4)
    while not (work / "manifest" / "facts.json").exists() and kills < 5:
        child = subprocess.Popen([sys.executable, "-c", script, str(source), str(work)], env=child_environment())
        before = _steps(work)
        deadline = time.monotonic() + 30
        while child.poll() is None and _steps(work) == before and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.02))
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            kills += 1
        child.wait()
        time.sleep(0.1)  # its own children see that it is gone
    assert kills >= 2
    taken = take_in(source, work, settings)
    assert tree_of(taken.manifest) == tree_of(whole.manifest)
    assert tree_of(taken.files) == tree_of(whole.files)
    assert sorted(path.name for path in work.iterdir()) == ["files", "lock", "manifest"]


def _steps(work: Path) -> tuple[bytes, int, bool]:
    """What a run has stored so far."""
    journal = work / "work" / "extraction.json"
    blocks = work / "manifest" / "blocks"
    return (
        journal.read_bytes() if journal.exists() else b"",
        len(list(blocks.iterdir())) if blocks.exists() else 0,
        (work / "work" / "listing.json").exists(),
    )


def test_a_finished_intake_only_answers(tmp_path):
    source = write_zip(tmp_path / "a.zip", MEMBERS)
    first = take_in(source, tmp_path / "work", ONE)
    source.unlink()
    phases = []
    again = take_in(source, tmp_path / "work", ONE, progress=lambda done, total, phase: phases.append(phase))
    assert again == first
    assert phases == []


def test_a_source_that_changed_in_between_is_refused(tmp_path):
    source = write_zip(tmp_path / "a.zip", MEMBERS)

    def stop(done, total, phase):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        take_in(source, tmp_path / "work", ONE, stop)
    write_zip(source, MEMBERS[:3])
    with pytest.raises(IntakeError, match="changed"):
        take_in(source, tmp_path / "work", ONE)


def test_two_intakes_cannot_share_a_folder(tmp_path):
    source = write_folder(tmp_path / "source", MEMBERS)

    def begin_again(done, total, phase):
        take_in(source, tmp_path / "work", ONE)

    with pytest.raises(IntakeError, match="Another process"):
        take_in(source, tmp_path / "work", ONE, progress=begin_again)


def test_an_intake_waits_for_one_that_is_about_to_end(tmp_path):
    source = write_folder(tmp_path / "source", MEMBERS)
    (tmp_path / "work").mkdir()
    script = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX);"
        "print('locked', flush=True); time.sleep(0.7)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "work" / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "locked\n"
        taken = take_in(source, tmp_path / "work", options(lock_seconds=20))
    assert taken.facts["files"] == 5


def test_two_processes_give_what_one_gives(tmp_path):
    source = write_folder(tmp_path / "source", [member for member in many() if not member[0].startswith("..")])
    one = take_in(source, tmp_path / "one", IntakeOptions(processes=1))
    two = take_in(source, tmp_path / "two", IntakeOptions(processes=3))
    assert tree_of(one.manifest) == tree_of(two.manifest)


def test_progress_rises_to_the_number_of_files(tmp_path):
    source = write_folder(tmp_path / "source", [member for member in many() if not member[0].startswith("..")])
    told = []
    take_in(source, tmp_path / "work", ONE, progress=lambda *step: told.append(step))
    reading = [done for done, total, phase in told if phase == "reading the files"]
    assert reading == sorted(reading)
    assert reading[-1] == 2299
    assert {total for _, total, phase in told if phase == "reading the files"} == {2299}
