"""Work on finished runs: rendering by another sampler, rescoring by another verifier, preference pairs, image sets.

`FinishedRun` is how all of them read a run. They build and measure with `its.run`, and leave the run's images alone.
"""
