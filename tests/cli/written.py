"""Everything that a run writes, in a form in which two runs can be compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families


def without_times(text: str) -> str:
    """Return a text without times, durations and names of runs."""
    return re.sub(r"\d{8}T\d+Z-\d+-\w+|[\d-]+T[\d:.]+(Z|\+00:00)|\d+\.\d+|\d+ ms|pid \d+|process \d+", "", text)


def outputs(folder: Path, result) -> dict[str, object]:
    """Return everything that the last run wrote, without times and names of runs."""
    families = text_string_to_metric_families((folder / "run.prom").read_text())
    samples = [sample for family in families for sample in family.samples]
    manifest = json.loads(next(folder.glob("output/**/manifest.json")).read_text())
    summary = {key: value for key, value in manifest["run"].items() if key not in ("id", "started", "ended")}
    *_, log = (folder / "run.log").read_text().strip().rpartition("ended with exit code")[0].split("ended with exit")
    return {
        "streams": [without_times(result.stdout), without_times(result.stderr)],
        "log": [line for line in without_times(log).splitlines()[1:] if not line.startswith("    | ")],
        "metrics": {
            (each.name, *each.labels.values()): each.value
            if each.name.endswith(("code", "regions", "written"))
            else None
            for each in samples
        },
        "run": {**summary, "seconds": list(summary["seconds"])},
        "maps in the manifest": [
            {**entry, "run": "", "seconds": sorted(entry.get("seconds") or ()), "peak_memory": ""}
            for entry in manifest["regions"]
        ],
        "maps": {path.name: path.read_bytes() for path in sorted(folder.glob("output/**/*.png"))},
    }
