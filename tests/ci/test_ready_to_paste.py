"""The files in ``ci/`` and ``action.yml``: their shell steps run here, with the environment that those systems set."""

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from qthreshold import workflow
from qthreshold.gate import Gate
from reference.commands import plain_environment

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash")
SECRET = "s3cret-token-of-a-lab"

pytestmark = [pytest.mark.system, pytest.mark.skipif(BASH is None, reason="needs bash")]


def read(name):
    return (ROOT / name).read_text()


@pytest.fixture
def machine(tmp_path):
    """A runner: ``pip`` and ``python -m venv`` note what they are asked for, ``qthreshold`` is the real one."""
    tools = tmp_path / "tools"
    tools.mkdir()
    asked = tmp_path / "asked"
    asked.touch()

    def tool(name, text):
        path = tools / name
        path.write_text(f"#!{BASH}\n{text}\n")
        path.chmod(0o755)

    tool("qthreshold", f'echo "qthreshold $*" >> "{asked}"\nexec "{sys.executable}" -m qthreshold "$@"')
    tool("pip", f'echo "pip $*" >> "{asked}"')
    tool("useradd", f'echo "useradd $*" >> "{asked}"')
    tool("chown", f'echo "chown $*" >> "{asked}"')
    tool("python3", f'[ "$1 $2" = "-m venv" ] || exit 9\nmkdir -p "$3/bin"\ncp "{tools}/pip" "{tools}/qthreshold" "$3/bin/"')
    environment = plain_environment() | {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    environment = {k: v for k, v in environment.items() if not k.startswith(("QTHRESHOLD", "GITHUB", "CI_"))}
    return Machine(tmp_path, environment, asked)


class Machine:
    """Where steps run."""

    def __init__(self, folder, environment, asked):
        self.folder, self.environment, self._asked = folder, environment, asked

    def run(self, script, **environment):
        """Run the script as GitHub and GitLab do: bash, stopping at the first failure."""
        line = [BASH, "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        environment = self.environment | {k: str(v) for k, v in environment.items()}
        return subprocess.run(line, cwd=self.folder, env=environment, capture_output=True, encoding="utf-8", timeout=180, check=False)

    @property
    def asked(self):
        return self._asked.read_text()


def action(machine, **inputs):
    """Run the steps of the action with inputs; returns the last process, and the outputs."""
    document = yaml.safe_load(read("action.yml"))
    values = {name: str(spec.get("default", "")) for name, spec in document["inputs"].items()} | inputs
    files = {name: machine.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")}
    for path in files.values():
        path.touch()
    done = None
    for step in document["runs"]["steps"]:
        env = {k: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: values[m[1]], v) for k, v in step.get("env", {}).items()}
        done = machine.run(step["run"], GITHUB_ACTIONS="true", RUNNER_TEMP=machine.folder / "temp", **env, **files)
        if done.returncode:
            break
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    return done, outputs, files["GITHUB_STEP_SUMMARY"].read_text()


def test_the_action_measures_checks_and_says_so(machine):
    done, outputs, summary = action(machine, backend="exact:tiny-5", recipe="quick")
    assert done.returncode == 0, done.stderr
    assert outputs["outcome"] == "passed"
    assert outputs["working-qubits"] == "5"
    assert summary.startswith("## qthreshold: passed")
    assert "pip install --quiet qthreshold[ci,ibm,plots]" in machine.asked
    assert ElementTree.parse(machine.folder / "qthreshold-run" / "junit.xml").getroot()[0].get("failures") == "0"
    declared = yaml.safe_load(read("action.yml"))["outputs"]
    named = {m[1] for spec in declared.values() if (m := re.search(r"steps\.check\.outputs\.([\w-]+)", spec["value"]))}
    assert named <= outputs.keys()


def test_the_action_fails_where_the_gate_does_and_keeps_a_history(machine):
    (machine.folder / "gate.toml").write_text('[[limits]]\nmetric = "cnot_error.mean"\nmax = 1e-4\n')
    first, _, _ = action(machine, backend="exact:tiny-5", recipe="quick", history="lab.db")
    assert first.returncode == 0, first.stderr
    done, outputs, _ = action(machine, gate="gate.toml", history="lab.db")  # the run is there already: checked again, not measured
    assert done.returncode == 1
    assert outputs["outcome"] == "failed"
    assert "::error title=limit cnot_error.mean::" in done.stdout
    assert machine.asked.count("qthreshold run") == 1


def test_what_the_action_leaves_empty_is_as_the_gate_file_says(machine):
    workflow.run("exact:tiny-5", "quick", out=machine.folder / "qthreshold-run", workers=1)
    lines = ['fail_on = ["never"]', "[[limits]]", 'metric = "cnot_error.mean"', "max = 1e-4"]
    (machine.folder / "gate.toml").write_text("\n".join(lines))
    done, outputs, _ = action(machine, gate="gate.toml", **{"instruments": "us-ear", "max-regression": "10%"})
    assert (done.returncode, outputs["outcome"]) == (0, "failed"), done.stderr
    assert "--gate gate.toml --instruments us-ear --max-regression 10%\n" in machine.asked


def test_the_action_without_a_run_and_a_backend_says_what_is_missing(machine):
    done, _, _ = action(machine)
    assert done.returncode == 2
    assert "no backend to make one with" in done.stderr


def test_a_run_that_cannot_be_finished_is_a_fault_of_the_infrastructure(machine):
    workflow.run("exact:tiny-5", "quick", out=machine.folder / "qthreshold-run", workers=1)
    for name in ("plan.npz", "verdict.json"):
        (machine.folder / "qthreshold-run" / name).unlink()
    done, outputs, _ = action(machine)
    assert (done.returncode, outputs["outcome"]) == (4, "error")


def test_inputs_reach_scripts_by_the_environment_and_are_quoted_there():
    for step in yaml.safe_load(read("action.yml"))["runs"]["steps"]:
        assert "${{" not in step["run"]
        bare = re.sub(r'"[^"]*"', "", step["run"])
        for name in step["env"]:
            assert not re.search(rf"\$\{{?{name}\b(?!:\+)", bare), f"{name} is not quoted in {step['name']}"


@pytest.mark.parametrize("hostile", ['"; touch owned; "', "$(touch owned)", "x\ntouch owned"])
def test_no_input_of_the_action_becomes_a_command(hostile, machine):
    names = ("recipe", "gate", "baseline", "history", "fail-on", "instruments", "max-regression", "max-qpu-seconds", "version")
    assert action(machine, backend=hostile, **dict.fromkeys(names, hostile))[0].returncode
    workflow.run("exact:tiny-5", "quick", out=machine.folder / "qthreshold-run", workers=1)
    assert action(machine, **dict.fromkeys(names[1:7], hostile))[0].returncode == 2
    assert not (machine.folder / "owned").exists()


def gitlab(machine, **variables):
    job = yaml.safe_load(read("ci/gitlab.yml"))[".qthreshold"]
    values = {k: v for k, v in job["variables"].items() if v is not None} | variables
    return machine.run("\n".join(job["script"]), CI="true", CI_PROJECT_DIR=machine.folder, GITLAB_CI="true", **values), job


def test_the_gitlab_job_leaves_the_artifacts_that_it_names(machine):
    done, job = gitlab(machine, QTHRESHOLD_RECIPE="quick")
    assert done.returncode == 0, done.stderr
    for path in job["artifacts"]["reports"].values():
        assert (machine.folder / path).stat().st_size
    assert "qthreshold_estimate{" in (machine.folder / job["artifacts"]["reports"]["metrics"]).read_text()


def test_the_gitlab_job_cannot_tell_with_an_exit_code_that_is_a_warning(machine):
    (machine.folder / "gate.toml").write_text('[[limits]]\nmetric = "cnot_error.mean"\nmax = 6.2e-3\n')
    done, job = gitlab(machine, QTHRESHOLD_RECIPE="quick", QTHRESHOLD_CHECK="--gate gate.toml")
    assert done.returncode in job["allow_failure"]["exit_codes"], done.stdout


def test_a_run_that_cannot_be_begun_is_no_failed_gate(machine):
    done, _ = gitlab(machine, QTHRESHOLD_BACKEND="exact:no-such-profile")
    assert done.returncode == 2
    lab = machine.folder / "lab"
    done = machine.run(f"exec {ROOT / 'ci' / 'cron.sh'}", BACKEND="exact:no-such-profile", LAB=lab)
    assert done.returncode == 2, (lab / "nightly.log").read_text()
    assert "qthreshold check" not in machine.asked


def test_a_nightly_job_of_cron_keeps_history_metrics_and_pages_and_finishes_what_was_interrupted(machine):
    lab = machine.folder / "lab"
    planned = machine.run('qthreshold plan "$LAB/runs/monday" --backend exact:tiny-5 --recipe quick', LAB=lab)
    assert planned.returncode == 0, planned.stderr
    done = machine.run(f"exec {ROOT / 'ci' / 'cron.sh'}", BACKEND="exact:tiny-5", RECIPE="quick", LAB=lab)
    assert done.returncode in (0, 3), (lab / "nightly.log").read_text()  # the second run may be too short to exclude a change
    assert len(list((lab / "runs").glob("*/junit.xml"))) == 2
    assert "qthreshold_check_exit_code" in (lab / "qthreshold.prom").read_text()
    assert (lab / "pages" / "index.html").exists()
    listed = machine.run("qthreshold history list --json", QTHRESHOLD_HISTORY=lab / "history.db")
    assert len(json.loads(listed.stdout)) == 2


def test_one_night_at_a_time(machine):
    lab = machine.folder / "lab"
    script = f'mkdir -p "{lab}"; exec 8>"{lab}/.lock"; flock -n 8; {ROOT / "ci" / "cron.sh"} 8>&-'
    done = machine.run(script, BACKEND="exact:tiny-5", RECIPE="quick", LAB=lab)
    assert (done.returncode, done.stderr) == (0, "qthreshold: another night still goes on\n")
    assert "qthreshold run" not in machine.asked


def test_the_nightly_workflow_submits_and_collects_in_two_jobs(machine):
    """Against a simulator, which has its results at once; the steps are those for a machine with a queue."""
    jobs = yaml.safe_load(read("ci/github-nightly.yml"))["jobs"]
    scripts = {(job, step["name"]): step["run"] for job, spec in jobs.items() for step in spec["steps"] if "run" in step}
    submitted = machine.run(scripts["submit", "Submit"], BACKEND="exact:tiny-5", CAP="60", QISKIT_IBM_TOKEN=SECRET)
    assert submitted.returncode == 0, submitted.stderr
    assert not (machine.folder / "tonight" / "verdict.json").exists()
    (machine.folder / "gate.toml").write_text('[[limits]]\nmetric = "working_qubits"\nmin = 5\n')
    for name in ("Collect", "Check"):
        done = machine.run(scripts["collect", name], GITHUB_ACTIONS="true", QISKIT_IBM_TOKEN=SECRET)
        assert done.returncode == 0, done.stderr + done.stdout
    everything = b"".join(p.read_bytes() for p in machine.folder.rglob("*") if p.is_file())
    assert SECRET.encode() not in everything


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq, the language of gh --jq")
@pytest.mark.parametrize(("hours", "code"), [((30, 5, 2), 0), ((30, 25), 4), ((), 4)])
def test_the_second_job_takes_the_newest_run_of_this_night_or_says_that_there_is_none(hours, code, machine):
    now = datetime.datetime.now(datetime.UTC)
    made = [{"expired": False, "created_at": f"{now - datetime.timedelta(hours=h):%Y-%m-%dT%H:%M:%SZ}", "workflow_run": {"id": h}} for h in hours]
    expired = {"expired": True, "created_at": f"{now:%Y-%m-%dT%H:%M:%SZ}", "workflow_run": {"id": 0}}
    (machine.folder / "artifacts.json").write_text(json.dumps({"artifacts": [*made, expired]}))
    asked = machine.folder / "asked"
    (machine.folder / "tools" / "gh").write_text(
        f'#!{BASH}\necho "gh $*" >> "{asked}"\nif [ "$1 $3" = "api --jq" ]; then jq -r "$4" artifacts.json; fi\n'
    )
    (machine.folder / "tools" / "gh").chmod(0o755)
    steps = yaml.safe_load(read("ci/github-nightly.yml"))["jobs"]["collect"]["steps"]
    script = next(s["run"] for s in steps if s.get("name", "").startswith("Find the run"))
    done = machine.run(script, GITHUB_REPOSITORY="lab/chip", GH_TOKEN=SECRET)
    assert done.returncode == code, done.stderr
    assert "gh api repos/lab/chip/actions/artifacts?name=tonight" in machine.asked
    assert ("gh run download 2 --repo lab/chip --name tonight --dir tonight" in machine.asked) == (code == 0)
    assert ("nothing was submitted" in done.stderr) == (code == 4)


def test_a_night_that_fails_is_kept_in_the_history():
    """``actions/cache`` saves nothing after a failure: restoring and saving are steps of their own."""
    steps = yaml.safe_load(read("ci/github-nightly.yml"))["jobs"]["collect"]["steps"]
    used = {s["uses"].partition("@")[0]: s for s in steps if "uses" in s}
    assert "actions/cache" not in used
    restore, save = used["actions/cache/restore"], used["actions/cache/save"]
    assert save["if"].startswith("always()")
    assert (save["with"]["path"], save["with"]["key"]) == (restore["with"]["path"], restore["with"]["key"])
    assert save["with"]["key"].startswith(restore["with"]["restore-keys"])


def test_no_script_of_a_workflow_has_an_expression_in_it():
    for job in yaml.safe_load(read("ci/github-nightly.yml"))["jobs"].values():
        assert not any("${{" in step.get("run", "") for step in job["steps"])


def test_the_container_installs_and_starts_the_command(machine):
    lines = re.sub(r"\\\n", " ", read("ci/Containerfile")).splitlines()
    steps = {word: [line.removeprefix(f"{word} ") for line in lines if line.startswith(f"{word} ")] for word in ("RUN", "ENTRYPOINT", "CMD", "COPY")}
    for line in steps["RUN"]:
        done = machine.run(line.replace("/work", str(machine.folder / "work")))
        assert done.returncode == 0, done.stderr
    assert "pip install --no-cache-dir /src[ci,ibm,plots,postgresql]" in machine.asked
    assert steps["COPY"] == [". /src"]
    started = machine.run(" ".join(json.loads(steps["ENTRYPOINT"][0]) + json.loads(steps["CMD"][0])))
    assert "[OPTIONS] COMMAND [ARGS]" in started.stdout


def test_the_example_gate_file_is_sound():
    import tomllib

    gate = Gate.model_validate(tomllib.loads(read("ci/gate.toml")))
    assert len(gate.limits) == 4


def test_extras_that_are_installed_exist():
    import tomllib

    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"].keys()
    texts = [read(name) for name in ("action.yml", "ci/gitlab.yml", "ci/Containerfile", "ci/github-nightly.yml")]
    named = {extra for text in texts for found in re.findall(r"(?:qthreshold|/src)\[([a-z,]+)\]", text) for extra in found.split(",")}
    assert named
    assert named <= extras
