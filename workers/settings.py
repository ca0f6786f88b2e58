"""How arq is set up here.

arq keeps nothing that matters: a job that is lost, doubled or given up is made good by the sweeper.
"""

from typing import Any

import orjson
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from workers import check, deliver, learn
from workers.context import WorkerContext

QUEUE = "keepwell:jobs"
_TASKS = {
    deliver.KIND: deliver.deliver,
    learn.KIND: learn.learn,
    check.KIND: check.check,
}
KINDS = frozenset(_TASKS)

_CONNECT_SECONDS = 1
_RETRIES = 5
_JOB_SECONDS = 300
_HEALTH_CHECK_SECONDS = 10  # arq's hour would call a dead worker healthy for that long
_TRIES = 1000  # the outbox row decides when to give up, never the job


async def open_pool(url: str) -> ArqRedis:
    """Connect to Redis; short outages are ridden out from then on.

    Raises:
        redis.exceptions.RedisError, OSError: it is not there.
    """
    connections = ConnectionPool.from_url(
        url,
        socket_connect_timeout=_CONNECT_SECONDS,
        # must be the asyncio Retry: with the other one the worker ends at the first lost connection
        retry=Retry(ExponentialBackoff(cap=1, base=0.1), _RETRIES),
        retry_on_error=[RedisConnectionError, RedisTimeoutError, OSError],
    )
    # JSON: with arq's default, pickle, whoever can write to Redis runs code in the worker
    pool = ArqRedis(
        connections,
        job_serializer=_to_json,
        job_deserializer=orjson.loads,
        default_queue_name=QUEUE,
    )
    try:
        await pool.ping()
    except BaseException:
        await pool.aclose(close_connection_pool=True)
        raise
    return pool


def make_worker(context: WorkerContext, pool: ArqRedis) -> Worker:
    """Return arq's worker for our tasks; our own process handles signals."""
    return Worker(
        functions=[func(task, name=kind, keep_result=0) for kind, task in _TASKS.items()],
        redis_pool=pool,
        queue_name=QUEUE,
        ctx={"worker": context},
        handle_signals=False,
        job_timeout=_JOB_SECONDS,
        keep_result=0,
        max_tries=_TRIES,
        health_check_interval=_HEALTH_CHECK_SECONDS,
        job_serializer=_to_json,
        job_deserializer=orjson.loads,
    )


def _to_json(job: dict[str, Any]) -> bytes:
    return orjson.dumps(job, default=repr)
