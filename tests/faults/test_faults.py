"""Each fault of the service or the network: what the user sees, what is on the disk, and that the run ends as without it."""

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field

import pytest

from faults.conftest import LIMITS, RECIPE, summary_of
from mock_ibm import faults
from qthreshold.circuits.size import circuit_load
from qthreshold.datafiles import load_named
from qthreshold.device import Device
from qthreshold.limits import Limits
from qthreshold.plan import Plan
from qthreshold.store import RunDirectory
from qthreshold.ticket import Ticket
from reference.commands import command, plain_environment

IMPATIENT = {"QTHRESHOLD_PATIENCE": "first=0.05,longest=0.1,tries=1,pause=0.05,settle=0.1,read=1.5,post=3"}


@dataclass
class Case:
    """A fault, and what the command that meets it does.

    Attributes:
        name: For people.
        route, fault, times, skip: As for MockIBM.inject.
        code: Exit code of the command that meets it; 0: nobody notices.
        says: Words on stderr.
        on: The command.
        again: Options of the commands that come after, once the fault is gone.
        fast: Part of the default test run.
    """

    name: str
    route: str
    fault: faults.Fault
    times: int | None = 1
    skip: int = 2
    code: int = 0
    says: str = ""
    on: str = "submit"
    again: tuple[str, ...] = ()
    env: dict = field(default_factory=dict)
    fast: bool = False


POST, JOB, RESULT = "POST /jobs", "GET /jobs/*", "GET /jobs/*/results"
CASES = [
    Case("401 on submit once", POST, faults.status(401)),
    Case("401 on submit for ever", POST, faults.status(401), times=None, code=2, says="IBM did not accept the account"),
    Case("403 on submit for ever", POST, faults.status(403), times=None, code=2, says="IBM did not accept the account"),
    Case("400 on submit", POST, faults.status(400), code=4, says="refused the request about 'ibm_mock' (status 400)"),
    Case("413 on submit", POST, faults.status(413), code=4, says="too large (status 413); copy backends/limits/ibm.toml"),
    Case("429 on submit with Retry-After", POST, faults.status(429, retry_after=1), says="trying again"),
    Case("429 on submit without Retry-After", POST, faults.status(429), says="trying again"),
    Case("429 on submit for ever", POST, faults.status(429), times=None, code=4, says="takes no more requests or jobs for the moment"),
    Case("500 on submit once", POST, faults.status(500), says="trying again"),
    Case("503 on submit once", POST, faults.status(503), says="trying again"),
    Case("500 on submit once, but accepted", POST, faults.status(500, accepted=True), says="trying again"),
    Case("500 on every submit, but accepted", POST, faults.status(500, accepted=True), times=None, skip=0),
    Case("500 on submit for ever", POST, faults.status(500), times=None, code=4, says="failed for the moment", env=IMPATIENT),
    Case("connection dropped before the job is accepted", POST, faults.drop(), says="trying again"),
    Case("connection dropped after the job was accepted", POST, faults.drop(accepted=True), says="trying again", fast=True),
    Case("connections dropped for ever", POST, faults.drop(), times=None, code=4, says="failed for the moment"),
    Case("connections dropped for ever, jobs accepted", POST, faults.drop(accepted=True), times=None),
    Case("submit stalls, job accepted", POST, faults.stall(), code=4, says="whether the job arrived is asked when the run is resumed"),
    Case("submit stalls, job not accepted", POST, faults.stall(accepted=False), code=4, says="whether the job arrived is asked"),
    Case("the answer to a submit is cut off", POST, faults.truncate(), says="trying again"),
    Case("the answer to a submit is empty", POST, faults.empty(), says="trying again"),
    Case("usage cannot be asked before a submit", "GET /instances/usage", faults.status(400), code=4, skip=1, says="status 400"),
    Case("status cannot be asked before a submit", "GET /backends/*/status", faults.drop(), skip=2),
    Case("no batch can be opened", "POST /sessions", faults.status(400), skip=0, code=4, says="status 400"),
    Case("the list of jobs fails once", "GET /jobs", faults.status(500), skip=0),
    Case("no devices are listed", "GET /backends", faults.status(403), times=None, skip=0, code=2, says="did not accept the account"),
    Case("a look stalls", JOB, faults.stall(6), on="collect"),
    Case("a look is dropped", JOB, faults.drop(), on="collect"),
    Case("a look is answered with 500", JOB, faults.status(500), on="collect"),
    Case("a look is answered with 429 and Retry-After", JOB, faults.status(429, retry_after=1), on="collect"),
    Case("a look is answered with 429", JOB, faults.status(429), on="collect", says="trying again"),
    Case("500 on looks for ever", JOB, faults.status(500), times=None, on="collect", code=4, says="try again later", env=IMPATIENT),
    Case("401 on a look once", JOB, faults.status(401), on="collect"),
    Case("401 on looks for ever", JOB, faults.status(401), times=None, on="collect", code=2, says="did not accept the account"),
    Case("404 on a look", JOB, faults.status(404), times=None, skip=0, on="collect", code=4, says="status 404"),
    Case("a result is cut off", RESULT, faults.truncate(), on="collect", says="cannot be read"),
    Case("results are cut off for ever", RESULT, faults.truncate(), times=None, on="collect", code=4, says="the jobs are kept"),
    Case("a result is empty", RESULT, faults.empty(), on="collect", says="is empty"),
    Case("results are empty for ever", RESULT, faults.empty(), times=None, on="collect", code=4, says="the jobs are kept"),
    Case("a result is dropped", RESULT, faults.drop(), on="collect"),
    Case("a result is answered with 500", RESULT, faults.status(500), on="collect"),
    Case("a result stalls", RESULT, faults.stall(6), on="collect"),
    Case("the usage of a job cannot be asked", "GET /jobs/*/metrics", faults.status(404), times=3, on="collect"),
    Case("a job fails", POST, faults.job_fails("Circuit rejected", 1517), on="collect", code=4, says="failed: ", again=("--retry",)),
    Case("a job is cancelled by the provider", POST, faults.job_cancelled(), on="collect", code=4, says="was cancelled", again=("--retry",)),
    Case("a job takes too long", POST, faults.job_times_out(), on="collect", code=4, says="took longer than it may", again=("--retry",)),
    Case("all jobs fail", POST, faults.job_fails(), times=None, skip=0, on="collect", code=4, says="7 of 7 jobs", again=("--retry",)),
    Case("no token once", "POST /identity/token", faults.status(500), skip=0),
    Case("no token once while collecting", "POST /identity/token", faults.drop(), skip=0, on="collect"),
]


LEAVES = {
    "401 on submit for ever": "refused", "403 on submit for ever": "refused", "400 on submit": "refused", "413 on submit": "refused",
    "429 on submit for ever": "refused", "500 on submit for ever": "absent", "connections dropped for ever": "absent",
    "submit stalls, job accepted": "intent", "submit stalls, job not accepted": "intent", "usage cannot be asked before a submit": "refused",
    "no batch can be opened": "refused", "no devices are listed": "", "500 on looks for ever": "charged", "401 on looks for ever": "charged",
    "404 on a look": "submitted", "results are cut off for ever": "charged", "results are empty for ever": "charged", "a job fails": "charged",
    "a job is cancelled by the provider": "charged", "a job takes too long": "charged", "all jobs fail": "charged",
}  # fmt: skip
"""The last event in the journal after a command that a fault has stopped."""


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name, marks=() if c.fast else pytest.mark.system) for c in CASES])
def test_a_fault_is_explained_and_the_run_ends_as_without_it(case, bench, reference):
    b = bench()
    job_level = case.on == "collect" and case.route == POST
    if case.on == "submit" or job_level:
        b.mock.inject(case.route, case.fault, case.times, case.skip)
    first = b.submit(env=case.env)
    if case.on == "collect":
        assert first.code == 0, first.err
        if not job_level:
            b.mock.inject(case.route, case.fault, case.times, case.skip)
        first = b.collect(env=case.env)
    assert b.mock.injected >= 1
    assert first.code == case.code, first
    assert case.says in first.err, first.err
    left = b.events()[-1]["event"] if b.events() else ""
    assert left == (LEAVES[case.name] if case.code else "submitted" if case.on == "submit" else "charged"), b.events()[-3:]
    if case.code:
        assert first.err.count("qthreshold: ") == 1
    b.mock.clear_faults()
    second = b.submit(*case.again)
    assert second.code == 0, second.err
    assert b.collect().code == 0
    b.settle(reference)


@pytest.mark.system
def test_a_slow_queue_is_waited_for_and_shown(bench, reference):
    b = bench(queue_polls=4, running_polls=2)
    assert b.submit().code == 0
    answer = b.collect()
    assert answer.code == 0
    assert "job 1 of 7: queued" in answer.err
    assert "waiting for the device" in answer.err
    b.settle(reference)


@pytest.mark.system
def test_nobody_has_to_wait(bench, reference):
    b = bench()
    b.mock.inject(POST, faults.job_held(), times=None)
    assert b.submit().code == 0
    answer = b.collect("--wait", 0.3)
    assert answer.code == 4
    assert "is still queued; it goes on, 'qthreshold collect" in answer.err
    b.mock.release()
    assert b.collect().code == 0
    b.settle(reference)


@pytest.mark.system
def test_tokens_that_expire_are_renewed(bench, reference):
    b = bench(token_lifetime=11.0, queue_polls=3)  # the client asks for a new one 10 s before the end
    assert b.submit().code == 0
    assert b.collect().code == 0
    assert len([a for a in b.mock.authorizations if a.startswith("Bearer")]) > 2
    b.settle(reference)


@pytest.mark.system
def test_tokens_that_are_revoked_ask_for_another_start(bench, reference):
    b = bench(queue_polls=2)
    assert b.submit().code == 0
    pid = b.zygote.start("collect", b.run, "--no-progress", out=b.home / "output", env=b.env, cwd=b.home)
    while not b.counts():
        assert not b.zygote.ended(pid)
        time.sleep(0.01)
    b.mock.expire_tokens()
    assert b.zygote.wait(pid) in (0, 2)
    assert b.collect().code == 0
    b.settle(reference)


@pytest.mark.system
def test_a_device_that_is_offline_gets_nothing(bench, reference):
    b = bench()
    b.mock.set_operational("ibm_mock", False, "maintenance")
    answer = b.submit()
    assert answer.code == 4
    assert "ibm_mock is offline (maintenance); nothing was sent; finish it with 'qthreshold resume" in answer.err
    assert not b.mock.jobs
    assert b.qthreshold("doctor", "--backend", "ibm:ibm_mock").code == 4
    b.mock.set_operational("ibm_mock", True)
    assert b.submit().code == 0
    b.mock.set_operational("ibm_mock", False, "maintenance")  # results can be fetched all the same
    assert b.collect().code == 0
    b.settle(reference)


@pytest.mark.system
def test_new_errors_of_the_device_are_kept_and_change_nothing_else(bench, reference):
    b = bench()
    b.mock.change_calibration("ibm_mock", scale_errors=1.5)
    assert b.submit().code == 0
    assert len(list((b.run / "calibration").iterdir())) == 2
    assert [e["file"] for e in b.events("calibration")] == ["calibration/0001.json"]
    assert b.collect().code == 0
    b.settle(reference)


def test_a_pair_that_broke_since_planning_stops_everything(bench):
    b = bench()
    b.mock.change_calibration("ibm_mock", remove_edges=[(1, 2)])
    answer = b.submit()
    assert answer.code == 2
    assert "offers no cx in this direction now" in answer.err
    assert "nothing was sent" in answer.err
    assert not b.mock.jobs


@pytest.mark.system
def test_what_other_jobs_gave_is_analysed_and_the_missing_circuits_are_named(bench, reference, reference_summary):
    b = bench()
    b.mock.inject(POST, faults.job_fails("no luck", 9999), times=1, skip=6)
    answer = b.qthreshold("resume", b.run, "--max-qpu-seconds", 100, "--no-progress")
    assert answer.code == 4
    assert "missing circuits" in answer.out
    assert "qthreshold resume" in answer.err
    assert "--retry" in answer.err
    summary = summary_of(b.run)
    assert 0 < len(summary["missing_circuits"]) <= 12
    assert all(name.startswith("c0000") for name in summary["missing_circuits"])
    assert b.qthreshold("resume", b.run, "--retry", "-q", "--no-progress").code == 0
    b.settle(reference)
    again = summary_of(b.run)
    assert again["cost"]["actual_qpu_seconds"] == pytest.approx(reference_summary["cost"]["actual_qpu_seconds"])
    assert again == reference_summary


@pytest.mark.system
def test_a_job_whose_result_never_comes_is_given_up_only_on_request(bench, reference):
    b = bench()
    assert b.submit().code == 0
    spoilt = b.mock.jobs[3].id
    b.mock.inject(f"GET /jobs/{spoilt}/results", faults.truncate(), times=None)
    answer = b.collect()
    assert answer.code == 4
    assert "--retry --resubmit' gives them up and sends new ones" in answer.err
    assert b.qthreshold("resume", b.run, "--retry", "-q").code == 4
    assert len(b.mock.jobs) == 7
    assert b.qthreshold("resume", b.run, "--retry", "--resubmit", "-q").code == 0
    assert len(b.mock.jobs) == 8
    assert b.counts() == reference


@pytest.mark.system
def test_the_cap_holds_before_anything_is_sent_and_at_the_provider(bench, reference):
    b = bench()
    answer = b.qthreshold("submit", b.run, "--max-qpu-seconds", 5, "--no-progress")
    assert answer.code == 4
    assert "would exceed the cap of 5 s; nothing more was sent" in answer.err
    assert not b.mock.jobs
    assert b.qthreshold("submit", b.run, "--no-progress").code == 2  # nobody agreed to anything yet
    assert b.submit().code == 0
    limits = [job.cost for job in b.mock.jobs]
    assert sum(limits) <= 100  # even if every job took as long as it may
    assert all(limit >= e["estimate"] for limit, e in zip(limits, b.events("intent"), strict=True))
    assert b.collect().code == 0
    b.settle(reference)


@pytest.mark.system
def test_a_device_that_is_slower_than_was_estimated_keeps_the_cap_all_the_same(bench):
    b = bench(base_seconds=12.0)
    assert b.qthreshold("submit", b.run, "--max-qpu-seconds", 40).code == 0
    answer = b.collect()
    assert answer.code == 4
    assert "took longer than it may" in answer.err
    charged = [e["seconds"] for e in b.events("charged")]
    assert len(charged) == 7
    assert sum(charged) <= 40  # where 84 s would have been needed
    answer = b.submit_without_cap("--retry")
    assert answer.code == 4
    assert "would exceed the cap of 40 s" in answer.err
    assert len(b.mock.jobs) == 7


@pytest.mark.system
def test_a_copy_of_a_run_sends_nothing_that_was_sent_from_the_original(bench, reference):
    b = bench()
    before = shutil.copytree(b.run, b.home / "copy")
    assert b.submit().code == 0
    shutil.rmtree(b.run)
    b.run = before  # as it was before anything was sent, as from a backup
    assert b.submit().code == 0
    assert len(b.mock.jobs) == 7
    assert sum(e.get("found", False) for e in b.events("submitted")) == 7
    assert b.collect().code == 0
    b.settle(reference)


@pytest.mark.system
def test_a_job_that_shows_late_is_taken_over_and_not_sent_again(bench, reference):
    b = bench()
    b.mock.inject(POST, faults.stall(), skip=2)
    assert b.submit().code == 4
    b.mock.inject("GET /jobs", faults.lagging_list(), times=2)  # the service's list lags behind
    b.mock.inject(POST, faults.status(400), times=1)  # and the next submission stops too
    assert b.submit().code == 4
    assert b.submit().code == 0
    assert len(b.mock.jobs) == 7
    assert b.collect().code == 0
    b.settle(reference)


@pytest.mark.system
def test_cancelling_leaves_nothing_under_way_and_retry_brings_it_back(bench, reference):
    b = bench()
    b.mock.inject(POST, faults.job_held(), times=None, skip=2)
    assert b.submit().code == 0
    assert b.collect("--wait", 0).code == 4
    answer = b.qthreshold("cancel", b.run)
    assert answer.code == 0
    assert answer.out.count("cancelled") == 5
    assert {j.state for j in b.mock.jobs} == {"Completed", "Cancelled"}
    assert b.qthreshold("cancel", b.run).out.startswith("Nothing was under way")
    b.mock.clear_faults()
    assert b.collect().code == 4
    assert b.submit("--retry").code == 0
    assert b.collect().code == 0
    b.settle(reference)


@pytest.mark.system
def test_another_machine_with_a_copy_of_the_run_collects(bench, reference, tmp_path):
    b = bench()
    assert b.submit().code == 0
    other = shutil.copytree(b.run, tmp_path / "elsewhere")
    shutil.rmtree(b.run)
    b.run = other
    assert b.collect().code == 0
    b.settle(reference)


def test_a_second_process_stops_with_a_message(bench):
    b = bench()
    b.mock.inject(POST, faults.job_held(), times=None)
    assert b.submit().code == 0
    (b.home / "first.err").touch()
    pid = b.zygote.start("collect", b.run, out=b.home / "first", env=b.env, cwd=b.home)
    while "job 1 of 7: queued" not in (b.home / "first.err").read_text():
        assert not b.zygote.ended(pid)
        time.sleep(0.02)
    answer = b.collect()
    assert answer.code == 4
    assert "another process is working on" in answer.err
    os.kill(pid, 2)
    assert b.zygote.wait(pid) == 130
    said = (b.home / "first.err").read_text()
    assert "its jobs go on at the provider: 'qthreshold collect" in said
    assert "'qthreshold cancel" in said


@pytest.mark.system
@pytest.mark.parametrize("options", ["sampler=legacy", "mode=job", "sampler=legacy&mode=job"])
def test_the_older_sampler_and_job_mode_run_the_same_circuits(options, bench, reference):
    b = bench()
    home = b.home
    (home / "recipe.toml").write_text(RECIPE)
    (home / "limits.toml").write_text(LIMITS)
    spec = f"ibm:ibm_mock?limits=limits.toml&{options}"
    answer = b.qthreshold("plan", home / "other", "-b", spec, "-r", "recipe.toml", "--seed", 5)
    assert answer.code == 0, answer.err
    b.run = home / "other"
    assert b.submit().code == 0
    assert b.collect().code == 0
    assert {job.session_id is None for job in b.mock.jobs} == {"mode=job" in options}
    assert {job.program for job in b.mock.jobs} == {"sampler" if "legacy" in options else "executor"}
    assert all(job.runs == 1 for job in b.mock.jobs)
    assert len(b.counts()) == len(reference)


@pytest.mark.system
def test_an_instance_without_time_gets_nothing(bench):
    b = bench(usage_limit=0.0)
    answer = b.submit()
    assert answer.code == 4
    assert "the instance has no device time left; nothing was sent" in answer.err
    assert not b.mock.jobs
    assert b.qthreshold("doctor", "-b", "ibm:ibm_mock").code == 4


@pytest.mark.system
def test_results_outlive_the_device(bench, reference):
    b = bench()
    assert b.submit().code == 0
    b.mock.inject("GET /backends/*/configuration", faults.status(404), times=None)
    b.mock.inject("GET /backends/*/properties", faults.status(404), times=None)
    b.mock.inject("GET /backends/*/status", faults.status(404), times=None)
    answer = b.qthreshold("resume", b.run, "-q")
    assert answer.code == 0, answer.err
    b.settle(reference)


@pytest.mark.system
def test_the_least_busy_device_is_named_in_the_run(bench):
    b = bench()
    assert b.qthreshold("plan", "other", "-b", "ibm:least-busy", "-r", "quick").code == 0
    assert '"backend": "ibm:ibm_mock"' in (b.home / "other/run.json").read_text()


@pytest.mark.system
def test_error_suppression_is_off_unless_the_recipe_turns_it_on(bench, reference):
    b = bench()
    assert b.submit().code == 0
    assert b.collect().code == 0
    for job in b.mock.jobs:
        assert job.options["dynamical_decoupling"]["enable"] is False
        assert (job.options["twirling"]["enable_gates"], job.options["twirling"]["enable_measure"]) == (False, False)
        assert job.options["executor"]["rep_delay"] == pytest.approx(250e-6)
    b.settle(reference)
    (b.home / "on.toml").write_text(RECIPE + 'execution = { dynamical_decoupling = "XY4", measure_twirling = true, repetition_delay = 3e-4 }\n')
    sent = len(b.mock.jobs)
    answer = b.qthreshold("run", "-b", "ibm:ibm_mock", "-r", "on.toml", "-o", "on", "--max-qpu-seconds", 100, "--json")
    assert answer.code == 0, answer.err
    for job in b.mock.jobs[sent:]:
        assert job.options["dynamical_decoupling"]["sequence_type"] == "XY4"
        assert (job.options["twirling"]["enable_gates"], job.options["twirling"]["enable_measure"]) == (False, True)
        assert job.options["executor"]["rep_delay"] == pytest.approx(3e-4)


def ask(b, reply, *args):
    """Run a command on a terminal and answer its question with text or a signal; returns exit code and what the terminal showed."""
    here, there = pty.openpty()
    env = plain_environment() | b.env | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        command(*args), stdin=there, stdout=there, stderr=there, env=env, cwd=b.home, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background job would ignore it
    )  # fmt: skip
    os.close(there)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while select.select([here], [], [], 60)[0] and (chunk := os.read(here, 4096)):
            shown += chunk
            if b"Submit?" in shown and reply:
                process.send_signal(reply) if isinstance(reply, signal.Signals) else os.write(here, reply)
                reply = b""
    os.close(here)
    return process.wait(60), shown.decode()


@pytest.mark.system
def test_a_person_at_a_terminal_is_asked(bench):
    b = bench()
    code, shown = ask(b, b"n\n", "submit", b.run)
    assert code == 2
    assert "7 jobs on ibm_mock, about" in shown
    assert "(without a cap). Submit?" in shown
    assert "nothing was sent" in shown
    assert not b.mock.jobs
    code, shown = ask(b, signal.SIGINT, "submit", b.run)
    assert code == 130, shown
    assert "Traceback" not in shown
    code, shown = ask(b, b"y\n", "submit", b.run, "--max-qpu-seconds", "90")
    assert code == 0, shown
    assert "(at most 90 s in all). Submit?" in shown
    assert len(b.mock.jobs) == 7
    code, shown = ask(b, b"", "run", "-b", "ibm:ibm_mock", "-r", "quick", "-o", "r", "--yes")
    assert code == 0, shown
    assert "Submit?" not in shown


@pytest.mark.system
def test_requests_are_no_larger_than_was_reckoned(bench):
    b = bench()
    assert b.submit().code == 0
    run = RunDirectory(b.run)
    plan, device = run.read_record("plan.npz", Plan), run.read_record("device.json", Device)
    limits = load_named("backends/limits", "ibm", Limits, "limits")
    instructions = circuit_load(plan, device, {}).instructions
    for name, job in zip(run.names("tickets"), b.mock.jobs, strict=True):
        circuits = run.read_record(name, Ticket).circuits
        assert job.num_circuits == len(circuits)
        assert job.payload_bytes <= instructions[circuits].sum() * limits.bytes_per_instruction + limits.bytes_per_circuit * len(circuits)
