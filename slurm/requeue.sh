#!/usr/bin/env bash
# Last line of a batch script: hand the job back to the queue if its workers left because SLURM told them to.
#   bash slurm/requeue.sh $?        143 is SIGTERM (preempted), 138 SIGUSR1, 140 SIGUSR2 (preempted, or the time limit)
# A cancelled job is not RUNNING any more, and stays cancelled. Any other exit code is passed on.
code="$1"
job="$SLURM_JOB_ID"
[ -z "$SLURM_ARRAY_JOB_ID" ] || job="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
case "$code" in
  138|140|143)
    for pause in 1 2 5 10 20 30 60; do
      state="$(squeue --noheader --jobs "$job" --format %T 2>/dev/null)" && [ "$state" != RUNNING ] && break
      [ "$state" = RUNNING ] && echo "requeueing $job after exit code $code" && scontrol requeue "$job" && break
      sleep "$pause"        # the controller is away, or asked for patience
    done ;;
esac
exit "$code"
