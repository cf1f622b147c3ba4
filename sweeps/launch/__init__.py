"""Ray: start it or join it, and run the cells through Tune; the only folder that imports Ray.

It may import ``scheduling``, ``choosing``, ``cell`` and what stands below them.
"""

import os

# Tune reads these when it is imported. Its loggers took a third of a short sweep's wall time, its
# experiment state is not needed (our Parquet is the truth), and its reporters are replaced by ours.
# Ray's workers are polite, at niceness 15: what else runs on the machine would take the time that is measured.
# No process that is started from here on looks for modules where the user is (``python -c`` and ``-m`` do).
_TUNE_ENVIRONMENT = {
    "PYTHONSAFEPATH": "1",
    "RAY_worker_niceness": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "5",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PL_DISABLE_FORK": "1",
    "RAY_DEDUP_LOGS": "0",
    # The worker that starts ahead is idle until its first cell has its cores, which else leaves it a second to live.
    "RAY_idle_worker_killing_time_threshold_ms": "60000",
    # What the dashboard would show of every task and every actor that ended: 13 kB a cell in Ray's head process.
    "RAY_task_events_report_interval_ms": "0",
    "RAY_maximum_gcs_destroyed_actor_cached_count": "100",
}
for _name, _value in _TUNE_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
