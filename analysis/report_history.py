"""All sweeps of a folder over time: ``python analysis/report_history.py [RESULTS...]``."""

if __name__ == "__main__":
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder's files are no top-level modules
    from analysis.page.command_line import run_script

    sys.exit(run_script("history"))
