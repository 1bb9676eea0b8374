"""How runs meet a cluster: leaving on signals, what is in SLURM's queue, which source a job runs, who is done."""
