"""The worker process: sends what is in the outbox and learns from what came of it.

PostgreSQL holds all work. Redis, through arq, only says 'look now'; the sweeper looks anyway every
other second, so a worker without Redis is slower by a second and complete.
"""
