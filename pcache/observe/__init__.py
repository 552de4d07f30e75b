"""Recording: BPF probes, the ring they write to, and what their events mean.

kernel side      btf -> offsets -> program (compile or reload, load, attach) -> ring -> spool
meaning          events -> executions (process tree) -> effects (per path) -> conditions (records)
"""
