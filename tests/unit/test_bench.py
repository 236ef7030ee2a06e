"""The benchmark program's plumbing, with benchmarks that measure nothing. What it measures is not tested: it varies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.bench import guest_stall, libvirt, many_guests
from tests.bench.__main__ import known, main
from tests.bench.benchmark import Benchmark, Options, Unavailable, choose, measured
from tests.bench.engine import rotated
from tests.bench.guest_stall import assembled, longest_gap
from tests.bench.machine import facts
from tests.bench.result import Result, failed, ratio, skipped, spread, table, value

SAMPLES = {"ours": [3.0, 1.0, 2.0], "theirs": [8.0, 10.0, 9.0]}


def good(_options: Options) -> Sequence[Result]:
    return [ratio("good", SAMPLES, ours="ours", theirs="theirs", unit="ms", target=0.25, compared_with="another")]


def absent(_options: Options) -> Sequence[Result]:
    raise Unavailable("the other program is not installed: run with --install-peers")


def broken(_options: Options) -> Sequence[Result]:
    raise RuntimeError("no such guest")


def counted(options: Options) -> Sequence[Result]:
    series = [1.0] * options.take(7)
    return [value("counted", 1.0, {"all": series}, unit="ms", target=None, compared_with="")]


GOOD = Benchmark("good", "a comparison", good)
ABSENT = Benchmark("absent", "needs another program", absent)
BROKEN = Benchmark("broken", "raises", broken)
COUNTED = Benchmark("counted", "takes as many samples as it is told", counted)


def run(folder: Path, *arguments: str, benchmarks: Sequence[Benchmark] = (GOOD, ABSENT)) -> tuple[int, list[Result]]:
    stored = folder / "results.json"
    status = main([*arguments, "--folder", str(folder), "--json", str(stored)], benchmarks)
    return status, [Result(**fields) for fields in json.loads(stored.read_text())["results"]]


def test_ratio_is_of_medians_and_meets_its_target() -> None:
    (result,) = good(Options(Path()))
    assert result.ratio == pytest.approx(2 / 9)
    assert result.medians == {"ours": 2.0, "theirs": 9.0}
    assert (result.target, result.met, result.value, result.unit) == (0.25, True, None, "ms")
    assert (result.samples, result.compared_with) == (SAMPLES, "another")


def test_target_can_be_missed() -> None:
    result = ratio("slow", SAMPLES, ours="theirs", theirs="ours", unit="ms", target=1.0, compared_with="another")
    assert (result.ratio, result.met) == (4.5, False)


def test_target_itself_is_met() -> None:
    assert value("full", 50.0, {}, unit="ms", target=50.0, compared_with="").met is True


def test_figure_without_a_target_is_neither_met_nor_missed() -> None:
    assert value("rate", 50.0, {}, unit="1/s", target=None, compared_with="").met is None


def test_spread_is_the_largest_median_over_the_smallest() -> None:
    series = {"1 GiB": [2.0], "16 GiB": [1.0, 1.0, 4.0], "1 TiB": [3.0]}
    assert spread("size", series, unit="ms", target=1.5, compared_with="").ratio == 3.0


def test_results_and_machine_are_stored(tmp_path: Path) -> None:
    status, (result, _) = run(tmp_path)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert status == 0
    assert result == good(Options(tmp_path))[0]
    assert {"processors", "memory", "file system", "qemu", "libvirt"} <= stored["machine"].keys()


def test_skipping_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, results = run(tmp_path, "absent")
    assert status == 0
    assert results == [skipped("absent", "the other program is not installed: run with --install-peers")]
    assert "skipped: the other program is not installed: run with --install-peers" in capsys.readouterr().out


def test_failure_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, results = run(tmp_path, benchmarks=(BROKEN, GOOD))
    assert status == 1
    assert [result.name for result in results] == ["broken", "good"]
    assert results[0] == failed("broken", "RuntimeError: no such guest")
    assert "FAILED" in capsys.readouterr().out


def test_missed_target_is_no_failure_of_the_program(tmp_path: Path) -> None:
    def slow(_options: Options) -> Sequence[Result]:
        return [value("slow", 2.0, {}, unit="s", target=1.0, compared_with="")]

    status, (result,) = run(tmp_path, benchmarks=(Benchmark("slow", "", slow),))
    assert (status, result.met) == (0, False)


def test_number_of_samples_can_be_asked_for(tmp_path: Path) -> None:
    assert len(run(tmp_path, benchmarks=(COUNTED,))[1][0].samples["all"]) == 7
    assert len(run(tmp_path, "--rounds", "2", benchmarks=(COUNTED,))[1][0].samples["all"]) == 2


@pytest.mark.parametrize("rounds", ["0", "-1", "many"])
def test_nonsense_for_rounds_is_refused(rounds: str) -> None:
    with pytest.raises(SystemExit):
        main(["--rounds", rounds], [COUNTED])


def test_names_choose_in_the_order_of_the_program() -> None:
    every = [GOOD, ABSENT, BROKEN]
    assert choose(every, []) == every
    assert choose(every, ["b*", "good"]) == [GOOD, BROKEN]


def test_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["good", "bad"], [GOOD])
    assert "there is no benchmark bad" in capsys.readouterr().err


def test_list_measures_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"], [BROKEN, ABSENT]) == 0
    assert capsys.readouterr().out.splitlines() == ["broken  raises", "absent  needs another program"]


def test_table_has_a_line_for_each_result() -> None:
    lines = table([*good(Options(Path())), skipped("absent", "why"), failed("broken", "how")]).splitlines()
    assert [line.split() for line in lines[2:5]] == [
        ["good", "0.222", "x", "<=", "0.25", "x", "met", "3"],
        ["absent", "-", "-", "skipped", "-"],
        ["broken", "-", "-", "FAILED", "-"],
    ]


def test_benchmarks_have_names_of_their_own() -> None:
    names = [benchmark.name for benchmark in known()]
    assert len(set(names)) == len(names)
    assert all(benchmark.about for benchmark in known())


def test_missing_libvirt_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.bench.libvirt.shutil.which", lambda *_args, **_kw: None)
    (result,) = measured(next(b for b in known() if b.name == "snapshot-1-disk"), Options(tmp_path))
    assert result.skipped is not None
    assert "libvirt is not installed (virsh, virtqemud or libvirtd missing)" in result.skipped
    assert "--install-peers" in result.skipped
    assert list(tmp_path.iterdir()) == []


def test_libvirt_is_installed_only_when_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed: list[str] = []
    missing = [["virsh"], []]
    monkeypatch.setattr(libvirt, "_missing", lambda: missing.pop(0))
    monkeypatch.setattr(libvirt, "_install", lambda: installed.append("libvirt"))
    libvirt.ensure(Options(tmp_path, install_peers=True))
    assert installed == ["libvirt"]


def test_rounds_begin_with_another_series_each_time() -> None:
    assert [rotated(["a", "b", "c"], number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_machine_facts_name_no_machine(tmp_path: Path) -> None:
    assert all(text and "/" not in text for name, text in facts(tmp_path).items() if name != "system")


def test_longest_gap_counts_the_one_that_reaches_into_the_window() -> None:
    ticks = [0.0, 1.0, 2.0, 7.0, 8.0, 9.0, 19.0, 20.0]
    assert longest_gap(ticks, 3.0, 8.5) == 5.0
    assert longest_gap(ticks, 7.5, 8.5) == 1.0
    assert longest_gap(ticks, 7.5, 9.5) == 10.0


@pytest.mark.parametrize("window", [(-1.0, 1.5), (1.5, 30.0)])
def test_guest_that_does_not_tick_around_the_window_is_an_error(window: tuple[float, float]) -> None:
    with pytest.raises(RuntimeError, match="did not tick"):
        longest_gap([0.0, 1.0, 2.0], *window)


@pytest.mark.parametrize("source", [guest_stall.SOURCE, many_guests.SOURCE])
def test_a_guest_of_ours_is_one_boot_sector(source: Path) -> None:
    if shutil.which("nasm") is None:
        pytest.skip("nasm is not installed")
    code = assembled(source)
    assert (len(code), code[-2:]) == (512, b"\x55\xaa")


def test_missing_assembler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.bench.guest_stall.shutil.which", lambda _name: None)
    (result,) = measured(next(b for b in known() if b.name == "guest-stall"), Options(tmp_path))
    assert result.skipped is not None
    assert "nasm is not installed" in result.skipped
