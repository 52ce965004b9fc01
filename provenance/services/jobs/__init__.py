"""Jobs: queued, claimed, kept alive, ended. The row is the truth; Celery only carries its id.

A kind of job is a function of one `JobRun`, registered with `@job_kind`. It may run again after its worker was killed,
so it stores its results block by block and resumes; it calls `run.checkpoint()` at every block.
"""
