"""``python -m dfcnn_ms.doctor``: is this machine fit for training, and if not, what is the cure."""

from __future__ import annotations

import sys

from dfcnn_ms import cli
from dfcnn_ms.diagnosis.checks import examine
from dfcnn_ms.diagnosis.result import CheckResult
from dfcnn_ms.errors import DeviceError

EXAMPLE = "python -m dfcnn_ms.doctor"

DESCRIPTION = """\
Look at this machine: Python, packages, MindSpore, device, speed, threads, memory, disk, audio.
Where there is anything of a GPU or an Ascend NPU, all that it needs, piece by piece.
Each check is one line: ok, warn (training can start), fail (it cannot), and the cure.

Exit code 0: training can start. 1: something marked fail must be cured first.

`doctor data` looks at a corpus instead: see `doctor data --help`."""

EXIT_PROBLEM = 1


def main(argv: list[str] | None = None) -> None:
    """Prints one line for each check, or the audit of the operators, and leaves with 1 if something must be cured."""
    argv = cli.with_plugins(argv)
    if argv[:1] == ["data"]:
        from dfcnn_ms import doctor_data

        sys.exit(doctor_data.main(argv[1:]))
    arguments = cli.parser("doctor", DESCRIPTION, EXAMPLE)
    arguments.add_argument(
        "--operators",
        action="store_true",
        help="compile the shipped networks and say whether GPU and Ascend have a kernel for all that they use; "
        "exit code 1 if one is lacking (minutes)",
    )
    options = arguments.parse_args(argv)
    fine = audit() if options.operators else check_up()
    if not fine:
        sys.exit(EXIT_PROBLEM)


def check_up() -> bool:
    """Prints every finding as soon as it is known; whether training can start."""
    findings: list[CheckResult] = []
    for finding in examine():
        findings.append(finding)
        print(finding, flush=True)
    print(verdict(findings))
    return all(finding.mark != "fail" for finding in findings)


def verdict(findings: list[CheckResult]) -> str:
    """The last line: can training start."""
    failed, warned = (sum(finding.mark == mark for finding in findings) for mark in ("fail", "warn"))
    if failed:
        return f"training cannot start: cure {'what is' if failed == 1 else f'the {failed} things'} marked fail"
    return "training can start" + (f" ({warned} {'warning' if warned == 1 else 'warnings'})" if warned else "")


def audit() -> bool:
    """Compiles the shipped networks and prints which device has kernels for them; whether both have all."""
    try:
        from tqdm import tqdm

        from dfcnn_ms.diagnosis import kernels, operators
        from dfcnn_ms.runtime.device import use_device
    except ImportError as error:
        raise DeviceError(f"{error}; {EXAMPLE} says what is missing") from None
    gpu, ascend = kernels.installed_kernels()
    use_device("CPU")
    pages = tqdm(list(operators.pages()), desc="compiling", unit="graph", disable=None, leave=False)
    graphs = [operators.compiled(title, config) for title, config in pages]
    rows = operators.table([*graphs, operators.SEVERAL_WORKERS], gpu, ascend)
    print(operators.markdown(rows))
    print(operators.explanation(graphs))
    lacking = [row for row in rows if row.lacks]
    for row in lacking:
        print(f"no evidence of a kernel for {row.primitive}, which is in {', '.join(row.graphs)}")
    print(operators.verdict(rows, gpu, ascend, len(graphs)))
    return not lacking


if __name__ == "__main__":
    cli.run(main)
