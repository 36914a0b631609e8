"""A worker that reads a queue no longer is made to read it again."""

from types import SimpleNamespace

from worker.consumers import QueueWatch


class Consumer:
    """The part of Celery's consumer that the watch knows."""

    def __init__(self, *names: str) -> None:
        self.asked: list[str] = []
        self.task_consumer = SimpleNamespace(queues=[])
        self.reads(*names)

    def reads(self, *names: str) -> None:
        self.task_consumer.queues = [SimpleNamespace(name=name) for name in names]

    def add_task_queue(self, queue: str) -> None:
        self.asked.append(queue)

    def call_soon(self, call, *args) -> None:
        call(*args)


def test_a_lost_queue_is_read_again_after_a_while_and_until_it_helps():
    consumer, now = Consumer("high", "default"), [0.0]
    watch = QueueWatch(SimpleNamespace(consumer=consumer), lambda: now[0], grace_s=5)
    assert watch.read() == {"high", "default"}
    consumer.reads("high")
    for second, asked in ((1, 0), (4, 0), (6, 1), (8, 1), (12, 2)):
        now[0] = float(second)
        assert watch.read() == {"high"}
        assert consumer.asked == ["default"] * asked
    consumer.reads("high", "default")
    now[0] = 99.0
    assert watch.read() == {"high", "default"}
    assert len(consumer.asked) == 2


def test_a_queue_that_was_never_read_is_not_missed():
    consumer, now = Consumer("high"), [0.0]
    worker = SimpleNamespace(consumer=None)
    watch = QueueWatch(worker, lambda: now[0], grace_s=5)
    assert watch.read() is None
    worker.consumer = consumer
    for second in (1.0, 60.0):
        now[0] = second
        assert watch.read() == {"high"}
    assert consumer.asked == []


def test_a_new_connection_may_take_its_time():
    consumer, now = Consumer("high", "low"), [0.0]
    worker = SimpleNamespace(consumer=consumer)
    watch = QueueWatch(worker, lambda: now[0], grace_s=5)
    watch.read()
    consumer.task_consumer = None
    now[0] = 50.0
    assert watch.read() is None
    consumer.task_consumer = SimpleNamespace(queues=[])
    now[0] = 51.0
    assert watch.read() == set()
    assert consumer.asked == []
