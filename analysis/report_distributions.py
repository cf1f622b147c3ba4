"""The samples behind the figures: ``python analysis/report_distributions.py``."""

if __name__ == "__main__":
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder's files are no top-level modules
    from analysis.page.command_line import run_script

    sys.exit(run_script("distributions"))
