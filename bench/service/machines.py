"""Estimates the cost of 1,000 images on other machines, by scaling measured stages.

`python -m bench.service.machines` prints it. The tower and prompts scale with the cores, a decoding
step with the memory that the weights are read from and with the cores that multiply them.
Measurements that are not used for the scaling are printed beside their estimates.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Tokens of an answer, and requests at once, in the measurement and here.
ANSWER, SLOTS = 32, 4


@dataclass(frozen=True)
class Machine:
    """Cores with AVX512-BF16 and -VNNI, and the practical bandwidth of the memory in GB/s."""

    name: str
    cores: int
    gb_s: float


@dataclass(frozen=True)
class MeasuredEngine:
    """Results of `bench.engine`: images of 512², answers of 32 tokens, four at once."""

    name: str
    machine: Machine
    #: Seconds from a request to its first token, alone.
    first_s: float
    #: Tokens a second of four requests together.
    tokens_s: float
    images_per_minute: float
    #: Weights that every step reads.
    weights_gb: float

    @property
    def row_s(self) -> float:
        """Return the seconds that a token takes beside the reading of the weights."""
        return max(0.0, 1 / self.tokens_s - self.weights_gb / self.machine.gb_s / SLOTS)


def speedup(cores: int, than: int, doubling: float) -> float:
    """Return how much faster `cores` are, if twice as many compute `doubling` times as much."""
    return doubling ** math.log2(cores / than)


def image_seconds(known: MeasuredEngine, machine: Machine, doubling: float) -> float:
    """Return the seconds for an image on a machine, its stages one after the other."""
    speed = speedup(machine.cores, known.machine.cores, doubling)
    stream_s = known.weights_gb / machine.gb_s / SLOTS
    return (known.first_s + ANSWER * known.row_s) / speed + ANSWER * stream_s


def predict_rate(
    known: MeasuredEngine, base: MeasuredEngine, machine: Machine, doubling: float
) -> float:
    """Return images a minute; the gain from overlapping stages is that of `base`."""
    overlap_gain = base.images_per_minute / (60 / image_seconds(base, base.machine, doubling))
    return overlap_gain * 60 / image_seconds(known, machine, doubling)


HERE = Machine("2 cores of a shared server (measured)", 2, 33)
INT8 = MeasuredEngine("2B int8", HERE, 2.88, 68.1, 14.9, 1.72)
OTHERS = (MeasuredEngine("2B bf16", HERE, 4.62, 24.0, 8.56, 3.44),)
#: Bandwidth: three quarters of channels times transfers, the share measured here.
MACHINES = (
    HERE,
    Machine("4 cores of a server", 4, 40),
    Machine("8 cores of a server", 8, 60),
    Machine("desktop, 8 cores, 2 channels DDR5-5600", 8, 67),
    Machine("desktop, 16 cores, 2 channels DDR5-5600", 16, 67),
    Machine("socket of 32 cores, 12 channels DDR5-4800", 32, 345),
    Machine("socket of 96 cores, 12 channels DDR5-4800", 96, 345),
)


def compare(known: Sequence[MeasuredEngine], base: MeasuredEngine, doubling: float) -> str:
    """Return a table of measurements that the scaling does not use, beside its estimates."""
    lines = ["| | images/min, measured | from int8 on two cores |", "|---|---:|---:|"]
    for one in known:
        rate = predict_rate(one, base, one.machine, doubling)
        name = f"{one.name}, {one.machine.name}"
        lines.append(f"| {name} | {one.images_per_minute:.1f} | {rate:.1f} |")
    return "\n".join(lines)


def table(base: MeasuredEngine, machines: Sequence[Machine], doubling: float, price: float) -> str:
    """Return a line for each machine; `price` is of a core for an hour."""
    lines = [
        "| machine | GB/s | images/min | time for memory | core-hours / 1,000 | at this price |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for machine in machines:
        rate = predict_rate(base, base, machine, doubling)
        stream = ANSWER * base.weights_gb / machine.gb_s / SLOTS
        share = stream / image_seconds(base, machine, doubling)
        hours = machine.cores * 1000 / rate / 60
        lines.append(
            f"| {machine.name} | {machine.gb_s:g} | {rate:.1f} | {share:.0%} "
            f"| {hours:.1f} | {hours * price:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour")
    parser.add_argument("--doubling", type=float, default=1.9, help="speed of twice the cores")
    parser.add_argument("--cores", type=int, help="a machine of your own")
    parser.add_argument("--gb-s", type=float, default=60.0, help="what its memory gives")
    arguments = parser.parse_args()
    machines = (
        [Machine(f"{arguments.cores} cores", arguments.cores, arguments.gb_s)]
        if arguments.cores
        else MACHINES
    )
    print(compare([INT8, *OTHERS], INT8, arguments.doubling), end="\n\n")
    print(table(INT8, machines, arguments.doubling, arguments.price))


if __name__ == "__main__":
    main()
