"""The worker process: sends what is in the outbox, learns from it, and looks at due contacts.

PostgreSQL holds all work. Redis, through arq, only says 'look now'; the sweeper looks anyway every
other second, so a worker without Redis is slower by a second and complete.
"""
