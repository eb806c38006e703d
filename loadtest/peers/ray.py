"""Ray's side of `loadtest cloud --peer ray`: each line of the input names what is measured and how often, each of the output
has the seconds that it took. The first line of the output says that Ray is ready."""

import sys
import time

import ray

ray.init(num_cpus=int(sys.argv[1]), include_dashboard=False, logging_level="ERROR", log_to_driver=False)


@ray.remote
def empty():
    pass


@ray.remote
class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1
        return self.value


counter = Counter.remote()
ray.get(counter.increment.remote())


def one_task(n):
    for _ in range(n):
        ray.get(empty.remote())


def tasks(n):
    ray.get([empty.remote() for _ in range(n)])


def one_call(n):
    for _ in range(n):
        ray.get(counter.increment.remote())


def calls(n):
    ray.get([counter.increment.remote() for _ in range(n)])


MEASURED = {"one-task": one_task, "tasks": tasks, "one-call": one_call, "calls": calls}
print("ready", ray.__version__, flush=True)
for line in sys.stdin:
    what, n = line.split()
    began = time.perf_counter()
    MEASURED[what](int(n))
    print(time.perf_counter() - began, flush=True)
