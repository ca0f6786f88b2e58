import pytest

from api.rate_limit import STRANGERS_BURST, RateLimit
from engine.errors import RateLimited


class Stopwatch:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def test_a_key_gets_its_burst_and_then_its_rate():
    watch = Stopwatch()
    limit = RateLimit(per_second=2, burst=3, clock=watch)
    limit.welcome(b"key")
    for _ in range(3):
        limit.take(b"key")
    with pytest.raises(RateLimited):
        limit.take(b"key")
    watch.seconds = 0.5  # one token at two per second
    limit.take(b"key")
    with pytest.raises(RateLimited):
        limit.take(b"key")


def test_retry_after_says_when_the_next_call_will_pass():
    watch = Stopwatch()
    limit = RateLimit(per_second=0.1, burst=1, clock=watch)
    limit.welcome(b"key")
    limit.take(b"key")
    with pytest.raises(RateLimited) as caught:
        limit.take(b"key")
    assert caught.value.retry_after_seconds == 10
    watch.seconds = 10.0
    limit.take(b"key")


def test_a_pause_saves_no_more_than_the_burst():
    watch = Stopwatch()
    limit = RateLimit(per_second=100, burst=2, clock=watch)
    limit.welcome(b"key")
    watch.seconds = 1_000.0
    limit.take(b"key")
    limit.take(b"key")
    with pytest.raises(RateLimited):
        limit.take(b"key")


def test_one_key_does_not_slow_down_another():
    limit = RateLimit(per_second=1, burst=1, clock=Stopwatch())
    limit.welcome(b"busy")
    limit.welcome(b"calm")
    limit.take(b"busy")
    with pytest.raises(RateLimited):
        limit.take(b"busy")
    limit.take(b"calm")


def test_guessed_keys_share_one_bucket_and_leave_known_keys_alone():
    limit = RateLimit(clock=Stopwatch())
    limit.welcome(b"known")
    for number in range(STRANGERS_BURST):
        limit.take(b"guess %d" % number)
    with pytest.raises(RateLimited):
        limit.take(b"one more guess")
    limit.take(b"known")
